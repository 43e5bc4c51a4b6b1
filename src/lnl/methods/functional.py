"""What several methods compute of labels, predictions and losses."""

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.nn import functional as F

from lnl.losses.functional import log_probabilities


def soft(labels: Tensor, num_classes: int) -> Tensor:
    """Labels as probabilities ``[B, K]``: one-hot, if they are integers ``[B]``."""
    return F.one_hot(labels, num_classes).float() if labels.ndim == 1 else labels


def mean_rows(labels: Tensor, matrix: Tensor) -> Tensor:
    """The row of ``matrix[K, F]`` of each integer label ``[B]``; of soft labels ``[B, K]`` the mean row. ``[B, F]``."""
    if labels.ndim == 1:
        return matrix[labels]
    with torch.autocast(labels.device.type, enabled=False):
        return labels.to(matrix) @ matrix


def noisy_logits(logits: Tensor, transition: Tensor) -> Tensor:
    r""":math:`\log(p T)`: logits of the given labels, of logits ``[B, K]`` of the true ones and T ``[K, K]``.

    In float32 at least, under any autocast, and finite.
    """
    p = log_probabilities(logits).exp()
    with torch.autocast(logits.device.type, enabled=False):
        return (p @ transition.to(p)).clamp(min=torch.finfo(p.dtype).tiny).log()


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
