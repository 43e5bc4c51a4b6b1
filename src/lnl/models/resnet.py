"""Residual networks for small images."""

import torchvision
from torch import Tensor, nn


def resnet_small_images(name: str, num_classes: int, in_channels: int = 3) -> nn.Module:
    """A torchvision ResNet (arXiv:1512.03385) with the stem used for small images: one 3x3 convolution, no pooling.

    Args:
        name: torchvision's name, ``resnet18`` or ``resnet34``.
        num_classes: K.
        in_channels: image channels.

    Shape of the module: images ``[B, C, H, W]``; returns logits ``[B, K]``.
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


class PreActResNet18(nn.Module):
    """Pre-activation ResNet-18 (arXiv:1603.05027) with a 3x3 stem, the usual network of DivideMix and its kin.

    Args:
        num_classes: K.
        in_channels: image channels.

    Shape: images ``[B, C, H, W]``; returns logits ``[B, K]``.
    """

    def __init__(self, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        width = 64
        for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [PreActBlock(width, channels, stride), PreActBlock(channels, channels, 1)]
            width = channels
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(width)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.blocks(self.stem(images))).relu()
        return self.classifier(features.mean(dim=(2, 3)))


class WideResNet(nn.Module):
    """Wide residual network (arXiv:1605.07146), WRN-``depth``-``k``: 3 groups of (depth - 4) / 6 pre-activation blocks.

    A 3x3 convolution of 16 channels, groups of 16k, 32k and 64k channels, the later two starting at stride 2, batch
    norm, ReLU, the mean over all pixels, a linear layer. WRN-28-10 has the paper's 36.5 million parameters for 10
    classes. Convolutions start as in the authors' code, from normal draws of variance 2 / (9 fan_out).

    Args:
        num_classes: K.
        in_channels: image channels.
        depth: as the paper counts layers, 4 more than a multiple of 6.
        k: widening factor, at least 1.
        dropout: share dropped between the convolutions of a block; the paper tries 0.3.

    Raises:
        ValueError: for a depth or k that cannot be.

    Shape: images ``[B, C, H, W]``; returns logits ``[B, K]``.
    """

    def __init__(
        self, num_classes: int, in_channels: int = 3, depth: int = 28, k: int = 10, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6 or k < 1:
            raise ValueError(f"depth must be 10, 16, 22, 28, ... and k at least 1, got depth={depth}, k={k}")
        self.stem = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        width = 16
        for channels, stride in ((16 * k, 1), (32 * k, 2), (64 * k, 2)):
            for number in range((depth - 4) // 6):
                blocks.append(PreActBlock(width, channels, 1 if number else stride, dropout))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(width)
        self.classifier = nn.Linear(width, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.blocks(self.stem(images))).relu()
        return self.classifier(features.mean(dim=(2, 3)))
