"""A training that ends early is validated first, and stays ended."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class StaysStopped(Callback):
    """Lets checkpoints carry that training was stopped before its last epoch (by early stopping, say): a run that was
    killed between that epoch and its result trains no further when it is resumed.

    Args:
        max_steps: stop after so many steps, -1 for never. Lightning's own ends without a validation, and does not
            resume exactly.
    """

    def __init__(self, max_steps: int = -1) -> None:
        self.max_steps = max_steps
        self.stopped = False

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["stopped"] = trainer.should_stop

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.stopped = checkpoint.get("stopped", False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = self.stopped

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if 0 < self.max_steps <= trainer.global_step:
            trainer.should_stop = True
