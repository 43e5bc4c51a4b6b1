"""Two networks that learn from each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lnl.data.batch import Batch
from lnl.methods.base import NoisyLabelMethod


class TwoNetworks(NoisyLabelMethod):
    """A method with a second network of the same kind, from other random weights. Their mean logits are the prediction.

    ``init_from`` starts both from the weights of one.
    """

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        self.second = self.make_model()

    @property
    def networks(self) -> tuple[nn.Module, nn.Module]:
        return self.model, self.second

    def forward(self, images: Tensor) -> Tensor:
        return (self.model(images) + self.second(images)) / 2

    @contextmanager
    def other_evaluates(self, number: int) -> Iterator[None]:
        """The other network than ``number`` predicts as in evaluation: with its running statistics, which stay."""
        other = self.networks[1 - number]
        other.eval()
        try:
            yield
        finally:
            other.train()

    def warm_up_loss(self, batch: Batch, confidence_penalty: bool = False) -> Tensor:
        """The mean losses for the given labels, with the penalty also the negative entropies, summed over networks."""
        both = torch.stack([network(batch.images) for network in self.networks]).float()
        self.observe(batch.index, both.mean(dim=0))
        negative_entropy = (both.softmax(dim=2) * both.log_softmax(dim=2)).sum(dim=2).mean(dim=1)
        losses = torch.stack([self.loss(logits, batch.labels).mean() for logits in both])
        return (losses + confidence_penalty * negative_entropy).sum()
