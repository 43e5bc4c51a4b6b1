"""Losses around another loss: on clipped logits, or less the loss of shuffled labels."""

import torch
from torch import Tensor

from lnl.errors import check_range
from lnl.losses.base import Loss
from lnl.losses.functional import log_probabilities


class LogitClip(Loss):
    r"""LogitClip, a loss on logits whose length is at most :math:`\tau`,
    :math:`\ell(z \min(1, \tau / \lVert z \rVert_2), y)` (arXiv:2212.04055).

    What one label can cost is thereby bounded. The authors' code sets the length of logits above a threshold t to 1/t,
    that of arXiv:2408.02369 those above :math:`1/\tau` to :math:`\tau`: both are the same for 1 only.

    Args:
        loss: the loss of the clipped logits.
        tau: above 0. arXiv:2408.02369 uses with cross entropy on CIFAR-10 1 for symmetric noise below 50 %, 1.5 from
            there on, 2.5 for asymmetric noise.

    Shape: as of :class:`Loss`; returns ``[B]``.
    """

    def __init__(self, loss: Loss, tau: float = 1.0) -> None:
        super().__init__()
        check_range("(0, inf)", tau=tau)
        self.loss, self.tau = loss, tau

    def of_every_label(self, logits: Tensor) -> Tensor:
        z = logits.to(torch.promote_types(logits.dtype, torch.float32))
        length = torch.linalg.vector_norm(z, dim=1, keepdim=True).clamp(min=self.tau)
        return self.loss.of_every_label(z * (self.tau / length))


class PeerLoss(Loss):
    r"""Peer loss, :math:`\ell(z_i, y_i) - \alpha\, \ell(z_j, y_k)` with samples j and k of the batch, each drawn at
    random (arXiv:1910.03231).

    Agreement with labels that belong to other images is punished, and what wrong labels cost cancels out in the mean.
    In evaluation mode it is :math:`\ell`. Where :math:`\ell` has no upper bound, its own would have no lower one: as in
    the authors' code, ``least`` is added to each probability. There :math:`\alpha` grows from 0 to 20 with the epochs,
    and the learning rate is divided by :math:`1 + \alpha`; here it is constant.

    Args:
        loss: :math:`\ell`.
        alpha: at least 0; 1 suits classes of equal size.
        least: at least 0.

    Shape: as of :class:`Loss`; returns ``[B]``.
    """

    def __init__(self, loss: Loss, alpha: float = 1.0, least: float = 1e-5) -> None:
        super().__init__()
        check_range("[0, inf)", alpha=alpha, least=least)
        self.loss, self.alpha, self.least = loss, alpha, least

    def of_every_label(self, logits: Tensor) -> Tensor:
        return self.loss.of_every_label(logits)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        if not self.training:
            losses: Tensor = self.loss(logits, target)
            return losses
        logits = (log_probabilities(logits).exp() + self.least).log()
        peers = torch.randint(len(logits), (2, len(logits)), device=logits.device)
        of_peers: Tensor = self.loss(logits[peers[0]], target[peers[1]])
        return self.loss(logits, target) - self.alpha * of_peers
