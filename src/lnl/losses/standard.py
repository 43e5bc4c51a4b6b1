"""The losses that label noise is usually met with: cross entropy, its focal form, and the absolute error."""

import torch
from torch import Tensor, nn

from lnl.losses.functional import label_improbability, log_complement, log_probabilities, pick


class CrossEntropy(nn.Module):
    r"""Cross entropy, :math:`-\log p_y`.

    Shape: logits ``[B, K]``, labels ``[B]`` int64 in ``[0, K)``; returns ``[B]`` in ``[0, inf)``.
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return -pick(log_probabilities(logits), labels)


class FocalLoss(nn.Module):
    r"""Focal loss, :math:`-(1 - p_y)^\gamma \log p_y` (arXiv:1708.02002).

    Args:
        gamma: how strongly easy samples are played down, at least 0 (0 is cross entropy). The noisy-label
            literature uses 0.5, detection 2.

    Shape: logits ``[B, K]``, labels ``[B]`` int64 in ``[0, K)``; returns ``[B]`` in ``[0, inf)``.
    """

    def __init__(self, gamma: float = 0.5) -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f"gamma must be at least 0, got {gamma}")
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        log_p = log_probabilities(logits)
        factor = torch.exp(self.gamma * pick(log_complement(log_p), labels))
        return -factor * pick(log_p, labels)


class MeanAbsoluteError(nn.Module):
    r"""Mean absolute error as the APL line has it, :math:`1 - p_y` (arXiv:1712.09482, halved).

    The paper's own form is :math:`\sum_k |q_k - p_k| = 2 - 2 p_y`, which is :class:`L1Loss`; a ``beta`` tuned for
    one is off by a factor of two for the other.

    Shape: logits ``[B, K]``, labels ``[B]`` int64 in ``[0, K)``; returns ``[B]`` in ``[0, 1]``.
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return label_improbability(logits, labels)


class L1Loss(nn.Module):
    r"""L1 distance between softmax and one-hot label, :math:`\sum_k |q_k - p_k| = 2 - 2 p_y` (arXiv:1712.09482).

    Shape: logits ``[B, K]``, labels ``[B]`` int64 in ``[0, K)``; returns ``[B]`` in ``[0, 2]``.
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return 2 * label_improbability(logits, labels)
