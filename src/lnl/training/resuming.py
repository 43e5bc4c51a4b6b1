"""Callbacks that make an interrupted run, when it is resumed, the run that it would have been."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class EpochSeed(Callback):
    """Seeds all global random generators at every epoch, differently in each process.

    Dropout and random draws of a method depend on it; order and augmentation have generators of their own.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seed = self.seed * 1_000_003 + trainer.current_epoch + 1 + 500_000_003 * trainer.global_rank
        pl.seed_everything(seed % 2**32, verbose=False)


class StaysStopped(Callback):
    """Lets checkpoints carry that training was stopped before its last epoch, by early stopping for instance.

    A run that is killed between that epoch and its result does not train further when it is resumed.

    Args:
        max_steps: the step to stop after, -1 for none. Lightning's own ends without a validation, and does not resume
            exactly.
    """

    def __init__(self, max_steps: int = -1) -> None:
        self.max_steps = max_steps
        self.stopped = False

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["stopped"] = trainer.should_stop

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.stopped = checkpoint.get("stopped", False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = self.stopped

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if 0 < self.max_steps <= trainer.global_step:
            trainer.should_stop = True
