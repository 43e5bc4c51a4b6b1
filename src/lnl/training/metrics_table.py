"""metrics.csv: one row an epoch."""

import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from lnl.files import replacing


class MetricsTable(Checkpoint):  # Lightning calls those last, when all metrics are logged
    """Keeps every epoch's metrics, writes them to ``metrics.csv``, and lets checkpoints carry them.

    A metric stands only in the row of the epoch that logged it; those of a validation only if no step followed it.
    Checkpoints carry the rows, so that a resumed run's table has each epoch once.

    Attributes:
        rows: a dict an epoch: ``epoch``, ``step``, ``lr``, ``seconds`` (with validation) and all that was logged.
        validated: metrics that validation logged for the present weights; empty after a further step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self.validated: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "validated": self.validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        self.validated = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self.validated = logged_now(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        groups = trainer.optimizers[0].param_groups  # none for a method without gradients
        row: dict[str, float] = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "lr": float(groups[0]["lr"]) if groups else float("nan"),
            "seconds": time.perf_counter() - self.started,
        }
        self.rows.append(row | self.validated | logged_now(trainer))
        if not trainer.is_global_zero:
            return
        with replacing(self.path) as unfinished:
            pd.DataFrame(self.rows).to_csv(unfinished, index=False, float_format="%.10g")


def logged_now(trainer: pl.Trainer) -> dict[str, float]:
    """The metrics that the present epoch, or validation, has logged.

    ``callback_metrics`` also keeps the latest of all other names, for early stopping.
    """
    metrics = trainer.callback_metrics
    kept = dict(metrics)
    metrics.clear()
    now = {name: float(value) for name, value in trainer.callback_metrics.items()}  # the property adds them again
    metrics.update(kept)
    return now
