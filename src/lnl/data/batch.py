"""What a method sees of the data."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor


@dataclass
class Batch:
    """A batch of doubtful labels. Clean labels are no part of it.

    Attributes:
        images: float32 ``[B, C, H, W]``, augmented and normalised; the first view.
        labels: int64 ``[B]``, the given labels, which may be wrong; -1 where there are none to be seen (test images).
        index: int64 ``[B]``, each sample's number in the dataset's training set (or test set): the place of its
            per-sample state.
        views: all ``data.views`` independently augmented views, ``images`` first.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    views: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str, **kwargs: Any) -> Self:
        """The batch on ``device``; Lightning calls this."""
        views = tuple(view.to(device, **kwargs) for view in self.views)
        images = views[0] if views else self.images.to(device, **kwargs)
        return type(self)(images, self.labels.to(device, **kwargs), self.index.to(device, **kwargs), views)

    def pin_memory(self) -> Self:
        """The batch in page-locked memory; torch's DataLoader calls this."""
        views = tuple(view.pin_memory() for view in self.views)
        images = views[0] if views else self.images.pin_memory()
        return type(self)(images, self.labels.pin_memory(), self.index.pin_memory(), views)
