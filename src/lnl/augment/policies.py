"""RandAugment and AutoAugment with a draw for each sample, by torchvision's operations."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from lnl.augment.base import Transform
from lnl.errors import check_range


def _affine(images: Tensor, **how: Any) -> Tensor:
    still: dict[str, Any] = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    return F.affine(images, **still | how)


def _shear(radians: float) -> float:
    return math.degrees(math.atan(radians))


# Of each operation its strength at the highest magnitude, whether it has a direction, and what it does at a strength.
# Translations are in shares of the image's side: 150 of 331 pixels in the papers.
OPERATIONS: dict[str, tuple[float, bool, Callable[[Tensor, float], Tensor]]] = {
    "identity": (0, False, lambda images, _: images),
    "shear_x": (0.3, True, lambda images, m: _affine(images, shear=[_shear(m), 0.0], center=[0, 0])),
    "shear_y": (0.3, True, lambda images, m: _affine(images, shear=[0.0, _shear(m)], center=[0, 0])),
    "translate_x": (150 / 331, True, lambda images, m: _affine(images, translate=[int(m * images.shape[3]), 0])),
    "translate_y": (150 / 331, True, lambda images, m: _affine(images, translate=[0, int(m * images.shape[2])])),
    "rotate": (30, True, lambda images, m: F.rotate(images, m)),
    "brightness": (0.9, True, lambda images, m: F.adjust_brightness(images, 1 + m)),
    "color": (0.9, True, lambda images, m: F.adjust_saturation(images, 1 + m)),
    "contrast": (0.9, True, lambda images, m: F.adjust_contrast(images, 1 + m)),
    "sharpness": (0.9, True, lambda images, m: F.adjust_sharpness(images, 1 + m)),
    "posterize": (4, False, lambda images, m: F.posterize(images, 8 - round(m))),
    "solarize": (255, False, lambda images, m: F.solarize(images, 255 - m)),
    "auto_contrast": (0, False, lambda images, _: F.autocontrast(images)),
    "equalize": (0, False, lambda images, _: F.equalize(images)),
    "invert": (0, False, lambda images, _: F.invert(images)),
}
NAMES = list(OPERATIONS)
DIRECTED = torch.tensor([directed for _, directed, _ in OPERATIONS.values()])


class _Operations(Transform):
    """Applies to each sample the operations that were drawn for it: one call for all samples of one operation."""

    on_device = False  # which samples share an operation is found on the CPU, without waiting for the device
    bins: ClassVar[int]  # magnitudes are 0..bins - 1

    @staticmethod
    def drawn(operations: Tensor, magnitudes: Tensor, generator: torch.Generator) -> Tensor:
        """A row for each sample of ``operations[B, n]``, with directions drawn for those that have two."""
        directions = 2 * torch.randint(0, 2, operations.shape, generator=generator) - 1
        directions = directions.where(DIRECTED[operations], 1)
        return torch.stack([operations, magnitudes, directions], dim=2).flatten(1)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """``drawn[B, 3 n]``: of n operations one after the other, the number, the magnitude and the direction."""
        pixels = images.permute(0, 3, 1, 2)
        for step in drawn.view(len(drawn), -1, 3).unbind(1):
            changed = pixels.clone()
            for operation, magnitude, direction in step.unique(dim=0).tolist():
                strongest, _, function = OPERATIONS[NAMES[operation]]
                strength = direction * strongest * magnitude / (self.bins - 1)
                chosen = (step == torch.tensor([operation, magnitude, direction])).all(dim=1).nonzero()[:, 0]
                chosen = chosen.to(images.device)
                changed[chosen] = function(pixels[chosen].contiguous(), strength)
            pixels = changed
        return pixels.permute(0, 2, 3, 1).contiguous()


class RandAugment(_Operations):
    """RandAugment (arXiv:1909.13719): operations chosen with equal chance, all of one magnitude.

    The operations and their strengths are torchvision's; its draw is one for a whole batch, here each sample has its
    own.

    Args:
        operations: how many are applied to an image, at least 1.
        magnitude: 0 to 30.
    """

    bins = 31

    def __init__(self, operations: int = 2, magnitude: int = 9) -> None:
        check_range("[1, inf)", operations=operations)
        check_range("[0, 30]", magnitude=magnitude)
        self.operations, self.magnitude = operations, magnitude

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        among = len(NAMES) - 1  # without invert
        operations = torch.randint(0, among, (count, self.operations), generator=generator)
        magnitudes = torch.full_like(operations, self.magnitude)
        return self.drawn(operations, magnitudes, generator)


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


class AutoAugment(_Operations):
    """AutoAugment (arXiv:1805.09501), the policy found on CIFAR-10: one of 25 pairs of operations for each image."""

    bins = 10

    def __init__(self) -> None:
        words = [pair.split() for line in CIFAR10_POLICY.split("\n") for pair in line.split("|") if pair]
        self.operations = torch.tensor([[NAMES.index(pair[0]), NAMES.index(pair[3])] for pair in words])
        self.chances = torch.tensor([[int(pair[1]), int(pair[4])] for pair in words]) / 10
        self.magnitudes = torch.tensor([[int(pair[2]), int(pair[5])] for pair in words])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        pair = torch.randint(0, len(self.operations), (count,), generator=generator)
        skipped = torch.rand(count, 2, generator=generator) >= self.chances[pair]
        operations = self.operations[pair].masked_fill(skipped, NAMES.index("identity"))
        return self.drawn(operations, self.magnitudes[pair], generator)
