"""Training on the given labels as if they were right."""

from torch import Tensor

from lnl.data.batch import Batch
from lnl.methods.base import NoisyLabelMethod


class Baseline(NoisyLabelMethod):
    """Empirical risk minimisation: the mean loss over the given labels."""

    def training_loss(self, batch: Batch) -> Tensor:
        return self.loss(self(batch.images), batch.labels).mean()
