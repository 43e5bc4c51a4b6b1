"""A loss that is no number ends the run."""

from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.errors import UserError


class StopOnNaN(Callback):
    """Stops a run whose training loss is NaN or infinite, saying at which step and what to try.

    Args:
        every_n_steps: how often to look. Looking waits for the device, so not every step; none goes unseen.
    """

    changes_numbers: ClassVar[bool] = False

    def __init__(self, every_n_steps: int = 100) -> None:
        self.every_n_steps = every_n_steps
        self.unseen: list[tuple[int, Tensor]] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.unseen.append((trainer.global_step, outputs["loss"]))
        if len(self.unseen) >= self.every_n_steps:
            self._look(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(trainer)

    def _look(self, trainer: pl.Trainer) -> None:
        if not self.unseen:
            return
        finite = torch.stack([loss for _, loss in self.unseen]).isfinite().tolist()
        steps = [step for step, _ in self.unseen]
        self.unseen = []
        if not all(finite):
            groups = trainer.optimizers[0].param_groups
            rate = groups[0]["lr"] if groups else 0.0
            step = steps[finite.index(False)]
            raise UserError(
                f"the training loss became NaN or infinite at step {step}, learning rate {rate:g}.\n"
                "Try a lower optimizer.lr, trainer.gradient_clip_val=5, or trainer.precision=32-true."
            )
