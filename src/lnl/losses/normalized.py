r"""Normalized losses, :math:`L(p, y) / \sum_k L(p, k)` (arXiv:2006.13554): over all labels they sum to one.

That sum being constant is what makes them robust to symmetric noise.
"""

import torch
from torch import Tensor

from lnl.errors import check_range
from lnl.losses.base import Loss
from lnl.losses.functional import log_complement, log_probabilities


def normalized(losses: Tensor) -> Tensor:
    """Each label's share of the losses that all labels would give a sample, ``[B, K] -> [B, K]`` in [0, 1]."""
    return losses / losses.sum(dim=1, keepdim=True)


class NormalizedCrossEntropy(Loss):
    r"""Normalized cross entropy, :math:`\log p_y / \sum_k \log p_k` (arXiv:2006.13554).

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 1]``.
    """

    def of_every_label(self, logits: Tensor) -> Tensor:
        return normalized(log_probabilities(logits))


class NormalizedFocalLoss(Loss):
    r"""Normalized focal loss, :math:`(1-p_y)^\gamma \log p_y / \sum_k (1-p_k)^\gamma \log p_k` (arXiv:2006.13554).

    The authors' code stops the gradient through the factors :math:`(1-p)^\gamma`: the same value, a gradient about
    9 % different. Here the gradient is the formula's.

    Args:
        gamma: at least 0; 0 gives :class:`NormalizedCrossEntropy`.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 1]``.
    """

    def __init__(self, gamma: float = 0.5) -> None:
        super().__init__()
        check_range("[0, inf)", gamma=gamma)
        self.gamma = gamma

    def of_every_label(self, logits: Tensor) -> Tensor:
        log_p = log_probabilities(logits)
        return normalized(torch.exp(self.gamma * log_complement(log_p)) * log_p)


class NormalizedGeneralizedCrossEntropy(Loss):
    r"""Normalized generalized cross entropy, :math:`(1 - p_y^q) / (K - \sum_k p_k^q)` (arXiv:2006.13554).

    In the authors' code p is at least 1e-7, whose power 0.1 is 0.2: there, for small q, very confident predictions
    have another value.

    Args:
        q: in (0, 1]. The authors': 0.1 on CIFAR-10 and MNIST, 0.7 on CIFAR-100.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 1]``.
    """

    def __init__(self, q: float = 0.1) -> None:
        super().__init__()
        check_range("(0, 1]", q=q)
        self.q = q

    def of_every_label(self, logits: Tensor) -> Tensor:
        return normalized(-torch.expm1(self.q * log_probabilities(logits)))
