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
    """Batch norm and ReLU before each of two 3x3 convolutions; the shortcut leaves after the first activation."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        changes = stride != 1 or in_channels != channels
        self.shortcut = nn.Conv2d(in_channels, channels, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu(self.bn1(x))
        residual = self.conv2(self.relu(self.bn2(self.conv1(active))))
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
