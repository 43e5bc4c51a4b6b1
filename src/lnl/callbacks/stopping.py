"""Training ends when the training labels are fitted, or with an error at a loss that is no number."""

from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.errors import UserError, check_range


class FitUntil(Callback):
    """Stops training when a share ``accuracy`` in (0, 1] of the given training labels, right or wrong, is predicted.

    Looks at ``train/accuracy``, which counts each sample's prediction in the step that trained on it.
    """

    def __init__(self, accuracy: float = 1.0) -> None:
        check_range("(0, 1]", accuracy=accuracy)
        self.accuracy = accuracy

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        accuracy = trainer.callback_metrics.get("train/accuracy")
        if accuracy is None:
            raise UserError("callbacks=fit_until needs train/accuracy, which this method does not measure.")
        if accuracy >= self.accuracy:
            trainer.should_stop = True


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
            self.on_train_epoch_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Looks at the losses since the last look."""
        if not self.unseen:
            return
        steps, losses = zip(*self.unseen, strict=True)
        self.unseen = []
        finite = torch.stack(losses).isfinite().tolist()
        if not all(finite):
            groups = trainer.optimizers[0].param_groups
            rate = groups[0]["lr"] if groups else 0.0
            step = steps[finite.index(False)]
            raise UserError(
                f"the training loss became NaN or infinite at step {step}, learning rate {rate:g}.\n"
                "Try a lower optimizer.lr, trainer.gradient_clip_val=5, or trainer.precision=32-true."
            )

    on_validation_start = on_train_epoch_end

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Any) -> None:
        """Looks before weights are saved that a run could not go on from."""
        self.on_train_epoch_end(trainer, pl_module)
