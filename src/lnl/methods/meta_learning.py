"""Learning from trusted samples what the other ones should do to the model."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from lnl.errors import check_range
from lnl.methods.base import NoisyLabelMethod


class MetaLearning(NoisyLabelMethod):
    """A method that looks at trusted samples after a virtual step of the model, whose own state stays as it is.

    The virtual step is one of plain gradient descent. Each step has a batch of trusted samples, which are not among
    the epoch's own.

    Args:
        trusted_batch_size: trusted samples in a step; null for as many as the step has.
    """

    uses_trusted = True
    several_devices = False  # the gradient through the virtual step is of one process

    def __init__(self, *, trusted_batch_size: int | None = None, **base: Any) -> None:
        super().__init__(**base)
        check_range("[1, inf)", trusted_batch_size=trusted_batch_size)
        self.trusted_batch_size = trusted_batch_size

    def training_set(self, epoch: int) -> Tensor:
        self.endless(self.samples.trusted, stream=0, batch_size=self.trusted_batch_size)
        return self.samples.index[~torch.isin(self.samples.index, self.samples.trusted)]

    def virtual(self, parameters: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """Logits of the model with other parameters, and with copies of its running statistics."""
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        return functional_call(self.model, {**parameters, **buffers}, (images,))

    def moved(self, loss: Tensor, rate: float | Tensor) -> dict[str, Tensor]:
        """The model's parameters after a step of descent on ``loss``, as functions of all that it depends on."""
        parameters = dict(self.model.named_parameters())
        descent = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
        return {name: value - rate * step for (name, value), step in zip(parameters.items(), descent, strict=True)}

    def present_lr(self) -> float:
        """The learning rate of the model's optimizer."""
        rate: float = self.trainer.optimizers[0].param_groups[0]["lr"]
        return rate
