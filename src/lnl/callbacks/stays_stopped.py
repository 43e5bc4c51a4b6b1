"""A training that ends early is validated first, and stays ended."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class StaysStopped(Callback):
    """Lets checkpoints carry that training was stopped before its last epoch (by early stopping, say): a run that was
    killed between that epoch and its result trains no further when it is resumed. ``trainer.max_steps`` stops it as
    well, because Lightning validates before it stops, but not where it only runs out of steps."""

    def __init__(self) -> None:
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
        if 0 < trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True
