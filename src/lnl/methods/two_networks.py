"""Two networks that learn from each other."""

from typing import Any

from torch import Tensor, nn

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
