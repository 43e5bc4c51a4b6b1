"""Active-passive loss as a method, with both of its terms in sight."""

from typing import Any

from torch import Tensor

from lnl.data.batch import Batch
from lnl.losses import ActivePassiveLoss
from lnl.methods.base import NoisyLabelMethod


class ActivePassive(NoisyLabelMethod):
    """Active passive loss (arXiv:2006.13554): :class:`Baseline`, to the bit, with the two terms logged.

    Raises:
        ValueError: if the loss has no active and passive term.
    """

    loss: ActivePassiveLoss

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        if not isinstance(self.loss, ActivePassiveLoss):
            raise ValueError(f"it needs an apl_* loss, such as loss=apl_nfl_rce, got {type(self.loss).__name__}")

    def training_loss(self, batch: Batch) -> Tensor:
        active, passive = self.loss.terms(self(batch.images), batch.labels)
        self.log_term("active_loss", active.mean(), batch)
        self.log_term("passive_loss", passive.mean(), batch)
        return (active + passive).mean()
