"""RandAugment and AutoAugment with a draw for each sample."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample
from torchvision.transforms.v2 import functional as F

from lnl.augment.base import Transform
from lnl.errors import check_range


def sharpened(images: Tensor, factor: float) -> Tensor:
    """The image less, or more than, its blur; torchvision's own waits for a kernel that it makes on the CPU."""
    kernel = torch.ones(images.shape[1], 1, 3, 3, device=images.device)
    kernel[:, :, 1, 1] = 5
    blurred = images.float()
    blurred[:, :, 1:-1, 1:-1] = conv2d(blurred, kernel / 13, groups=images.shape[1]).round()
    return torch.lerp(blurred, images.float(), factor).clamp(0, 255).to(images.dtype)


# Operations with their strength at the highest magnitude. These move pixels: translations are in shares of the image's
# side (150 of 331 pixels in the papers), rotations in degrees.
MOVES = {"shear_x": 0.3, "shear_y": 0.3, "translate_x": 150 / 331, "translate_y": 150 / 331, "rotate": 30.0}
# These change colours, and the first four in one of two directions, as all moves do.
COLORS: dict[str, tuple[float, Callable[[Tensor, float], Tensor]]] = {
    "brightness": (0.9, lambda images, m: F.adjust_brightness(images, 1 + m)),
    "color": (0.9, lambda images, m: F.adjust_saturation(images, 1 + m)),
    "contrast": (0.9, lambda images, m: F.adjust_contrast(images, 1 + m)),
    "sharpness": (0.9, lambda images, m: sharpened(images, 1 + m)),
    "posterize": (4, lambda images, m: F.posterize(images, 8 - round(m))),
    "solarize": (255, lambda images, m: F.solarize(images, 255 - m)),
    "auto_contrast": (0, lambda images, _: F.autocontrast(images)),
    "equalize": (0, lambda images, _: F.equalize(images)),
    "identity": (0, lambda images, _: images),
    "invert": (0, lambda images, _: F.invert(images)),
}
NAMES = [*MOVES, *COLORS]
DIRECTED = NAMES.index("posterize")  # how many have two directions


class Operations(Transform):
    """Applies to each sample the operations that were drawn for it, as torchvision does to a whole batch."""

    bins: ClassVar[int]  # magnitudes are 0..bins - 1

    @abstractmethod
    def choose(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The numbers of each sample's operations and their magnitudes, int64 ``[count, n]`` each."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """A number for each operation of a sample that stands for what it does, int64 ``[count, n]``."""
        operations, magnitudes = self.choose(count, generator)
        negative = torch.randint(0, 2, operations.shape, generator=generator) * (operations < DIRECTED)
        return (operations * self.bins + magnitudes) * 2 + negative

    def apply(self, images: Tensor, drawn: Tensor, on_device: Tensor) -> Tensor:
        pixels = images.permute(0, 3, 1, 2)
        for codes, device_codes in zip(drawn.T, on_device.T, strict=True):
            pixels = self._recolored(self._moved(pixels, device_codes), codes, device_codes)
        return pixels.permute(0, 2, 3, 1).contiguous()

    def _moved(self, pixels: Tensor, codes: Tensor) -> Tensor:
        """Pixels ``[B, C, H, W]`` after the moves among the operations."""
        height, width = pixels.shape[2:]
        operation = codes // (2 * self.bins)
        magnitude = codes // 2 % self.bins / (self.bins - 1) * (1 - 2 * (codes % 2))
        strength = {name: (operation == k) * magnitude * MOVES[name] for k, name in enumerate(MOVES)}
        turn = torch.deg2rad(strength["rotate"])
        cos, sin = turn.cos(), turn.sin()
        shear_x, shear_y = strength["shear_x"] * height / width, strength["shear_y"] * width / height
        left, up = ((strength[f"translate_{axis}"] * n).trunc() / n for axis, n in (("x", width), ("y", height)))
        # From a place in the new image to one in the old, both in [-1, 1]; shears leave the upper left corner in place.
        rows = torch.stack([cos, shear_x - sin * height / width, shear_x - 2 * left], dim=1)
        columns = torch.stack([shear_y + sin * width / height, cos, shear_y - 2 * up], dim=1)
        x = (torch.arange(width, device=pixels.device) * 2 + 1) / width - 1
        y = (torch.arange(height, device=pixels.device) * 2 + 1) / height - 1
        place = torch.stack([x.expand(height, -1), y[:, None].expand(-1, width), torch.ones_like(x).expand(height, -1)])
        grid = torch.einsum("bij,jhw->bhwi", torch.stack([rows, columns], dim=1), place)
        moved = grid_sample(pixels.float(), grid, mode="nearest", align_corners=False)
        return moved.to(pixels.dtype)

    def _counted(self, codes: Tensor) -> tuple[list[int], list[int]]:
        """The codes that there are, sorted, and how many samples have each."""
        kinds, sizes = codes.unique(return_counts=True)
        return kinds.tolist(), sizes.tolist()

    def _recolored(self, pixels: Tensor, codes: Tensor, device_codes: Tensor) -> Tensor:
        """Pixels ``[B, C, H, W]`` after the changes of colour, those of samples that share one in one call."""
        # Sizes are known from the codes on the CPU, places from those on the device: nothing waits for the other.
        kinds, sizes = self._counted(codes)
        order = device_codes.argsort(stable=True)
        changed = []
        for code, group in zip(kinds, pixels[order].split(sizes), strict=True):
            name, magnitude = NAMES[code // (2 * self.bins)], code // 2 % self.bins / (self.bins - 1)
            strongest, function = COLORS.get(name, COLORS["identity"])
            changed.append(function(group, strongest * magnitude * (1 - 2 * (code % 2))))
        return torch.empty_like(pixels).index_copy_(0, order, torch.cat(changed))


class RandAugment(Operations):
    """RandAugment (arXiv:1909.13719): operations chosen with equal chance, all of one magnitude.

    Operations and strengths are those of torchvision, which draws once for a whole batch.

    Args:
        operations: how many are applied to an image, at least 1.
        magnitude: 0 to 30.
    """

    bins = 31

    def __init__(self, operations: int = 2, magnitude: int = 9) -> None:
        check_range("[1, inf)", operations=operations)
        check_range("[0, 30]", magnitude=magnitude)
        self.operations, self.magnitude = operations, magnitude

    def choose(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        operations = torch.randint(0, NAMES.index("invert"), (count, self.operations), generator=generator)
        return operations, torch.full_like(operations, self.magnitude)


# The 25 pairs that were found on CIFAR-10: operation, chance in tenths, magnitude 0..9.
CIFAR10_POLICY = """
invert 1 0 contrast 2 6|rotate 7 2 translate_x 3 9|sharpness 8 1 sharpness 9 3|shear_y 5 8 translate_y 7 9
auto_contrast 5 0 equalize 9 0|shear_y 2 7 posterize 3 7|color 4 3 brightness 6 7|sharpness 3 9 brightness 7 9
equalize 6 0 equalize 5 0|contrast 6 7 sharpness 6 5|color 7 7 translate_x 5 8|equalize 3 0 auto_contrast 4 0
translate_y 4 3 sharpness 2 6|brightness 9 6 color 2 8|solarize 5 2 invert 0 0|equalize 2 0 auto_contrast 6 0
equalize 2 0 equalize 6 0|color 9 9 equalize 6 0|auto_contrast 8 0 solarize 2 8|brightness 1 3 color 7 0
solarize 4 5 auto_contrast 9 0|translate_y 9 9 translate_y 7 9|auto_contrast 9 0 solarize 8 3|equalize 8 0 invert 1 0
translate_y 7 9 auto_contrast 9 0
"""


class AutoAugment(Operations):
    """AutoAugment (arXiv:1805.09501), the policy found on CIFAR-10: one of 25 pairs of operations for each image."""

    bins = 10

    def __init__(self) -> None:
        words = [pair.split() for line in CIFAR10_POLICY.split("\n") for pair in line.split("|") if pair]
        self.operations = torch.tensor([[NAMES.index(pair[0]), NAMES.index(pair[3])] for pair in words])
        self.chances = torch.tensor([[int(pair[1]), int(pair[4])] for pair in words]) / 10
        self.magnitudes = torch.tensor([[int(pair[2]), int(pair[5])] for pair in words])

    def choose(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        pair = torch.randint(0, len(self.operations), (count,), generator=generator)
        skipped = torch.rand(count, 2, generator=generator) >= self.chances[pair]
        return self.operations[pair].masked_fill(skipped, NAMES.index("identity")), self.magnitudes[pair]
