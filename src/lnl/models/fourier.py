"""Random Fourier features of pixels: a kernel machine for small images, without training."""

import torch
from torch import Tensor, nn

from lnl.models.pretrained import Head, PretrainedModel


class RandomFourier(nn.Module):
    r"""Random Fourier features (Rahimi and Recht, 2007, Random features for large-scale kernel machines, NeurIPS).

    Of an image's pixels less their mean, of length 1, as a row x: :math:`[\cos(xW), \sin(xW)]`, with the entries of W
    drawn from :math:`N(0, \gamma)`, the same in every run. The cosine of two images' features is about
    :math:`\exp(-\gamma (1 - r))`, r being the correlation of their pixels: brightness and contrast do not count.

    Args:
        inputs: number of values of an image.
        num_features: F, even.
        gamma: above 0; the larger, the fewer images are alike.

    Shape: images ``[B, C, H, W]``; returns ``[B, F]``.
    """

    weight: Tensor

    def __init__(self, inputs: int, num_features: int, gamma: float) -> None:
        super().__init__()
        if num_features % 2 or num_features < 2 or not gamma > 0:
            raise ValueError(f"num_features must be even and gamma above 0, got {num_features} and {gamma}")
        drawn = torch.randn(inputs, num_features // 2, generator=torch.Generator().manual_seed(0))
        self.register_buffer("weight", drawn * gamma**0.5)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.flatten(1)
        angles = nn.functional.normalize(rows - rows.mean(dim=1, keepdim=True)) @ self.weight
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class RandomFourierModel(PretrainedModel):
    """:class:`RandomFourier` as a frozen backbone, and a head.

    Args:
        image_size: side of the square images.
        num_features, gamma: as of :class:`RandomFourier`.
        num_classes, in_channels, head: as of :class:`~lnl.models.PretrainedModel`.
    """

    def __init__(
        self,
        image_size: int,
        num_classes: int,
        in_channels: int = 3,
        num_features: int = 2048,
        gamma: float = 2.0,
        head: Head = "linear",
    ) -> None:
        backbone = RandomFourier(in_channels * image_size**2, num_features, gamma)
        super().__init__(backbone, num_features, num_classes, in_channels, head, freeze=True)

    def features(self, images: Tensor) -> Tensor:
        """As of :class:`~lnl.models.PretrainedModel`; grey images stay grey."""
        return images if images.ndim == 2 else self.backbone(images)
