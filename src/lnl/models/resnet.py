"""Residual networks for small images."""

from collections import OrderedDict
from collections.abc import Sequence

import torchvision
from torch import Tensor, nn


def resnet_small_images(name: str, num_classes: int, in_channels: int = 3) -> nn.Module:
    """A torchvision ResNet (arXiv:1512.03385) with the stem used for small images: one 3x3 convolution, no pooling.

    Args:
        name: torchvision's name, ``resnet18`` or ``resnet34``.
        num_classes, in_channels: as of all models.
    """
    model = torchvision.models.get_model(name, weights=None, num_classes=num_classes)
    model.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    return model


class PreActBlock(nn.Module):
    """Batch norm and ReLU before each of two 3x3 convolutions; the shortcut leaves after the first activation.

    Dropout, if any, is before the second convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        changes = stride != 1 or in_channels != channels
        self.shortcut = nn.Conv2d(in_channels, channels, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu(self.bn1(x))
        residual = self.conv2(self.dropout(self.relu(self.bn2(self.conv1(active)))))
        return residual + (x if self.shortcut is None else self.shortcut(active))


class PreActResNet(nn.Module):
    """A 3x3 convolution, groups of pre-activation blocks, batch norm, ReLU, the mean over all pixels, a linear layer.

    Args:
        stem: channels of the first convolution.
        groups: channels of each group; all but the first start at stride 2.
        blocks: number of blocks in a group.
        dropout: of the blocks.
    """

    def __init__(
        self, num_classes: int, in_channels: int, stem: int, groups: Sequence[int], blocks: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, stem, 3, padding=1, bias=False)
        layers: list[nn.Module] = []
        width = stem
        for group, channels in enumerate(groups):
            for block in range(blocks):
                layers.append(PreActBlock(width, channels, 2 if group and not block else 1, dropout))
                width = channels
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(width)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.blocks(self.stem(images))).relu()
        return self.classifier(features.mean(dim=(2, 3)))


class PreActResNet18(PreActResNet):
    """Pre-activation ResNet-18 (arXiv:1603.05027) with a 3x3 stem, the usual network of DivideMix and its kin."""

    def __init__(self, num_classes: int, in_channels: int = 3) -> None:
        super().__init__(num_classes, in_channels, stem=64, groups=(64, 128, 256, 512), blocks=2)


class WideResNet(PreActResNet):
    """Wide residual network (arXiv:1605.07146), WRN-``depth``-``k``: 3 groups of (depth - 4) / 6 pre-activation blocks.

    A stem of 16 channels and groups of 16k, 32k and 64k. WRN-28-10 has the paper's 36.5 million parameters for 10
    classes. Convolutions start as in the authors' code, from normal draws of variance 2 / (9 fan_out).

    Args:
        depth: as the paper counts layers, 4 more than a multiple of 6.
        k: widening factor, at least 1.
        dropout: share dropped between the convolutions of a block; the paper tries 0.3.

    Raises:
        ValueError: for any other depth or k.
    """

    def __init__(
        self, num_classes: int, in_channels: int = 3, depth: int = 28, k: int = 10, dropout: float = 0.0
    ) -> None:
        if depth < 10 or (depth - 4) % 6 or k < 1:
            raise ValueError(f"depth must be 10, 16, 22, 28, ... and k at least 1, got depth={depth}, k={k}")
        super().__init__(num_classes, in_channels, 16, (16 * k, 32 * k, 64 * k), (depth - 4) // 6, dropout)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


class ResNet9(nn.Sequential):
    """ResNet-9 for small images: eight 3x3 convolutions with batch norm and ReLU, two residual pairs, one linear layer.

    After D. Page, "How to train your ResNet" (2018), with its 64 first channels made ``width``: convolutions of w, 2w,
    4w and 8w channels, 2x2 max pooling after the last three, a residual pair after the second and the fourth, global
    max pooling. It does not scale the logits by 1/8. Images have at least 8x8 pixels.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: int = 64) -> None:
        features = nn.Sequential(
            convolution(in_channels, width),
            convolution(width, 2 * width, nn.MaxPool2d(2)),
            Residual(2 * width),
            convolution(2 * width, 4 * width, nn.MaxPool2d(2)),
            convolution(4 * width, 8 * width, nn.MaxPool2d(2)),
            Residual(8 * width),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        super().__init__(OrderedDict(features=features, classifier=nn.Linear(8 * width, num_classes)))


class Residual(nn.Module):
    """Two convolutions with a shortcut around both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pair = nn.Sequential(convolution(width, width), convolution(width, width))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.pair(features)


def convolution(channels: int, width: int, *pooling: nn.Module) -> nn.Sequential:
    """3x3 convolution, pooling if any, batch norm, ReLU."""
    convolve = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    return nn.Sequential(convolve, *pooling, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
