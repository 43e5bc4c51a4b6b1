"""The losses that label noise is usually met with: cross entropy, its focal form, and the absolute error."""

import torch
from torch import Tensor

from lnl.errors import check_range
from lnl.losses.base import Loss
from lnl.losses.functional import improbabilities, log_complement, log_probabilities


class CrossEntropy(Loss):
    r"""Cross entropy, :math:`-\log p_y`.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, inf)``.
    """

    def of_every_label(self, logits: Tensor) -> Tensor:
        return -log_probabilities(logits)


class FocalLoss(Loss):
    r"""Focal loss, :math:`-(1 - p_y)^\gamma \log p_y` (arXiv:1708.02002).

    Code for noisy labels stops the gradient through the factor :math:`(1-p_y)^\gamma`; here it is the formula's, for
    0.5 up to half as large again.

    Args:
        gamma: how strongly easy samples are played down, at least 0 (0 is cross entropy). The noisy-label
            literature uses 0.5, detection 2.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, inf)``.
    """

    def __init__(self, gamma: float = 0.5) -> None:
        super().__init__()
        check_range("[0, inf)", gamma=gamma)
        self.gamma = gamma

    def of_every_label(self, logits: Tensor) -> Tensor:
        log_p = log_probabilities(logits)
        return -torch.exp(self.gamma * log_complement(log_p)) * log_p


class MeanAbsoluteError(Loss):
    r"""Mean absolute error as the APL line has it, :math:`1 - p_y` (arXiv:1712.09482, halved).

    The paper's own form is :math:`\sum_k |q_k - p_k| = 2 - 2 p_y`, which is :class:`L1Loss`; a ``beta`` tuned for
    one is off by a factor of two for the other.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 1]``.
    """

    def of_every_label(self, logits: Tensor) -> Tensor:
        return improbabilities(logits)


class L1Loss(Loss):
    r"""L1 distance between softmax and one-hot label, :math:`\sum_k |q_k - p_k| = 2 - 2 p_y` (arXiv:1712.09482).

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 2]``.
    """

    def of_every_label(self, logits: Tensor) -> Tensor:
        return 2 * improbabilities(logits)
