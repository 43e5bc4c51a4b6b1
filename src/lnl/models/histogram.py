"""Colour histograms and logistic regression: the baseline that knows no shapes."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn


class HistogramLogistic(nn.Module):
    """Multinomial logistic regression, by scikit-learn, on how many pixels of each channel fall into each bin.

    It is not descended on but fitted at once, by :meth:`fit` (``method=fit_once``).

    Args:
        num_classes: K.
        in_channels: C.
        mean, std: of the normalisation, one value a channel, which is undone.
        edges: number of bin edges, spread evenly over 0..255; the last bin has its upper edge too.
        C: inverse strength of the L2 penalty.
        max_iter: of L-BFGS.
        normalize: how images were normalised; what was done image by image cannot be undone.

    Raises:
        ValueError: for fewer than 2 edges, or images normalised one by one.

    Shape: images ``[B, C, H, W]``; returns logits ``[B, K]``.
    """

    weight: Tensor
    bias: Tensor
    edges: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        mean: list[float],
        std: list[float],
        edges: int = 6,
        C: float = 1.0,
        max_iter: int = 100,
        normalize: str = "dataset",
    ) -> None:
        super().__init__()
        if normalize != "dataset":
            raise ValueError(f"histograms need data.normalize=dataset, got '{normalize}'")
        if edges < 2:
            raise ValueError(f"model.edges must be at least 2, got {edges}")
        self.C, self.max_iter = C, max_iter
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.register_buffer("edges", torch.linspace(0, 255, edges), persistent=False)
        self.weight = nn.Parameter(torch.zeros(num_classes, in_channels * (edges - 1)), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(num_classes), requires_grad=False)

    def features(self, images: Tensor) -> Tensor:
        """Counts ``[B, C * (edges - 1)]``, channel by channel."""
        pixels = (images.float() * self.std + self.mean).mul(255).round().flatten(2)
        bins = torch.bucketize(pixels.contiguous(), self.edges[1:-1].contiguous(), right=True)
        return nn.functional.one_hot(bins, len(self.edges) - 1).sum(dim=2).flatten(1).float()

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """Fits the regression on ``features[N, F]`` and ``labels[N]``, of which classes may be absent."""
        regression = LogisticRegression(C=self.C, max_iter=self.max_iter).fit(features.astype(np.float64), labels)
        weight, bias = regression.coef_, regression.intercept_
        if len(regression.classes_) == 2:  # scikit-learn then keeps the second class's alone
            weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
        present = torch.from_numpy(regression.classes_)
        self.weight.zero_()[present] = torch.from_numpy(weight).to(self.weight)
        self.bias.fill_(-1e9)[present] = torch.from_numpy(bias).to(self.bias)  # what was never seen is not predicted

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # counts up to H x W want more than bfloat16
            return nn.functional.linear(self.features(images), self.weight, self.bias)
