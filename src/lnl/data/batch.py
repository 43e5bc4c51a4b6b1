"""What a method sees of the data."""

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor


@dataclass
class Batch:
    """A batch of doubtful labels. Clean labels are no part of it.

    Attributes:
        images: float32 ``[B, C, H, W]``, augmented and normalised; the first view.
        labels: the labels to train on, which may be wrong: int64 ``[B]``, or probabilities ``[B, K]``; -1 where there
            are none to be seen (test images).
        index: int64 ``[B]``, each sample's number in the dataset's training set (or test set): the place of its
            per-sample state.
        views: each of the method's views, augmented independently, ``images`` first.
        share: of the samples of this step that are in this batch; below 1 where several processes share the step.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    views: tuple[Tensor, ...] = ()
    share: float = 1.0

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str, **kwargs: Any) -> Self:
        """The batch on ``device``; Lightning calls this."""
        views = tuple(view.to(device, **kwargs) for view in self.views)
        images = views[0] if views else self.images.to(device, **kwargs)
        labels, index = self.labels.to(device, **kwargs), self.index.to(device, **kwargs)
        return replace(self, images=images, labels=labels, index=index, views=views)
