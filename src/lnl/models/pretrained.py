"""torchvision's networks, with or without their pretrained weights."""

from typing import Self

import torch
import torchvision
from torch import Tensor, nn


class TorchvisionModel(nn.Module):
    """A torchvision classifier with a new last layer for K classes.

    Args:
        name: torchvision's name, e.g. ``resnet50`` or ``mobilenet_v2``.
        num_classes: K.
        in_channels: 3, or 1 (grey images are repeated over the three channels).
        weights: null to start from scratch, or a torchvision weight name such as ``DEFAULT`` or ``IMAGENET1K_V2``,
            downloaded on first use to torch's hub folder.
        freeze: trains only the last layer; the backbone stays in evaluation mode, batch norm statistics included.

    Raises:
        ValueError: for an unknown weight name, weights that can be neither found nor downloaded, or other channels.
    """

    def __init__(
        self, name: str, num_classes: int, in_channels: int = 3, weights: str | None = None, freeze: bool = False
    ) -> None:
        super().__init__()
        if in_channels not in (1, 3):
            raise ValueError(f"{name} takes images of 1 or 3 channels, got {in_channels}")
        available = torchvision.models.get_model_weights(name)
        if weights is not None and weights not in available.__members__:
            known = ", ".join(available.__members__)
            raise ValueError(f"{name} has no weights '{weights}'; torchvision knows {known}, or null for none")
        try:
            self.network = torchvision.models.get_model(name, weights=weights)
        except OSError as error:
            folder = f"{torch.hub.get_dir()}/checkpoints"
            raise ValueError(
                f"weights {weights} of {name} are not in {folder} and could not be downloaded ({error}); "
                "put the file there, or train from scratch with model.weights=null"
            ) from error
        linear = [(n, m) for n, m in self.network.named_modules() if isinstance(m, nn.Linear)]
        if not linear:
            raise ValueError(f"{name} has no linear layer at its end to replace")
        head_name, head = linear[-1]
        self.freeze = freeze
        self.network.requires_grad_(not freeze)
        self.network.set_submodule(head_name, nn.Linear(head.in_features, num_classes))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.freeze:
            self.network.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images.expand(-1, 3, -1, -1))
