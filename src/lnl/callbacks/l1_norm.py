"""The L1 norm of all parameters, beside any method."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from lnl.errors import check_range


class L1Norm(Callback):
    r"""Descends on :math:`\delta \lVert \theta \rVert_1` beside the loss, over all parameters that are trained.

    It adds :math:`\delta\, \mathrm{sign}(\theta)` to the gradients, before they are clipped. The loss is logged
    without it.

    Args:
        delta: at least 0.
    """

    def __init__(self, delta: float) -> None:
        check_range("[0, inf)", **{"loss.l1_norm": delta})
        self.delta = delta

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        groups: list[dict[str, Any]] = optimizer.param_groups
        for parameter in (parameter for group in groups for parameter in group["params"]):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach().sign(), alpha=self.delta)
