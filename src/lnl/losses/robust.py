"""Losses made robust by bounding what one wrong label can cost."""

import math

import torch
from torch import Tensor

from lnl.errors import check_range
from lnl.losses.base import Loss
from lnl.losses.functional import improbabilities, log_probabilities
from lnl.losses.standard import CrossEntropy


class ReverseCrossEntropy(Loss):
    r"""Reverse cross entropy, :math:`-\sum_k p_k \log q_k` with :math:`\log 0 := A` (arXiv:1908.06112).

    For a one-hot label this is :math:`-A (1 - p_y)`: linear in the probability of the label, hence bounded.

    Args:
        log_zero: the value A of log 0. The paper prints -4, its code uses ``log(1e-4) = -9.21``, the default here.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, -A]``.
    """

    def __init__(self, log_zero: float = math.log(1e-4)) -> None:
        super().__init__()
        if log_zero >= 0:
            raise ValueError(f"log_zero must be negative, got {log_zero}")
        self.log_zero = log_zero

    def of_every_label(self, logits: Tensor) -> Tensor:
        return -self.log_zero * improbabilities(logits)


class SymmetricCrossEntropy(Loss):
    r"""Symmetric cross entropy, :math:`\alpha\,\mathrm{CE} + \beta\,\mathrm{RCE}` (arXiv:1908.06112).

    Args:
        alpha: weight of cross entropy. The authors': 0.1 on CIFAR-10, 0.01 on MNIST, 6 on CIFAR-100.
        beta: weight of reverse cross entropy. The authors': 1 on CIFAR-10 and MNIST, 0.1 on CIFAR-100.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, inf)``.
    """

    def __init__(self, alpha: float = 0.1, beta: float = 1.0) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        self.cross_entropy, self.reverse = CrossEntropy(), ReverseCrossEntropy()

    def of_every_label(self, logits: Tensor) -> Tensor:
        return self.alpha * self.cross_entropy.of_every_label(logits) + self.beta * self.reverse.of_every_label(logits)


class GeneralizedCrossEntropy(Loss):
    r"""Generalized cross entropy, :math:`(1 - p_y^q) / q` (arXiv:1805.07836), without the paper's truncation.

    Args:
        q: in (0, 1]. Towards 0 it becomes cross entropy; at 1 it is the absolute error ``1 - p_y``.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 1/q]``.
    """

    def __init__(self, q: float = 0.7) -> None:
        super().__init__()
        check_range("(0, 1]", q=q)
        self.q = q

    def of_every_label(self, logits: Tensor) -> Tensor:
        return -torch.expm1(self.q * log_probabilities(logits)) / self.q
