"""Random crops and flips of a whole epoch, planned once and applied a batch at a time on the device."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms import v2

Augment = Literal["none", "flip", "crop", "crop_flip"]


@dataclass(frozen=True)
class Augmentation:
    """Random crop of images padded with zeros, and random horizontal flip.

    Attributes:
        padding: pixels on each side, 0 for no crop.
        flip: mirror every second image, at random.
    """

    padding: int = 0
    flip: bool = False

    @classmethod
    def named(cls, name: str, padding: int) -> "Augmentation":
        """``none``, ``flip``, ``crop`` or ``crop_flip``.

        Raises:
            ValueError: for any other name.
        """
        if name not in ("none", "flip", "crop", "crop_flip"):
            raise ValueError(f"data.augment must be none, flip, crop or crop_flip, got '{name}'")
        if padding < 0:
            raise ValueError(f"data.crop_padding must be at least 0, got {padding}")
        return cls(padding if "crop" in name else 0, "flip" in name)

    def plan(self, count: int, generator: torch.Generator) -> Tensor:
        """For each of ``count`` images: rows and columns to shift by, and whether to flip, ``[count, 3]`` int64.

        Drawn on the CPU, so that the numbers do not depend on the device.
        """
        shifts = torch.randint(0, 2 * self.padding + 1, (count, 2), generator=generator)
        flips = torch.randint(0, 1 + self.flip, (count, 1), generator=generator)
        return torch.cat([shifts, flips], dim=1)

    def apply(self, images: Tensor, index: Tensor, plan: Tensor) -> Tensor:
        """Images at ``index``, cropped and flipped as planned, in one gather.

        Args:
            images: ``[N, H + 2 padding, W + 2 padding, C]``, padded already.
            index: ``[B]``.
            plan: ``[B, 3]``.

        Returns:
            ``[B, H, W, C]``.
        """
        if not self.padding and not self.flip:
            return images.index_select(0, index)  # copies whole images: many times faster than images[index]
        height, width = images.shape[1] - 2 * self.padding, images.shape[2] - 2 * self.padding
        rows = plan[:, 0, None] + torch.arange(height, device=images.device)
        columns = torch.arange(width, device=images.device).expand(len(index), -1)
        columns = plan[:, 1, None] + torch.where(plan[:, 2, None] == 1, columns.flip(1), columns)
        return images[index[:, None, None], rows[:, :, None], columns[:, None, :]]

    def transforms(self, image_size: int) -> list[v2.Transform]:
        """The same augmentation as torchvision transforms of one image, for worker processes."""
        crop = [v2.RandomCrop(image_size, padding=self.padding)] if self.padding else []
        return crop + ([v2.RandomHorizontalFlip()] if self.flip else [])
