"""Co-teaching+: two networks teach each other where they disagree."""

from typing import Any

from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.co_teaching import CoTeaching


class CoTeachingPlus(CoTeaching):
    r"""Co-teaching+ (arXiv:1901.04215): Co-teaching among the samples whose class the two networks predict differently.

    Two networks that see the same samples become one in time. After a warm-up as in :class:`CoTeaching`, only samples
    of a batch for which the networks predict different classes are candidates: each network is trained on the part R(t)
    of *them* that the other one has the smallest losses on. A batch without any is trained on as in the warm-up: the
    paper leaves that open. The authors' code trains on all of such a batch early in an epoch, on none of it later.

    It also gives probabilities to the cross entropy, where logits belong, and leaves out the last one of these samples
    if the first one of the batch is among them: not done here. The other options are those of :class:`SmallLoss`.

    Args:
        warmup_epochs: at least 0. The authors' are 20 of 200 on CIFAR-10, 5 on CIFAR-100, 0 on MNIST, 100 on Tiny
            ImageNet.
    """

    def __init__(self, *, warmup_epochs: int = 20, **base: Any) -> None:
        super().__init__(**base)
        check_range("[0, inf)", warmup_epochs=warmup_epochs)
        self.warmup_epochs = warmup_epochs

    def candidates(self, batch: Batch, one: Tensor, other: Tensor) -> Tensor:
        differ = one.argmax(dim=1) != other.argmax(dim=1)
        self.log_term("disagreement", differ.float().mean(), batch)
        if self.current_epoch < self.warmup_epochs:
            return super().candidates(batch, one, other)
        return differ | ~differ.any()
