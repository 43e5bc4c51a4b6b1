"""The metrics of training: measured in every epoch, and kept in metrics.csv."""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback, Checkpoint
from torch import Tensor

from lnl.data import Batch
from lnl.files import replacing
from lnl.metrics import memorisation

log = logging.getLogger(__name__)


class TrainingMetrics(Callback):
    """Logs loss and accuracy of every training epoch, separately for correctly and wrongly labelled samples.

    Each sample counts with the prediction of the step that trained on it
    (:meth:`lnl.methods.NoisyLabelMethod.observe`): no further pass is needed. A method that observes nothing gets only
    the loss, and a remark in the log. ``train/visited`` is the share of the training samples that count. Samples of all
    processes count. Clean labels stay in this callback.

    Args:
        given: labels ``[N]`` of the whole training set, in the order of ``batch.index``.
        clean: the true labels, or None if they are unknown.
    """

    def __init__(self, given: NDArray[np.int64], clean: NDArray[np.int64] | None) -> None:
        self.given = torch.from_numpy(given)
        self.clean = None if clean is None else torch.from_numpy(clean)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.method = pl_module
        pl_module.listeners.append(self._see)

    def _see(self, index: Tensor, logits: Tensor) -> None:
        if self.method.training:
            self.predicted.append((index, logits.argmax(dim=1)))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.losses: list[Tensor] = []
        self.sizes: list[int] = []
        self.predicted: list[tuple[Tensor, Tensor]] = []

    def epoch_state(self) -> dict[str, Any]:
        """What the epoch has measured so far, for a checkpoint within it."""
        index, predicted = zip(*self.predicted, strict=True) if self.predicted else ((), ())
        predictions = (torch.cat(index), torch.cat(predicted)) if index else None
        return {"losses": torch.stack(self.losses), "sizes": self.sizes, "predicted": predictions}

    def load_epoch_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Goes on from an :meth:`epoch_state`."""
        self.losses, self.sizes = list(state["losses"].to(device)), list(state["sizes"])
        self.predicted = [tuple(part.to(device) for part in state["predicted"])] if state["predicted"] else []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.losses.append(outputs["loss"] * trainer.accumulate_grad_batches)  # Lightning has divided by it
        self.sizes.append(round(len(batch) / batch.share))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        loss = (torch.stack(self.losses).cpu().double() * sizes).sum() / sizes.sum()
        if trainer.world_size > 1:
            # Of a step, the mean of the processes' losses is that of its samples (lnl.training.processes.SharedDDP).
            loss = trainer.strategy.reduce(loss.to(pl_module.device), reduce_op="mean")
        metrics = {"loss": loss.item()}
        if self.predicted:
            index, predicted = (torch.cat(parts).cpu() for parts in zip(*self.predicted, strict=True))
            if trainer.world_size > 1:
                index, predicted = self._of_all(trainer, index, predicted)
            clean = None if self.clean is None else self.clean[index]
            metrics |= memorisation(predicted, self.given[index], clean)
            metrics["visited"] = len(index.unique()) / len(trainer.datamodule.splits["train"])  # type: ignore[attr-defined]
        elif trainer.current_epoch == 0 and trainer.is_global_zero:
            log.warning(
                "train/accuracy and what is memorised are not measured: %s calls its networks itself in training_loss "
                "and does not call self.observe(batch.index, logits)",
                type(pl_module).__name__,
            )
        pl_module.log_dict({f"train/{name}": value for name, value in metrics.items()}, sync_dist=True)

    def _of_all(self, trainer: pl.Trainer, index: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """The predictions of all processes."""
        everyone = torch.full_like(self.given, -1)
        everyone[index] = predicted
        device = trainer.strategy.root_device
        everyone = trainer.strategy.reduce(everyone.to(device), reduce_op="max").cpu()
        index = (everyone >= 0).nonzero()[:, 0]
        return index, everyone[index]

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        if self._see in pl_module.listeners:
            pl_module.listeners.remove(self._see)


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

    def epoch_state(self) -> dict[str, Any]:
        """The seconds of the epoch so far, for a checkpoint within it."""
        return {"seconds": time.perf_counter() - self.started}

    def load_epoch_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Goes on from an :meth:`epoch_state`."""
        self.started = time.perf_counter() - state["seconds"]

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
