"""What several methods compute of labels, predictions and losses."""

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.nn import functional as F


def soft(labels: Tensor, num_classes: int) -> Tensor:
    """Labels as probabilities ``[B, K]``: one-hot, if they are integers ``[B]``."""
    return F.one_hot(labels, num_classes).float() if labels.ndim == 1 else labels


def sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    r""":math:`p_k^{1/T} / \sum_j p_j^{1/T}`, ``[B, K] -> [B, K]`` (arXiv:1905.02249)."""
    return (probabilities.log() / temperature).softmax(dim=1)


def small_loss_probability(losses: Tensor) -> Tensor:
    """The probability that a loss is of the lower one of two Gaussians fitted to all losses, ``[n] -> [n]``.

    Losses are scaled to [0, 1] first. The settings are those of DivideMix's authors (arXiv:2002.07394).
    """
    scaled = ((losses - losses.min()) / (losses.max() - losses.min())).double().cpu().numpy()[:, None]
    mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0).fit(scaled)
    return torch.from_numpy(mixture.predict_proba(scaled)[:, mixture.means_.argmin()]).to(losses)


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of ``values[B]`` where ``mask[B]`` is true; 0 if that is nowhere."""
    return values.where(mask, 0).sum() / mask.sum().clamp(min=1)
