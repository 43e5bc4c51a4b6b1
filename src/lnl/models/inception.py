"""The small Inception of "Understanding deep learning requires rethinking generalization"."""

import torch
from torch import Tensor, nn


class ShiftedBatchNorm(nn.BatchNorm2d):
    """Batch norm that learns a shift and no scale: what follows (ReLU, then something linear) can scale as well."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


def conv_module(fan_in: int, fan_out: int, kernel: int, stride: int = 1, batch_norm: bool = True) -> nn.Sequential:
    """Convolution, batch norm, ReLU; without batch norm the convolution has a bias in its place."""
    convolution = nn.Conv2d(fan_in, fan_out, kernel, stride, padding=kernel // 2, bias=not batch_norm)
    norm = [ShiftedBatchNorm(fan_out)] if batch_norm else []
    return nn.Sequential(convolution, *norm, nn.ReLU(inplace=True))


class InceptionModule(nn.Module):
    """1x1 and 3x3 convolutions side by side, their channels joined."""

    def __init__(self, fan_in: int, narrow: int, wide: int, batch_norm: bool) -> None:
        super().__init__()
        self.narrow = conv_module(fan_in, narrow, 1, batch_norm=batch_norm)
        self.wide = conv_module(fan_in, wide, 3, batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.narrow(x), self.wide(x)], dim=1)


class DownsampleModule(nn.Module):
    """A 3x3 convolution and 3x3 max pooling side by side, both of stride 2, their channels joined."""

    def __init__(self, fan_in: int, channels: int, batch_norm: bool) -> None:
        super().__init__()
        self.conv = conv_module(fan_in, channels, 3, stride=2, batch_norm=batch_norm)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), self.pool(x)], dim=1)


class InceptionSmall(nn.Module):
    """The small Inception of arXiv:1611.03530, figure 3.

    From the paper: a 3x3 convolution of 96 channels; inception modules (1x1, 3x3 channels) (32, 32), (32, 48), a
    downsampling one of 80; (112, 48), (96, 64), (80, 80), (48, 96), a downsampling one of 96; (176, 160), (176, 160);
    the mean over all pixels; a linear layer. 28x28 pixels become 14x14, then 7x7.

    The paper gives 1,649,402 parameters, with and without batch norm. That is this network if convolutions have a bias
    without batch norm, and if batch norm has a shift and no scale, which is inferred here. Chosen here: padding that
    keeps the size, He initialisation (of normal draws, by the inputs), dropout.

    Args:
        num_classes: K.
        in_channels: image channels.
        batch_norm: false is the paper's "Inception w/o BatchNorm".
        dropout: share of the features that is dropped before the linear layer; the paper has none on CIFAR-10.

    Shape: images ``[B, C, H, W]``; returns logits ``[B, K]``.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, batch_norm: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_module(in_channels, 96, 3, batch_norm=batch_norm)]
        width = 96
        for modules, downsample in (
            ([(32, 32), (32, 48)], 80),
            ([(112, 48), (96, 64), (80, 80), (48, 96)], 96),
            ([(176, 160), (176, 160)], 0),
        ):
            for narrow, wide in modules:
                layers.append(InceptionModule(width, narrow, wide, batch_norm))
                width = narrow + wide
            if downsample:
                layers.append(DownsampleModule(width, downsample, batch_norm))
                width += downsample
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(images).mean(dim=(2, 3))))
