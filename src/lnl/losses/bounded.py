"""Cross entropy with a bound on what one label can cost, or on how steep it can be."""

import math

import torch
from torch import Tensor

from lnl.errors import check_range
from lnl.losses.base import Loss
from lnl.losses.functional import improbabilities, log_probabilities


class TaylorCrossEntropy(Loss):
    r"""Taylor cross entropy, the first terms of cross entropy's series, :math:`\sum_{i=1}^{t} \frac{(1 - p_y)^i}{i}`
    (Feng et al., Can Cross Entropy Loss Be Robust to Label Noise?, IJCAI 2020).

    Args:
        order: t, at least 1; 1 is the absolute error :math:`1 - p_y`.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 1 + 1/2 + ... + 1/t]``.
    """

    def __init__(self, order: int = 2) -> None:
        super().__init__()
        check_range("[1, inf)", order=order)
        self.order = order

    def of_every_label(self, logits: Tensor) -> Tensor:
        miss = improbabilities(logits)
        total = torch.zeros_like(miss)
        for i in range(self.order, 0, -1):  # Horner's rule
            total = miss * (total + 1 / i)
        return total


class PartiallyHuberisedCrossEntropy(Loss):
    r"""Partially Huberised cross entropy (PHuber-CE), :math:`-\log p_y` where :math:`p_y > 1/\tau`, and its tangent
    :math:`1 + \log \tau - \tau p_y` below (Menon et al., Can gradient clipping mitigate label noise?, ICLR 2020).

    Args:
        tau: above 1. The authors': 2 on CIFAR-10, 10 on MNIST and CIFAR-100.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 1 + log(tau)]``.
    """

    def __init__(self, tau: float = 2.0) -> None:
        super().__init__()
        check_range("(1, inf)", tau=tau)
        self.tau = tau

    def of_every_label(self, logits: Tensor) -> Tensor:
        log_p, log_tau = log_probabilities(logits), math.log(self.tau)
        return torch.where(log_p > -log_tau, -log_p, 1 + log_tau - self.tau * log_p.exp())


class BiTemperedLogisticLoss(Loss):
    r"""Bi-tempered logistic loss (arXiv:1906.03361),
    :math:`-\log_{t_1} p_y - \frac{1}{2 - t_1} \left(1 - \sum_k p_k^{2 - t_1}\right)`.

    :math:`\log_t x = \frac{x^{1-t} - 1}{1 - t}` is bounded for :math:`t_1 < 1`, and :math:`p_k = \exp_{t_2}(z_k -
    \lambda(z))` has heavy tails for :math:`t_2 > 1`, where :math:`\exp_t` is the inverse of :math:`\log_t` and
    :math:`\lambda` makes p sum to 1. 1, 1 is cross entropy. The paper's loss of soft labels q differs by what does
    not depend on p.

    Args:
        t1: in [0, 1].
        t2: at least 1. The authors' t1, t2 on noisy CIFAR-100: 0.8, 1.2.

    Shape: as of :class:`Loss`; returns ``[B]`` from 0, at most ``1/(1-t1)``.
    """

    def __init__(self, t1: float = 0.8, t2: float = 1.2) -> None:
        super().__init__()
        check_range("[0, 1]", t1=t1)
        check_range("[1, inf)", t2=t2)
        self.t1, self.t2 = t1, t2

    def of_every_label(self, logits: Tensor) -> Tensor:
        log_p, t = tempered_log_softmax(logits, self.t2), self.t1
        tempered_log = log_p if t == 1 else torch.expm1((1 - t) * log_p) / (1 - t)
        return -tempered_log - (1 - ((2 - t) * log_p).exp().sum(dim=1, keepdim=True)) / (2 - t)


def tempered_log_softmax(logits: Tensor, t: float) -> Tensor:
    r"""The logarithm of :math:`\exp_t(z_k - \lambda(z))`, which sums to 1, ``[B, K] -> [B, K]``, for t of at least 1.

    Newton's method finds :math:`\lambda`. It starts at the largest logit, from where it rises to the root of a convex
    function without passing it. :math:`\lambda` has the gradient of the implicit function.
    """
    if t == 1:
        return log_probabilities(logits)
    z = logits.to(torch.promote_types(logits.dtype, torch.float32))

    def log_exp_t(shift: Tensor) -> Tensor:
        return -torch.log1p((t - 1) * (shift - z)) / (t - 1)

    with torch.no_grad():
        shift = z.amax(dim=1, keepdim=True)
        for _ in range(20):
            log_p = log_exp_t(shift)
            shift = shift + (log_p.exp().sum(dim=1, keepdim=True) - 1) / (t * log_p).exp().sum(dim=1, keepdim=True)
        slope = (t * log_exp_t(shift)).softmax(dim=1)
    return log_exp_t(shift + (slope * (z - z.detach())).sum(dim=1, keepdim=True))


class UnhingedLoss(Loss):
    r"""Unhinged loss, :math:`1 - (z_y - \frac{1}{K} \sum_k z_k)` (arXiv:1505.07634, there for two classes).

    It is linear in the logits and sums to K over all labels, which makes it robust to symmetric noise, and has no lower
    bound: it needs weight decay or few epochs.

    Shape: as of :class:`Loss`; returns ``[B]``.
    """

    def of_every_label(self, logits: Tensor) -> Tensor:
        z = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return 1 - (z - z.mean(dim=1, keepdim=True))
