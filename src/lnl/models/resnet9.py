"""The small residual network of the fast-training literature."""

from torch import Tensor, nn


class ResNet9(nn.Module):
    """ResNet-9 for small images: eight 3x3 convolutions with batch norm and ReLU, two residual pairs, one linear layer.

    After D. Page, "How to train your ResNet" (2018), with its 64 first channels made ``width``: convolutions of w, 2w,
    4w and 8w channels, 2x2 max pooling after the last three, a residual pair after the second and the fourth, global
    max pooling. It does not scale the logits by 1/8.

    Args:
        num_classes: K.
        in_channels: image channels.
        width: channels of the first convolution.

    Shape: images ``[B, C, H, W]``, H and W at least 8; returns logits ``[B, K]``.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.features = nn.Sequential(
            convolution(in_channels, width),
            convolution(width, 2 * width, nn.MaxPool2d(2)),
            Residual(2 * width),
            convolution(2 * width, 4 * width, nn.MaxPool2d(2)),
            convolution(4 * width, 8 * width, nn.MaxPool2d(2)),
            Residual(8 * width),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(8 * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


class Residual(nn.Module):
    """Two convolutions around which the input is led."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pair = nn.Sequential(convolution(width, width), convolution(width, width))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.pair(features)


def convolution(channels: int, width: int, *pooling: nn.Module) -> nn.Sequential:
    """3x3 convolution, pooling if any, batch norm, ReLU."""
    convolve = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    return nn.Sequential(convolve, *pooling, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
