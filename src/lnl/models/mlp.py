"""Multilayer perceptrons on raw pixels."""

import itertools

from torch import Tensor, nn


class MLP(nn.Module):
    """Fully connected network with ReLU, as in arXiv:1611.03530 (1x512 and 3x512).

    At 28x28 pixels, 3 channels and 10 classes they have the paper's 1,209,866 and 1,735,178 parameters.

    Args:
        num_classes: K.
        in_channels: image channels.
        image_size: side of the square images in pixels.
        depth: number of hidden layers.
        width: units in each.
        dropout: share of each hidden layer's units that is dropped in training.

    Shape: images ``[B, C, H, W]``; returns logits ``[B, K]``.
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
        super().__init__()
        sizes = [in_channels * image_size**2] + [width] * depth
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU(inplace=True)]
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
