"""The networks of "Understanding deep learning requires rethinking generalization" (arXiv:1611.03530)."""

import itertools
from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from lnl.models.cnn import initialise


class MLP(nn.Sequential):
    """Fully connected network with ReLU on raw pixels.

    At 28x28 pixels, 3 channels and 10 classes, 1x512 and 3x512 have the paper's 1,209,866 and 1,735,178 parameters.

    Args:
        depth: number of hidden layers.
        width: units in each.
        dropout: share of each hidden layer's units that is dropped in training.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        depth: int = 1,
        width: int = 512,
        dropout: float = 0.0,
    ) -> None:
        sizes = [in_channels * image_size**2] + [width] * depth
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU(inplace=True)]
            if dropout:
                layers.append(nn.Dropout(dropout))
        super().__init__(OrderedDict(layers=nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))))


class AlexNetSmall(nn.Sequential):
    """The paper's small AlexNet.

    From the paper: two modules of 5x5 convolution, 3x3 max pooling and local response normalisation, two linear layers
    of 384 and 192 units, a linear layer to the classes; ReLU throughout.

    The paper gives 1,387,786 parameters for 28x28 pixels. That is 64 channels in both convolutions and pooling of
    stride 2 that rounds up, as in TensorFlow's CIFAR-10 tutorial of the time, which the linear layers' widths are from
    too: inferred here, and with it the tutorial's normalisation, over 9 channels with k 1, alpha .001 (of their mean;
    the tutorial's .001 / 9 is of their sum) and beta .75. Chosen here: He initialisation, dropout.

    Args:
        dropout: share of units dropped after each of the two linear layers; the paper has none on CIFAR-10.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, image_size: int = 32, dropout: float = 0.0) -> None:
        modules: list[nn.Module] = []
        for fan_in in (in_channels, 64):
            modules += [
                nn.Conv2d(fan_in, 64, 5, padding=2),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(3, stride=2, padding=1),
                nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1.0),
            ]
        hidden: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in ((64 * (-(-image_size // 4)) ** 2, 384), (384, 192)):
            hidden += [nn.Linear(fan_in, fan_out), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        classifier = nn.Sequential(*hidden, nn.Linear(192, num_classes))
        super().__init__(OrderedDict(features=nn.Sequential(*modules), classifier=classifier))
        initialise(self, nn.Conv2d | nn.Linear, nn.init.kaiming_normal_)


class ShiftedBatchNorm(nn.BatchNorm2d):
    """Batch norm that learns a shift and no scale: what follows (ReLU, then something linear) can scale as well."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


class SideBySide(nn.ModuleDict):
    """Modules that take the same images; their channels are joined."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([module(x) for module in self.values()], dim=1)


class InceptionSmall(nn.Module):
    """The paper's small Inception, figure 3.

    From the paper: a 3x3 convolution of 96 channels; inception modules (1x1 and 3x3 convolutions side by side) of
    (32, 32), (32, 48) channels, a downsampling one (3x3 convolution and max pooling of stride 2) of 80; (112, 48),
    (96, 64), (80, 80), (48, 96), a downsampling one of 96; (176, 160), (176, 160); the mean over all pixels; a linear
    layer. 28x28 pixels become 14x14, then 7x7.

    The paper gives 1,649,402 parameters, with and without batch norm. That is this network if convolutions have a bias
    without batch norm, and if batch norm has a shift and no scale, which is inferred here. Chosen here: padding that
    keeps the size, He initialisation (of normal draws, by the inputs), dropout.

    Args:
        batch_norm: false is the paper's "Inception w/o BatchNorm".
        dropout: share of the features that is dropped before the linear layer; the paper has none on CIFAR-10.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, batch_norm: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        # Convolution, batch norm, ReLU; without batch norm the convolution has a bias in its place.
        convolution = partial(Conv2dNormActivation, norm_layer=ShiftedBatchNorm if batch_norm else None)
        layers: list[nn.Module] = [convolution(in_channels, 96)]
        width = 96
        for modules, downsample in (
            ([(32, 32), (32, 48)], 80),
            ([(112, 48), (96, 64), (80, 80), (48, 96)], 96),
            ([(176, 160), (176, 160)], 0),
        ):
            for narrow, wide in modules:
                layers.append(SideBySide({"narrow": convolution(width, narrow, 1), "wide": convolution(width, wide)}))
                width = narrow + wide
            if downsample:
                pool = nn.MaxPool2d(3, stride=2, padding=1)
                layers.append(SideBySide({"conv": convolution(width, downsample, stride=2), "pool": pool}))
                width += downsample
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)
        initialise(self, nn.Conv2d, nn.init.kaiming_normal_)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(images).mean(dim=(2, 3))))
