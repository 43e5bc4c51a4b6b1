"""Learning from trusted samples what the other ones should do to the model."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from lnl.errors import UserError, check_range
from lnl.methods.base import NoisyLabelMethod


class MetaLearning(NoisyLabelMethod):
    """A method that looks at trusted samples after a virtual step of the model, whose own state stays as it is.

    The virtual step is one of gradient descent. Each step has a batch of trusted samples, which are not among the
    epoch's own.

    Args:
        trusted_batch_size: trusted samples in a step; null for as many as the step has.
    """

    uses_trusted = True
    several_devices = False  # the gradient through the virtual step is of one process
    least_trusted = 2  # samples in a step, for batch norm

    def __init__(self, *, trusted_batch_size: int | None = None, **base: Any) -> None:
        super().__init__(**base)
        check_range(f"[{self.least_trusted}, inf)", trusted_batch_size=trusted_batch_size)
        self.trusted_batch_size = trusted_batch_size

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if len(self.samples.trusted) < self.least_trusted:
            needed = f"{type(self).__name__} needs at least {self.least_trusted} trusted samples to train on"
            raise UserError(f"{needed}, and has {len(self.samples.trusted)}.")

    def training_set(self, epoch: int) -> Tensor:
        self.endless(self.samples.trusted, stream=0, batch_size=self.trusted_batch_size)
        return self.samples.index[~torch.isin(self.samples.index, self.samples.trusted)]

    def virtual(self, parameters: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """Logits of the model with other parameters, and with copies of its running statistics."""
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        return functional_call(self.model, {**parameters, **buffers}, (images,))

    def moved(self, loss: Tensor, rate: float | None) -> dict[str, Tensor]:
        """The model's parameters after a step of descent on ``loss``, as functions of all that it depends on.

        ``rate`` None is that of :func:`step_sizes`.
        """
        trained = {name: value for name, value in self.model.named_parameters() if value.requires_grad}
        descent = torch.autograd.grad(loss, list(trained.values()), create_graph=True)
        rates = step_sizes(self.trainer.optimizers[0]) if rate is None else dict.fromkeys(trained.values(), rate)
        return {name: value - rates[value] * step for (name, value), step in zip(trained.items(), descent, strict=True)}


def step_sizes(optimizer: torch.optim.Optimizer) -> dict[Tensor, float | Tensor]:
    r"""By what an optimizer would multiply the gradient of each parameter, without momentum and weight decay.

    That is the present learning rate, which Adam divides by :math:`\sqrt{\hat v} + \epsilon`, the root of the running
    mean of squared gradients.
    """
    found: dict[Tensor, float | Tensor] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state, rate = optimizer.state.get(parameter, {}), group["lr"]
            if (squares := state.get("max_exp_avg_sq", state.get("exp_avg_sq"))) is not None:
                squares = squares / (1 - group["betas"][1] ** state["step"])
                rate = rate / (squares.sqrt() + group["eps"])
            found[parameter] = rate
    return found
