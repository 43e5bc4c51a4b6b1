"""Baselines on frozen features: a regularised linear head and nearest neighbours, each fitted at once."""

import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from torch import Tensor, nn
from torch.nn import functional as F

from lnl.errors import check_range
from lnl.methods.fit_once import FitOnce


class LinearHead(nn.Module):
    """Logistic regression, by scikit-learn, on the direction of features.

    Its strength, the inverse C of the L2 penalty, is that with the highest cross-validated accuracy on the given
    labels, however wrong some are: with the usual C of 1 for standardised features the head learns the noise.

    Shape: features ``[B, F]``; returns logits ``[B, K]``.
    """

    def __init__(self, num_features: int, num_classes: int, strengths: list[float], folds: int) -> None:
        super().__init__()
        self.strengths, self.folds = strengths, folds
        self.weight = nn.Parameter(torch.zeros(num_classes, num_features), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(num_classes), requires_grad=False)

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """Fits the head on ``features[n, F]`` and ``labels[n]``; a class without samples is never predicted."""
        rows = F.normalize(torch.from_numpy(features), dim=1).numpy()
        folds = min(self.folds, int(np.bincount(labels)[np.unique(labels)].min()))
        regression: Any = LogisticRegression(C=self.strengths[0], max_iter=300)
        if len(self.strengths) > 1 and folds > 1:
            splits = StratifiedKFold(folds, shuffle=True, random_state=0)
            regression = GridSearchCV(regression, {"C": self.strengths}, cv=splits)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ConvergenceWarning)  # of strengths that are not chosen
            fitted = regression.fit(rows, labels)
        fitted = getattr(fitted, "best_estimator_", fitted)
        weight, bias = fitted.coef_, fitted.intercept_
        if len(fitted.classes_) == 2:  # scikit-learn has one row then, the second class's
            weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
        present = torch.from_numpy(fitted.classes_)
        self.weight.zero_()[present] = torch.from_numpy(weight).to(self.weight)
        self.bias.fill_(-1e9)[present] = torch.from_numpy(bias).to(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(F.normalize(features, dim=1), self.weight, self.bias)


class NeighbourHead(nn.Module):
    r"""Weighted nearest neighbours by cosine: class k has :math:`\sum_{j \in N(x),\, y_j = k} r_j e^{s_j / \tau}`.

    :math:`N(x)` are the ``neighbours`` nearest training samples, :math:`s_j` their cosine with x, :math:`\tau` the
    temperature (arXiv:1805.01978). The reliability :math:`r_j` is 1, or with ``reliability`` the share of j's own
    neighbours that have j's label.

    Shape: features ``[B, F]``; returns logits ``[B, K]``, log shares.
    """

    rows: Tensor
    votes: Tensor
    kept: Tensor

    def __init__(
        self, num_features: int, num_classes: int, samples: int, neighbours: int, temperature: float, reliability: bool
    ) -> None:
        super().__init__()
        check_range("[1, inf)", neighbours=neighbours)
        check_range("(0, inf)", temperature=temperature)
        self.neighbours, self.temperature, self.reliability = neighbours, temperature, reliability
        self.register_buffer("rows", torch.zeros(samples, num_features, dtype=torch.float16))
        self.register_buffer("votes", torch.zeros(samples, num_classes))
        self.register_buffer("kept", torch.zeros(samples, dtype=torch.bool))  # rows of samples that are trained on

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """Keeps ``features[n, F]`` and ``labels[n]``."""
        count, device = len(labels), self.rows.device
        given = F.one_hot(torch.from_numpy(labels), self.votes.shape[1]).float().to(device)
        self.kept.fill_(False)[:count] = True
        self.rows.zero_()[:count] = F.normalize(torch.from_numpy(features).to(device), dim=1).half()
        self.votes.zero_()[:count] = given
        if self.reliability:
            shares = [self._shares(part.float(), itself=True) for part in self.rows[:count].split(1024)]
            self.votes[:count] *= (torch.cat(shares) * given).sum(dim=1, keepdim=True)

    def forward(self, features: Tensor) -> Tensor:
        return self._shares(F.normalize(features, dim=1)).clamp(min=1e-6).log()

    def _shares(self, rows: Tensor, itself: bool = False) -> Tensor:
        """Of each class, ``[B, K]``; where a row is its own nearest neighbour (``itself``), that one does not count."""
        with torch.autocast(rows.device.type, enabled=False):
            similar = (rows.float() @ self.rows.float().T).masked_fill(~self.kept, -2)  # below every cosine
        nearest = similar.topk(min(self.neighbours + itself, len(self.rows)), dim=1)
        values, places = nearest.values[:, itself:], nearest.indices[:, itself:]
        weights = ((values - values[:, :1]) / self.temperature).exp()
        shares = (weights[..., None] * self.votes[places]).sum(dim=1)
        return shares / shares.sum(dim=1, keepdim=True).clamp(min=1e-12)


class OnFeatures(FitOnce):
    """A method that fits a head of its own, :meth:`make_head`, on frozen features.

    Raises:
        ValueError: if the model has no features, or its backbone is trained.
    """

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        if getattr(self.model, "freeze", True) is not True or not hasattr(self.model, "num_features"):
            raise ValueError(f"{type(self).__name__} needs frozen features: features=backbone, fourier or PATH")
        model: Any = self.model
        model.head = self.make_head(model.num_features)

    @abstractmethod
    def make_head(self, num_features: int) -> nn.Module:
        """A head with ``fit(features[n, F], labels[n])``."""


class LinearProbe(OnFeatures):
    """Logistic regression on frozen features (:class:`LinearHead`), its strength chosen on the given labels.

    Args:
        strengths: C to choose from, of features of length 1.
        folds: of the cross-validation that chooses; fewer if a class is smaller.
    """

    def __init__(self, strengths: list[float], folds: int = 5, **base: Any) -> None:
        self.strengths, self.folds = strengths, folds
        super().__init__(**base)

    def make_head(self, num_features: int) -> nn.Module:
        return LinearHead(num_features, self.num_classes, self.strengths, self.folds)


class NearestNeighbours(OnFeatures):
    """Nearest neighbours in the space of frozen features (:class:`NeighbourHead`).

    Args:
        neighbours: how many.
        temperature: of the weights, above 0.
        reliability: whether samples count as far as their own neighbours share their label.
    """

    def __init__(self, neighbours: int = 50, temperature: float = 0.1, reliability: bool = False, **base: Any) -> None:
        self.neighbours, self.temperature, self.reliability = neighbours, temperature, reliability
        super().__init__(**base)

    def make_head(self, num_features: int) -> nn.Module:
        options = (self.neighbours, self.temperature, self.reliability)
        return NeighbourHead(num_features, self.num_classes, self.num_samples, *options)
