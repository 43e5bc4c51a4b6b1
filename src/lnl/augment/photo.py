"""The usual augmentation of photographs: crops of any size, mirrored, with other colours."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from lnl.augment.base import Transform
from lnl.errors import check_range

TRIES = 10  # draws of a crop that fits into the image, before the whole image is taken


class RandomResizedCrop(Transform):
    """A random part of the image, resized bilinearly to ``size``, and mirrored at random (arXiv:1409.4842).

    Parts are drawn as by torchvision, in whole pixels. Unlike torchvision it does not smooth parts that become smaller.

    Args:
        size: side in pixels of what comes out; None for that of the images.
        scale: least and largest area of the part, as shares of the image's, in (0, 1].
        ratio: least and largest width over height, above 0; the logarithm is uniform.
        flip: whether every second image, at random, is mirrored.
    """

    def __init__(
        self,
        size: int | None = None,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: bool = True,
    ) -> None:
        check_range("[1, inf)", size=size)
        check_range("(0, 1]", **{"scale[0]": scale[0], "scale[1]": scale[1]})
        check_range("(0, inf)", **{"ratio[0]": ratio[0], "ratio[1]": ratio[1]})
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            raise ValueError(f"scale and ratio are [least, largest], got {list(scale)} and {list(ratio)}")
        self.size, self.scale, self.flip = size, tuple(scale), flip
        self.ratio = torch.tensor(ratio).log().tolist()

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Left, top, width and height in shares of the image's side, and whether to flip, float32 ``[count, 5]``."""
        area, shape = torch.rand(2, TRIES, count, generator=generator)
        area = area * (self.scale[1] - self.scale[0]) + self.scale[0]
        shape = (shape * (self.ratio[1] - self.ratio[0]) + self.ratio[0]).exp()
        sides = torch.stack([(area * shape).sqrt(), (area / shape).sqrt()], dim=-1)  # [TRIES, count, 2]
        fits = (sides <= 1).all(dim=-1)
        sides = sides[fits.int().argmax(dim=0), torch.arange(count)]  # of the first that fits
        sides[~fits.any(dim=0)] = 1
        corners = torch.rand(count, 2, generator=generator) * (1 - sides)
        flips = torch.randint(0, 1 + self.flip, (count, 1), generator=generator)
        return torch.cat([corners, sides, flips], dim=1)

    def apply(self, images: Tensor, drawn: Tensor, on_device: Tensor) -> Tensor:
        height, width = images.shape[1:3]
        out_height, out_width = (self.size, self.size) if self.size else (height, width)
        x = self._places(out_width, on_device[:, 0, None], on_device[:, 2, None], width)
        y = self._places(out_height, on_device[:, 1, None], on_device[:, 3, None], height)
        x = torch.where(on_device[:, 4, None] == 1, x.flip(1), x)
        grid = torch.stack([x[:, None].expand(-1, out_height, -1), y[:, :, None].expand(-1, -1, out_width)], dim=-1)
        pixels = images.permute(0, 3, 1, 2).float()
        cut = grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return cut.round().to(images.dtype).permute(0, 2, 3, 1).contiguous()

    @staticmethod
    def _places(out: int, corner: Tensor, length: Tensor, side: int) -> Tensor:
        """Where the ``out`` new pixels are in the old image, ``[B, out]`` in [-1, 1] as grid_sample wants them."""
        length = (length * side).round().clamp(min=1)  # both are shares of the side until here
        corner = (corner * side).round().minimum(side - length)
        place = (torch.arange(out, device=corner.device) + 0.5) * length / out
        return (corner + place.clamp(min=0.5).minimum(length - 0.5)) * (2 / side) - 1  # nothing outside of the part


class ColorJitter(Transform):
    """Random brightness, contrast and saturation, in this order.

    The factors are uniform in [1 - strength, 1 + strength]: of all values, of their distance from the image's mean
    grey, and of their distance from the pixel's grey.

    Args:
        brightness, contrast, saturation: strengths, in [0, 1].
    """

    def __init__(self, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4) -> None:
        check_range("[0, 1]", brightness=brightness, contrast=contrast, saturation=saturation)
        self.strengths = torch.tensor([brightness, contrast, saturation])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """The three factors, float32 ``[count, 3]``."""
        return 1 + self.strengths * (2 * torch.rand(count, 3, generator=generator) - 1)

    def apply(self, images: Tensor, drawn: Tensor, on_device: Tensor) -> Tensor:
        brightness, contrast, saturation = on_device[:, :, None, None, None].unbind(1)
        pixels = (images.float() * brightness).clamp_(0, 255)
        pixels = torch.lerp(self._grey(pixels).mean(dim=(1, 2), keepdim=True), pixels, contrast).clamp_(0, 255)
        pixels = torch.lerp(self._grey(pixels), pixels, saturation).clamp_(0, 255)
        return pixels.round_().to(images.dtype)

    @staticmethod
    def _grey(pixels: Tensor) -> Tensor:
        """``[B, H, W, 1]``, the luma of ITU-R BT.601 (a grey image's own values)."""
        if pixels.shape[3] == 1:
            return pixels
        red, green, blue = pixels.split(1, dim=3)
        return 0.299 * red + 0.587 * green + 0.114 * blue
