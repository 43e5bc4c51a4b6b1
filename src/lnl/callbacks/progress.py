"""The progress of a training, of all its folds and stages: a bar on a terminal, elsewhere lines."""

import time
from typing import Any, ClassVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.progress import BarColumn, Progress, TextColumn

from lnl.progress import Pace, duration, say, terminal
from lnl.runs.plan import Part


class TrainingProgress(ProgressBar):
    """Shows the epoch, the time left of the whole, and the latest validation accuracy.

    On a terminal it is a bar on stderr; elsewhere about 20 lines at most, and one for each fold.

    Attributes:
        part: which fold of a cross-validation is trained; None for a run without folds.
    """

    changes_numbers: ClassVar[bool] = False

    EVERY = 0.2  # seconds between updates of the bar

    def __init__(self) -> None:
        super().__init__()
        self.part: Part | None = None
        self.bar: Progress | None = None
        self.silent = False
        self.later = 0  # epochs of the stages to come

    def disable(self) -> None:
        self.silent = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.shown = not self.silent and trainer.is_global_zero
        self.epochs, self.accuracy, self.updated = trainer.max_epochs or 1, "", 0.0
        of_epoch = int(trainer.num_training_batches)
        # Done in this fold; of epochs before it was resumed, as many as in the first one now.
        self.batches = self.before = trainer.current_epoch * of_epoch
        if not self.shown:
            return
        loop = trainer.fit_loop
        begun = loop.epoch_loop.batch_progress.current.completed if loop.restarted_mid_epoch else 0
        share = (trainer.current_epoch + begun / of_epoch) / self.epochs
        share = share if self.part is None else self.part.share(share)
        self.pace = Pace(share) if self.part is None or self.part.since is None else Pace(*self.part.since, said=share)
        console = terminal()
        if console.is_terminal:
            columns = (TextColumn("{task.fields[where]}"), BarColumn(), TextColumn("{task.fields[now]}"))
            self.bar = Progress(*columns, console=console, transient=True)
            self.task = self.bar.add_task("", total=1.0, where=self._where(trainer.current_epoch), now="")
            self.bar.start()
        self.later = getattr(pl_module, "later_epochs", 0)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.before = self.batches
        self.later = getattr(pl_module, "later_epochs", 0)  # here, because a step must not wait for the device

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self.batches = self.before + trainer.fit_loop.epoch_loop.batch_idx + 1
        if self.shown and time.monotonic() - self.updated >= self.EVERY:
            self.updated = time.monotonic()
            self._show(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        accuracy = trainer.callback_metrics.get("val/accuracy")
        if accuracy is not None and not trainer.sanity_checking:
            self.accuracy = f", validation accuracy {accuracy:.1%}"

    def _show(self, trainer: pl.Trainer) -> None:
        of_epoch, epoch = int(trainer.num_training_batches), trainer.current_epoch
        ahead = (self.epochs - epoch) * of_epoch - (self.batches - self.before)
        if self.later:  # which may be longer
            ahead += self.later * (max(of_epoch, self._batches_of_all(trainer)) - of_epoch)
        share = self.batches / max(1, self.batches + ahead)
        ends = share == 1
        share = share if self.part is None else self.part.share(share)
        if self.bar is not None:
            elapsed = duration(time.time() - self.pace.started)
            self.bar.update(
                self.task,
                completed=share,
                where=self._where(epoch),
                now=f"{self.pace.text(share)} ({elapsed} so far){self.accuracy}",
            )
        elif not ends and self.pace.due(share):
            say(f"{self._where(epoch)}: {self.pace.text(share)}{self.accuracy}")

    @staticmethod
    def _batches_of_all(trainer: pl.Trainer) -> int:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        return -(-len(data.splits["train"]) // data.batch_size)

    def _where(self, epoch: int) -> str:
        fold = "" if self.part is None else f"fold {self.part.number}/{self.part.count}, "
        return f"{fold}epoch {min(epoch + 1, self.epochs)}/{self.epochs}"

    def on_train_end(self, *_: Any) -> None:
        self._close()
        if self.shown and self.part is not None:
            share = self.part.share(1.0)
            if share < 1 and not terminal().is_terminal and self.pace.due(share, always=True):
                say(f"fold {self.part.number}/{self.part.count} done: {self.pace.text(share)}{self.accuracy}")

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def on_exception(self, *_: Any) -> None:
        self._close()
