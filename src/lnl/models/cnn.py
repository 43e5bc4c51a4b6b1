"""Convolutional networks of the noisy-label literature for small images."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import UnionType

from torch import Tensor, nn


def check_image_size(image_size: int, least: int) -> None:
    """Raises ValueError if images are too small for the poolings."""
    if image_size < least:
        raise ValueError(f"images of {image_size}x{image_size} are too small: the model needs {least}x{least} pixels")


def initialise(model: nn.Module, kind: type | UnionType, draw: Callable[[Tensor], Tensor]) -> None:
    """Draws the weights of all layers of a kind; their biases start at 0."""
    for layer in model.modules():
        if isinstance(layer, kind):
            draw(layer.weight)  # type: ignore[arg-type]
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


class SmallCNN(nn.Sequential):
    """The small CNN of the APL study: convolutions with max pooling, then two linear layers with Xavier initialisation.

    Each stage is a 3x3 convolution, 2x2 max pooling, batch norm and ReLU; the first gives 32x32x8 on CIFAR-10 before it
    is pooled. The study names that size, convolution, ReLU, pooling, two linear layers and Xavier initialisation. The
    channels that follow, the hidden width, He initialisation of the convolutions and batch norm, without which
    active-passive losses do not get far in the study's 7 epochs, are chosen here (``docs/studies/apl.md``).

    Args:
        channels: output channels of each stage.
        hidden: width of the first linear layer.
        batch_norm: after each convolution and the first linear layer.
        dropout: share of the hidden units that is dropped in training.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        channels: Sequence[int] = (8, 32, 64),
        hidden: int = 128,
        batch_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_image_size(image_size, 2 ** len(channels))
        stages: list[nn.Module] = []
        for wide_in, wide_out in zip([in_channels, *channels], channels, strict=False):
            norm = [nn.BatchNorm2d(wide_out)] if batch_norm else []
            # Pooled first, because a quarter is then left to normalise; ReLU and max pooling change places freely.
            stages += [nn.Conv2d(wide_in, wide_out, 3, padding=1), nn.MaxPool2d(2), *norm, nn.ReLU(inplace=True)]
        classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels[-1] * (image_size // 2 ** len(channels)) ** 2, hidden),
            *([nn.BatchNorm1d(hidden)] if batch_norm else []),
            nn.ReLU(inplace=True),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.Linear(hidden, num_classes),
        )
        super().__init__(OrderedDict(features=nn.Sequential(*stages), classifier=classifier))
        initialise(self, nn.Conv2d, nn.init.kaiming_normal_)
        initialise(self, nn.Linear, nn.init.xavier_uniform_)


class CNN8(nn.Sequential):
    """The 8-layer CNN of the APL line (arXiv:2006.13554): six convolutions with batch norm, then two linear layers.

    Two 3x3 convolutions each of 64, 128 and 196 channels, with batch norm and ReLU, 2x2 max pooling after each pair;
    then 256 units with batch norm and ReLU, then the classes. Images have at least 8x8 pixels.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, image_size: int = 32) -> None:
        check_image_size(image_size, 8)
        side = image_size // 8
        layers: list[nn.Module] = []
        for width in (64, 128, 196):
            for _ in range(2):
                layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                in_channels = width
            layers.append(nn.MaxPool2d(2))
        hidden = [nn.Flatten(), nn.Linear(196 * side**2, 256), nn.BatchNorm1d(256), nn.ReLU(inplace=True)]
        classifier = nn.Sequential(*hidden, nn.Linear(256, num_classes))
        super().__init__(OrderedDict(features=nn.Sequential(*layers), classifier=classifier))


class DropoutCNN(nn.Sequential):
    """Three 3x3 convolutions without padding, with ReLU, 2x2 max pooling and dropout, then three linear layers.

    Convolutions of 32, 32 and 64 channels, each followed by dropout of 0.2; 200 and 100 units with ReLU, dropout of
    0.5, then the classes. Images have at least 22x22 pixels.

    Args:
        dropout: after a convolution, and before the last layer.
    """

    def __init__(
        self, num_classes: int, in_channels: int = 3, image_size: int = 32, dropout: Sequence[float] = (0.2, 0.5)
    ) -> None:
        check_image_size(image_size, 22)
        layers: list[nn.Module] = []
        side = image_size
        for width in (32, 32, 64):
            layers += [nn.Conv2d(in_channels, width, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(dropout[0])]
            in_channels, side = width, (side - 2) // 2
        hidden = [nn.Flatten(), nn.Linear(64 * side**2, 200), nn.ReLU(inplace=True)]
        hidden += [nn.Linear(200, 100), nn.ReLU(inplace=True), nn.Dropout(dropout[1])]
        classifier = nn.Sequential(*hidden, nn.Linear(100, num_classes))
        super().__init__(OrderedDict(features=nn.Sequential(*layers), classifier=classifier))
