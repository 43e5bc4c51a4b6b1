"""metrics.csv: one row an epoch."""

import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from lnl.files import replacing


class MetricsTable(Callback):
    """Keeps every epoch's metrics, writes them to ``metrics.csv``, and lets checkpoints carry them.

    Because the rows are part of the checkpoint, a resumed run's table has each epoch once, whenever it was stopped.

    Args:
        path: of the CSV.

    Attributes:
        rows: a dict an epoch: ``epoch``, ``step``, ``lr``, ``seconds`` (with validation) and all that was logged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        groups = trainer.optimizers[0].param_groups  # none where nothing is descended on
        row: dict[str, float] = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "lr": float(groups[0]["lr"]) if groups else float("nan"),
            "seconds": time.perf_counter() - self.started,
        }
        row |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        with replacing(self.path) as unfinished:
            pd.DataFrame(self.rows).to_csv(unfinished, index=False, float_format="%.10g")
