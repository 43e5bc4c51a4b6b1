"""One bar for the whole training."""

from typing import Any, ClassVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class TrainingProgress(ProgressBar):
    """A bar over all epochs, with the time left and the latest validation accuracy. Silent without a terminal."""

    changes_numbers: ClassVar[bool] = False

    UPDATES = 200  # of a bar, for a training of any length

    def __init__(self) -> None:
        super().__init__()
        self.bar: Progress | None = None
        self.console = Console(stderr=True)

    def disable(self) -> None:
        self.console.quiet = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self.console.is_terminal or self.console.quiet or not trainer.is_global_zero:
            return
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.fields[accuracy]}"),
        )
        self.epochs = trainer.max_epochs or 1
        self.bar = Progress(*columns, console=self.console, transient=True)
        self.task = self.bar.add_task(
            "training", total=self.epochs, completed=trainer.current_epoch, epoch=self._epoch(trainer), accuracy=""
        )
        self.bar.start()

    def _epoch(self, trainer: pl.Trainer) -> str:
        return f"{min(trainer.current_epoch + 1, self.epochs)}/{self.epochs}"

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if self.bar is not None:
            done, per_epoch = trainer.fit_loop.epoch_loop.batch_idx + 1, int(trainer.num_training_batches)
            if done % max(1, per_epoch * self.epochs // self.UPDATES) == 0:
                now = trainer.current_epoch + done / per_epoch  # epochs may differ in length
                self.bar.update(self.task, completed=now, epoch=self._epoch(trainer))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        accuracy = trainer.callback_metrics.get("val/accuracy")
        if self.bar is not None and accuracy is not None:
            self.bar.update(self.task, accuracy=f"noisy validation accuracy {accuracy:.1%}")

    def on_train_end(self, *_: Any) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def on_exception(self, *_: Any) -> None:
        self.on_train_end()
