"""How far a job is, for the sweep it is part of."""

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class JobProgress(Callback):
    """Tells ``epoch`` (a fraction within one), ``epochs`` and ``accuracy`` (best by noisy validation labels so far).

    Args:
        tell: takes them by name.
        runs: trainings that the job consists of, one after another (the folds of a cross-validation).
        every: seconds, at least, between two calls.
    """

    def __init__(self, tell: Callable[..., None], runs: int = 1, every: float = 1.0) -> None:
        self.tell, self.runs, self.every = tell, runs, every
        self.before, self.started, self.best = 0, False, 0.0
        self.last = float("-inf")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epochs = trainer.max_epochs or 1
        self.before += epochs if self.started else 0
        self.started = True
        self.tell(epoch=self.before + trainer.current_epoch, epochs=self.runs * epochs)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        now = time.monotonic()
        if now - self.last >= self.every and trainer.is_global_zero:
            self.last = now
            done = (trainer.fit_loop.epoch_loop.batch_idx + 1) / int(trainer.num_training_batches)
            self.tell(epoch=self.before + trainer.current_epoch + done)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        accuracy = trainer.callback_metrics.get("val/accuracy")
        if accuracy is not None and trainer.is_global_zero and not trainer.sanity_checking:
            self.best = max(self.best, float(accuracy))
            self.tell(accuracy=self.best)
