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
    least, most = losses.min(), losses.max()
    spread = (most - least).where(most > least, 1)
    scaled = ((losses - least) / spread).double().cpu().numpy()[:, None]
    mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0).fit(scaled)
    return torch.from_numpy(mixture.predict_proba(scaled)[:, mixture.means_.argmin()]).to(losses)


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of ``values[B]`` where ``mask[B]`` is true; 0 if that is nowhere."""
    return values.where(mask, 0).sum() / mask.sum().clamp(min=1)


def rank_in_class(values: Tensor, labels: Tensor) -> Tensor:
    """The place of each sample among those of its label, from 0 for the smallest value: ``[n], [n] -> [n]``, int64."""
    order = values.argsort(stable=True)
    order = order[labels[order].argsort(stable=True)]
    counts = labels.bincount()
    starts = counts.cumsum(0) - counts
    places = torch.arange(len(order), device=order.device) - starts[labels[order]]
    return torch.empty_like(order).index_copy_(0, order, places)


def neighbour_votes(features: Tensor, labels: Tensor, num_classes: int, k: int) -> Tensor:
    """How many of each sample's ``k`` nearest samples by cosine, itself among them, have each label: ``[n, K]``.

    Features are ``[n, F]``, labels int64 ``[n]``.
    """
    rows = F.normalize(features.float(), dim=1)
    k = min(k, len(rows))
    nearest = torch.cat([(part @ rows.T).topk(k, dim=1, sorted=False).indices for part in rows.split(2048)])
    return rows.new_zeros(len(rows), num_classes).scatter_add_(1, labels[nearest], rows.new_ones(nearest.shape))


def class_balanced(index: Tensor, labels: Tensor) -> Tensor:
    """Samples ``index``, int64 ``[n]``, repeated so that each class has as many as the largest; ``labels`` are theirs.

    Which of them are repeated once more than others is drawn.
    """
    drawn = torch.randperm(len(index)).to(index.device)
    order = drawn[labels[drawn].argsort(stable=True)]
    counts = labels.bincount()
    starts, counts = (counts.cumsum(0) - counts)[counts > 0], counts[counts > 0]
    places = torch.arange(int(counts.max()), device=index.device)
    return index[order][(starts[:, None] + places % counts[:, None]).flatten()]


def contrastive_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    r"""NT-Xent (arXiv:2002.05709): of each of 2B vectors, cross entropy of its other view among all but itself.

    Logits are cosines over the temperature. ``first`` and ``second`` are both views' vectors, ``[B, D]``.
    """
    rows = F.normalize(torch.cat([first, second]).float(), dim=1)
    with torch.autocast(rows.device.type, enabled=False):
        logits = (rows @ rows.T / temperature).fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits, torch.arange(len(rows), device=rows.device).roll(len(first)))
