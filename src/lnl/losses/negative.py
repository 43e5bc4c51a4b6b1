r"""Normalized negative losses, the passive losses of active negative loss functions (NeurIPS 2023).

A loss that is bounded by A is turned over, :math:`A - L`, normalised, and turned over again.
"""

import math

import torch
from torch import Tensor

from lnl.errors import check_range
from lnl.losses.base import Loss
from lnl.losses.functional import log_complement, log_probabilities
from lnl.losses.normalized import normalized

LOG_LEAST = math.log(1e-7)  # of the probabilities, as in the authors' code: it bounds the loss that is turned over


class NormalizedNegativeCrossEntropy(Loss):
    r"""Normalized negative cross entropy, :math:`1 - \frac{A + \log p_y}{\sum_k (A + \log p_k)}` with
    :math:`A = -\log 10^{-7}` (Ye et al., Active Negative Loss Functions for Learning with Noisy Labels, NeurIPS 2023).

    As in the authors' code p is at least 1e-7, below which there is no gradient. Over all labels it sums to K - 1.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 1]``.
    """

    def of_every_label(self, logits: Tensor) -> Tensor:
        return 1 - normalized(log_probabilities(logits).clamp(min=LOG_LEAST) - LOG_LEAST)


class NormalizedNegativeFocalLoss(Loss):
    r"""Normalized negative focal loss, :math:`1 - \frac{A - F_y}{\sum_k (A - F_k)}` with the focal losses
    :math:`F_k = -(1 - p_k)^\gamma \log p_k` and their largest value, :math:`A = -(1 - 10^{-7})^\gamma \log 10^{-7}`
    (Ye et al., NeurIPS 2023).

    As in the authors' code p is at least 1e-7. Theirs stops the gradient through the factors :math:`(1-p)^\gamma`:
    the same value, another gradient. Here the gradient is the formula's.

    Args:
        gamma: at least 0; 0 gives :class:`NormalizedNegativeCrossEntropy`.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, 1]``.
    """

    def __init__(self, gamma: float = 0.5) -> None:
        super().__init__()
        check_range("[0, inf)", gamma=gamma)
        self.gamma = gamma

    def of_every_label(self, logits: Tensor) -> Tensor:
        log_p = log_probabilities(logits)
        factor = torch.exp(self.gamma * log_complement(log_p).clamp(max=math.log1p(-1e-7)))
        bound = -math.exp(self.gamma * math.log1p(-1e-7)) * LOG_LEAST
        return 1 - normalized(bound + factor * log_p.clamp(min=LOG_LEAST))
