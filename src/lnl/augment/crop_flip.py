"""The usual augmentation of small images: random crop and horizontal flip."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lnl.augment.base import Transform
from lnl.errors import check_range


class CropFlip(Transform):
    """Random crop of images padded with zeros, then random horizontal flip, in one gather.

    Args:
        padding: pixels on each side, at least 0, which is no crop.
        flip: whether every second image, at random, is mirrored.
    """

    def __init__(self, padding: int = 0, flip: bool = False) -> None:
        check_range("[0, inf)", padding=padding)
        self.padding, self.flip = padding, flip

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Rows and columns to shift by, and whether to flip, int64 ``[count, 3]``."""
        shifts = torch.randint(0, 2 * self.padding + 1, (count, 2), generator=generator)
        flips = torch.randint(0, 1 + self.flip, (count, 1), generator=generator)
        return torch.cat([shifts, flips], dim=1)

    def apply(self, images: Tensor, drawn: Tensor, on_device: Tensor) -> Tensor:
        if not self.padding and not self.flip:
            return images
        count, height, width, channels = images.shape
        pad = self.padding
        padded = F.pad(images, (0, 0, pad, pad, pad, pad)) if pad else images
        rows = on_device[:, 0, None] + torch.arange(height, device=images.device)
        columns = torch.arange(width, device=images.device).expand(count, -1)
        columns = on_device[:, 1, None] + torch.where(on_device[:, 2, None] == 1, columns.flip(1), columns)
        image = torch.arange(count, device=images.device)[:, None, None]
        places = (image * padded.shape[1] + rows[:, :, None]) * padded.shape[2] + columns[:, None, :]
        # One copy of pixels by their place in the batch: several times faster than indexing rows and columns.
        return padded.reshape(-1, channels).index_select(0, places.flatten()).view(images.shape)
