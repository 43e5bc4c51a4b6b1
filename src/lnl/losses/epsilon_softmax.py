"""Losses of epsilon-softmax, whose output is near to one-hot."""

import math

import torch
from torch import Tensor

from lnl.errors import check_range
from lnl.losses.base import Loss
from lnl.losses.functional import improbabilities, log_complement, log_probabilities


class EpsilonSoftmax(Loss):
    r"""Cross entropy of :math:`\epsilon`-softmax with mean absolute error (Wang et al., epsilon-Softmax, NeurIPS 2024):
    :math:`-\alpha (1 - p'_y)^\gamma \log p'_y + \beta (2 - 2 p_y)` with :math:`p' = \frac{p + m e}{m + 1}`, e being the
    one-hot vector of the largest p.

    As in the authors' code p' is at least 1e-8, below which its term has no gradient. Theirs stops the gradient through
    :math:`(1 - p')^\gamma`, where this one has the formula's.

    Args:
        alpha, beta: weights, at least 0. The authors' alpha, beta, m on CIFAR-10: symmetric 0.01, 5, 1e5; asymmetric
            0.02, 5, 1e3; instance-dependent 0.045, 10, 1e5; human 0.5, 1, 1e4. On CIFAR-100 with 40 % symmetric
            noise: 0.03, 1, 1e4.
        m: at least 0; 0 leaves softmax as it is.
        gamma: of the focal loss, at least 0; 0 is cross entropy, the authors' focal loss has 0.1.

    Shape: as of :class:`Loss`; returns ``[B]`` from 0.
    """

    def __init__(self, alpha: float = 0.01, beta: float = 5.0, m: float = 1e5, gamma: float = 0.0) -> None:
        super().__init__()
        check_range("[0, inf)", alpha=alpha, beta=beta, m=m, gamma=gamma)
        self.alpha, self.beta, self.m, self.gamma = alpha, beta, m, gamma

    def of_every_label(self, logits: Tensor) -> Tensor:
        log_p, miss = log_probabilities(logits), improbabilities(logits)
        first = log_p.argmax(dim=1, keepdim=True)
        largest = torch.zeros_like(log_p, dtype=torch.bool).scatter(1, first, True)
        raised = torch.where(largest, torch.log1p(-miss / (self.m + 1)), log_p - math.log1p(self.m))
        cross_entropy = -raised.clamp(min=math.log(1e-8))
        if self.gamma:
            others = torch.log1p(-raised.masked_fill(largest, -torch.inf).exp())
            of_largest = log_complement(log_p) - math.log1p(self.m)
            cross_entropy = torch.exp(self.gamma * torch.where(largest, of_largest, others)) * cross_entropy
        return self.alpha * cross_entropy + 2 * self.beta * miss
