"""What a method may know of its training samples."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """The training samples as a method sees them, on the CPU. It has no true labels but those of trusted samples.

    Attributes:
        count: N, samples of the whole training set, the range of ``batch.index``.
        num_classes: K.
        index: int64 ``[n]``, sorted: the samples that may be trained on.
        given: int64 ``[N]``, their labels as they were given, which may be wrong; -1 for other samples.
        trusted: int64 ``[m]``, sorted: those of them whose label is known to be right.
        trusted_labels: int64 ``[m]``, the right labels.
    """

    count: int
    num_classes: int
    index: Tensor
    given: Tensor
    trusted: Tensor
    trusted_labels: Tensor

    @classmethod
    def unknown(cls, count: int, num_classes: int) -> Self:
        """Samples that are not here: for a method that is not to be trained."""
        nothing = torch.arange(0)
        return cls(count, num_classes, nothing, torch.full((count,), -1), nothing, nothing)
