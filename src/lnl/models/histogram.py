"""Colour histograms and logistic regression: a baseline that sees no shapes."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn


class HistogramLogistic(nn.Module):
    """Logistic regression, by scikit-learn, on the number of pixels of each channel in each bin.

    :meth:`fit` fits it at once (``method=fit_once``); gradients train nothing in it.

    Args:
        mean, std: of the normalisation, one value for each channel; it is undone.
        edges: number of bin edges, at least 2, spread evenly over 0..255; the last bin includes its upper edge.
        C: inverse strength of the L2 penalty.
        max_iter: of L-BFGS.
        normalize: how images were normalised; only ``dataset`` can be undone.

    Raises:
        ValueError: for fewer than 2 edges, or images normalised one by one.
    """

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
        """Fits the regression on ``features[N, F]`` and ``labels[N]``; a class without samples is never predicted."""
        fitted = LogisticRegression(C=self.C, max_iter=self.max_iter).fit(features.astype(np.float64), labels)
        weight, bias = fitted.coef_, fitted.intercept_
        if len(fitted.classes_) == 2:  # scikit-learn has one row then, the second class's
            weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
        present = torch.from_numpy(fitted.classes_)
        self.weight.zero_()[present] = torch.from_numpy(weight).to(self.weight)
        self.bias.fill_(-1e9)[present] = torch.from_numpy(bias).to(self.bias)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 cannot hold counts up to H x W
            return nn.functional.linear(self.features(images), self.weight, self.bias)
