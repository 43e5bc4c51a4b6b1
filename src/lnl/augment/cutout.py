"""Cutout: a square of the image is blank."""

import torch
from torch import Tensor

from lnl.augment.base import Transform
from lnl.errors import check_range


class Cutout(Transform):
    """Cutout (arXiv:1708.04552): a square at a random place of the image becomes grey.

    The square's centre is anywhere in the image, so that a part of the square may lie outside. The paper fills it with
    the mean of normalised images, here it is 128.

    Args:
        share: side of the square as a share of the image's, in (0, 1]; the paper's 16 of CIFAR-10's 32 pixels is 0.5.
    """

    def __init__(self, share: float = 0.5) -> None:
        check_range("(0, 1]", share=share)
        self.share = share

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """The square's centre, as shares of height and width, ``[count, 2]`` in [0, 1)."""
        return torch.rand(count, 2, generator=generator)

    def apply(self, images: Tensor, drawn: Tensor, on_device: Tensor) -> Tensor:
        inside = []
        for length, centre in zip(images.shape[1:3], on_device.T, strict=True):
            side = round(self.share * length)
            first = (centre * length).long()[:, None] - side // 2
            place = torch.arange(length, device=images.device)
            inside.append((place >= first) & (place < first + side))
        rows, columns = inside
        return images.masked_fill((rows[:, :, None] & columns[:, None, :])[..., None], 128)
