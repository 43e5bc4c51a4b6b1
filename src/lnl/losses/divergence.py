"""Jensen-Shannon divergences between labels and predictions (arXiv:2105.04522)."""

import math

from torch import Tensor

from lnl.errors import check_range
from lnl.losses.base import Loss
from lnl.losses.functional import log_probabilities


class JensenShannon(Loss):
    r"""Jensen-Shannon divergence (JS), :math:`\frac{1}{Z} \left(H(\pi_1 e_y + \pi_2 p) - \pi_2 H(p)\right)` with
    :math:`\pi_2 = 1 - \pi_1` and :math:`Z = -\pi_2 \log \pi_2` (arXiv:2105.04522).

    H is the entropy. Towards :math:`\pi_1 = 0` it becomes cross entropy, towards 1 the absolute error.

    Args:
        pi1: weight of the label, in (0, 1). The authors' for 40 % symmetric noise: 0.7 on CIFAR-10, 0.3 on CIFAR-100.

    Shape: as of :class:`Loss`; returns ``[B]`` from 0.
    """

    def __init__(self, pi1: float = 0.5) -> None:
        super().__init__()
        check_range("(0, 1)", pi1=pi1)
        self.pi1 = pi1
        self.scale = -(1 - pi1) * math.log1p(-pi1)  # Z

    def of_every_label(self, logits: Tensor) -> Tensor:
        # The classes that are not the label have the same part in both entropies.
        log_p = log_probabilities(logits)
        share = (1 - self.pi1) * log_p.exp()
        mixed = self.pi1 + share
        return 1 + (share * (math.log1p(-self.pi1) + log_p) - mixed * mixed.log()) / self.scale


class GeneralizedJensenShannon(JensenShannon):
    r"""Generalised Jensen-Shannon divergence (GJS) of the label and the predictions for several views of an image,
    :math:`\frac{1}{Z} \left(H(\pi_1 e_y + \pi_2 \bar p) - \frac{\pi_2}{V} \sum_v H(p_v)\right)` (arXiv:2105.04522).

    That is :class:`JensenShannon` with the mean prediction :math:`\bar p`, and :math:`\pi_2 / Z` times the divergence
    of the views from each other. For one view it is :class:`JensenShannon`.

    Args:
        pi1: weight of the label, in (0, 1). The authors' for 40 % symmetric noise: 0.9 on CIFAR-10, 0.5 on CIFAR-100.
        views: V, how many views of an image a training step has, at least 1.

    Shape: logits ``[B, K]``, or of several views ``[V, B, K]``; else as of :class:`Loss`.
    """

    def __init__(self, pi1: float = 0.5, views: int = 2) -> None:
        super().__init__(pi1)
        check_range("[1, inf)", views=views)
        self.views = views

    def of_every_label(self, logits: Tensor) -> Tensor:
        if logits.ndim == 2:
            return super().of_every_label(logits)
        log_p = logits.to(log_probabilities(logits[0, :1]).dtype).log_softmax(dim=2)
        mean = log_p.logsumexp(dim=0) - math.log(len(log_p))
        entropies, of_mean = -(log_p.exp() * log_p).sum(dim=2), -(mean.exp() * mean).sum(dim=1)
        divergence = (of_mean - entropies.mean(dim=0))[:, None]
        return super().of_every_label(mean) + (1 - self.pi1) / self.scale * divergence
