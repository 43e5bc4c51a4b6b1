"""The small AlexNet of "Understanding deep learning requires rethinking generalization"."""

from torch import Tensor, nn


class AlexNetSmall(nn.Module):
    """The small AlexNet of arXiv:1611.03530.

    From the paper: two modules of 5x5 convolution, 3x3 max pooling and local response normalisation, two linear layers
    of 384 and 192 units, a linear layer to the classes; ReLU throughout.

    The paper gives 1,387,786 parameters for 28x28 pixels. That is 64 channels in both convolutions and pooling of
    stride 2 that rounds up, as in TensorFlow's CIFAR-10 tutorial of the time, which the linear layers' widths are from
    too: inferred here, and with it the tutorial's normalisation, over 9 channels with k 1, alpha .001 (of their mean;
    the tutorial's .001 / 9 is of their sum) and beta .75. Chosen here: He initialisation, dropout.

    Args:
        num_classes: K.
        in_channels: image channels.
        image_size: side of the square images in pixels.
        dropout: share of units dropped after each of the two linear layers; the paper has none on CIFAR-10.

    Shape: images ``[B, C, H, W]``; returns logits ``[B, K]``.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, image_size: int = 32, dropout: float = 0.0) -> None:
        super().__init__()
        side = -(-image_size // 4)
        modules: list[nn.Module] = []
        for fan_in in (in_channels, 64):
            modules += [
                nn.Conv2d(fan_in, 64, 5, padding=2),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(3, stride=2, padding=1),
                nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1.0),
            ]
        self.features = nn.Sequential(*modules)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * side**2, 384),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(384, 192),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(192, num_classes),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))
