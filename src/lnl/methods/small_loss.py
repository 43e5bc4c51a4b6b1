"""Two networks that leave out the samples of a batch with the largest losses."""

from typing import Any

import torch
from torch import Tensor

from lnl.errors import check_range
from lnl.methods.noise_aware import FromNoise, NoiseAware, check_share
from lnl.methods.two_networks import TwoNetworks


class SmallLoss(NoiseAware, TwoNetworks):
    r"""Two networks that learn from the part of a batch with the smallest losses: wrong labels are learned late.

    The part is :math:`R(t) = 1 - \min(\frac{t}{T_k} \tau, \tau)`, t being the number of finished epochs: all of it in
    the first epoch, :math:`1 - \tau` after :math:`T_k` of them (arXiv:1804.06872). The number of samples is rounded to
    the nearest, and at least 1; the authors' code rounds it down, and divides by :math:`T_k - 1`.

    Args:
        forget_rate: :math:`\tau` in [0, 1): ``estimate`` for the estimated share of wrong labels, ``true`` for the true
            one, which the papers take as known (:class:`NoiseAware`), or a number.
        ramp_epochs: :math:`T_k`, at least 1. The authors' is 10 of 200 epochs.
    """

    noise_options = ("forget_rate",)

    def __init__(self, *, forget_rate: FromNoise = "estimate", ramp_epochs: int = 10, **base: Any) -> None:
        super().__init__(**base)
        check_share(forget_rate=forget_rate)
        check_range("[1, inf)", ramp_epochs=ramp_epochs)
        self.forget_rate, self.ramp_epochs = forget_rate, ramp_epochs

    def keep_rate(self, epoch: int) -> float:
        """R(t): the share of a batch that is trained on after t = ``epoch`` finished epochs."""
        return 1 - self.number(self.forget_rate) * min(epoch / self.ramp_epochs, 1)

    def smallest(self, losses: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Whether a sample is in the share R(t) of ``candidates[B]``, or of all, with the smallest ``losses[B]``."""
        candidates = torch.ones_like(losses, dtype=torch.bool) if candidates is None else candidates
        count = (self.keep_rate(self.current_epoch) * candidates.sum()).round().clamp(min=1)
        order = losses.detach().masked_fill(~candidates, torch.inf).argsort(stable=True)
        return order.argsort() < count  # its place in the order
