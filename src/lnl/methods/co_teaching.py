"""Co-teaching: two networks choose for each other what to learn from."""

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.methods.functional import mean_over
from lnl.methods.small_loss import SmallLoss


class CoTeaching(SmallLoss):
    """Two networks, each trained on the part of a batch that the *other* one has the smallest losses on
    (arXiv:1804.06872).

    Small losses are mostly those of right labels; what one network chooses wrongly the other need not confirm.

    The networks start from different random weights. The prediction is the mean of their logits; the paper evaluates
    them apart. One optimizer descends on the sum of their mean losses, which is a descent of its own for each network,
    but that ``trainer.gradient_clip_val`` clips the gradient of both together.
    Its options are those of :class:`SmallLoss`.
    """

    def training_loss(self, batch: Batch) -> Tensor:
        one, other = (network(batch.images) for network in self.networks)
        self.observe(batch.index, (one + other) / 2)
        first, second = (self.loss(logits, batch.labels) for logits in (one, other))
        candidates = self.candidates(batch, one, other)
        by_first, by_second = (self.smallest(losses, candidates) for losses in (first, second))
        self.log_term("kept", by_first.float().mean(), batch)
        return mean_over(first, by_second) + mean_over(second, by_first)

    def candidates(self, batch: Batch, one: Tensor, other: Tensor) -> Tensor:
        """Whether a sample may be chosen, given the logits ``[B, K]`` of both networks, ``[B]``: each may."""
        return torch.ones_like(batch.index, dtype=torch.bool)
