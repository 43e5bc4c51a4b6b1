"""Training on the given labels as if they were right."""

from typing import Any

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.methods.base import NoisyLabelMethod


class Baseline(NoisyLabelMethod):
    """Empirical risk minimisation: the mean loss over the given labels.

    A loss with ``views``, such as :class:`lnl.losses.GeneralizedJensenShannon`, has the logits of that many views.
    """

    any_views = True

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        self.views = ("weak",) * getattr(self.loss, "views", 1)

    def training_loss(self, batch: Batch) -> Tensor:
        logits = torch.stack([self(view) for view in batch.views]) if len(self.views) > 1 else self(batch.images)
        return self.loss(logits, batch.labels).mean()
