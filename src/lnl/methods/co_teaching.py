"""Co-teaching: two networks choose for each other what to learn from."""

from typing import Any

from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.noise_aware import FromNoise, NoiseAware, check_share
from lnl.methods.two_networks import TwoNetworks


class CoTeaching(NoiseAware, TwoNetworks):
    r"""Two networks, each trained on the part of a batch that the *other* one has the smallest losses on
    (arXiv:1804.06872).

    The part is :math:`R(t) = 1 - \min(\frac{t}{T_k} \tau, \tau)`, t being the number of finished epochs: all of it in
    the first epoch, :math:`1 - \tau` after :math:`T_k` of them. Wrong labels are learned late, so that small losses are
    mostly those of right ones; what one network chooses wrongly the other need not confirm.

    The networks start from different random weights. The prediction is the mean of their logits; the paper evaluates
    them apart. One optimizer descends on the sum of their mean losses, which is a descent of its own for each network,
    but that ``trainer.gradient_clip_val`` clips the gradient of both together. The number of samples is rounded to the
    nearest, and at least 1; the authors' code rounds it down, and divides by :math:`T_k - 1`.

    Args:
        forget_rate: :math:`\tau` in [0, 1): ``estimate`` for the estimated share of wrong labels, ``true`` for the true
            one, which the paper takes as known (:class:`NoiseAware`), or a number.
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

    def training_loss(self, batch: Batch) -> Tensor:
        one, other = (network(batch.images) for network in self.networks)
        self.observe(batch.index, (one + other) / 2)
        first, second = (self.loss(logits, batch.labels) for logits in (one, other))
        count = max(1, round(self.keep_rate(self.current_epoch) * len(batch)))
        by_first, by_second = (losses.detach().topk(count, largest=False).indices for losses in (first, second))
        self.log_term("kept", first.new_full((), count / len(batch)), batch)
        return first[by_second].mean() + second[by_first].mean()
