"""Predictions and metrics of a trained method on labels that it has not seen."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.data import NoisyDataModule
from lnl.data.batch import Batch
from lnl.datasets.splits import Split
from lnl.errors import UserError
from lnl.labels.tables import csv_text
from lnl.methods import NoisyLabelMethod
from lnl.metrics import classification_metrics
from lnl.runs.folder import RunFolder
from lnl.training.checkpoints import load_checkpoint, load_weights
from lnl.training.training_metrics import MetricsTable


@dataclass(frozen=True)
class Prediction:
    """Logits ``[N, K]`` for test samples ``index[N]`` of true ``labels[N]``, their seconds, and names of own data."""

    index: np.ndarray
    labels: Tensor
    logits: Tensor
    seconds: float
    files: list[str] | None = None

    def samples(self) -> pd.DataFrame:
        """``index``, ``file`` where samples have names, and ``label``."""
        files = {} if self.files is None else {"file": pd.Series(self.files, dtype=object)}
        return pd.DataFrame({"index": self.index, **files, "label": self.labels.numpy()})

    def save(self, path: Path, classes: list[str]) -> None:
        """Writes ``predictions.csv``: :meth:`samples`, predicted, and the probability of each class."""
        table = self.samples().assign(predicted=self.logits.argmax(dim=1).numpy())
        probabilities = pd.DataFrame(self.logits.softmax(dim=1).numpy(), columns=[f"p_{name}" for name in classes])
        path.write_text(csv_text(pd.concat([table, probabilities], axis=1)), encoding="utf-8", newline="")


def predict(
    method: NoisyLabelMethod, loader: Iterable[Batch], trainer: pl.Trainer, batches: int | None = None
) -> Tensor:
    """Logits ``[N, K]`` on the CPU, in the loader's order, at the trainer's precision."""
    method.eval()
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        logits = [method.predict_step(batch.to(method.device), i) for i, batch in enumerate(islice(loader, batches))]
    return torch.cat(logits).cpu()


def evaluate(
    method: NoisyLabelMethod,
    data: NoisyDataModule,
    trainer: pl.Trainer,
    folder: RunFolder,
    rows: list[dict[str, float]],
    smoke: bool = False,
) -> tuple[dict[str, Any], Prediction | None]:
    """The entries of the protocol (``docs/run_folder.md``), and the last epoch's prediction (None without a test set).

    Test labels are used only here, and with ``oracle=true`` by :class:`OracleBest`. The method ends with the last
    epoch's weights. ``rows`` are those of :class:`MetricsTable`. After a ``smoke`` run, one batch is evaluated with
    the weights in memory.
    """
    method.to(trainer.strategy.root_device)
    checkpoints = {} if smoke else {**folder.stages(), data.val_best: folder.chosen(data.val_best)}
    for chosen in (folder.label_wave, folder.oracle_best):
        if chosen.exists() and not smoke:
            checkpoints[chosen.stem] = chosen
    tested: list[Split] = [split for split in ("trusted_test", "test") if split in data.splits]
    prediction = None
    entries: dict[str, Any] = {}
    for protocol, path in {**checkpoints, "last": folder.last}.items():
        checkpoint: dict[str, Any] = {"epoch": len(rows) - 1, "global_step": rows[-1]["step"]}
        if not smoke:
            checkpoint = load_checkpoint(path)
            load_weights(method, checkpoint["state_dict"], path)
        epoch = checkpoint["epoch"]
        row = validated = rows[epoch]
        if checkpoint["global_step"] < row["step"]:
            row, validated = {}, checkpoint["callbacks"][MetricsTable.__qualname__]["validated"]
        val = _part("val/", validated) or validate(method, data, trainer)
        entries[protocol] = {"epoch": epoch, "train": _part("train/", row), "val": val}
        for split in tested:
            found = predict_split(method, data, trainer, split, batches=1 if smoke else None)
            entries[protocol][split] = classification_metrics(found.logits, found.labels)
            prediction = found if split == "test" else None
    return {name: entries[name] for name in ("last", data.val_best, *entries) if name in entries}, prediction


def validate(method: NoisyLabelMethod, data: NoisyDataModule, trainer: pl.Trainer) -> dict[str, float]:
    """Loss and accuracy on the noisy labels, as training's validation computes them."""
    loader, limit = data.loader("val", trainer.strategy.root_device), trainer.limit_val_batches
    batches = limit * trainer.world_size if isinstance(limit, int) else int(len(loader) * limit)
    logits = predict(method, loader, trainer, batches)
    labels = torch.from_numpy(data.given[data.splits["val"]][: len(logits)])
    loss = method.loss(logits.to(method.device), labels.to(method.device)).mean()
    return {"loss": float(loss), "accuracy": float((logits.argmax(dim=1) == labels).float().mean())}


def predict_split(
    method: NoisyLabelMethod, data: NoisyDataModule, trainer: pl.Trainer, split: Split, batches: int | None = None
) -> Prediction:
    """The prediction for ``test`` or ``trusted_test``, with the true labels."""
    loader = data.loader(split, trainer.strategy.root_device)
    started = time.perf_counter()
    logits = predict(method, loader, trainer, batches)
    seconds = time.perf_counter() - started
    labels = torch.from_numpy(data.right_labels(split)[: len(logits)])
    index = data.splits[split][: len(logits)]
    names = data.dataset.test_names if split == "test" else data.labels.names
    return Prediction(index, labels, logits, seconds, None if names is None else [names[place] for place in index])


def save_out_of_fold(method: NoisyLabelMethod, data: NoisyDataModule, trainer: pl.Trainer, folder: RunFolder) -> None:
    """Writes ``out_of_fold.npz``: the prediction for the validation split, which the method has not seen."""
    index = data.splits["val"]
    logits = predict(method, data.loader("val", trainer.strategy.root_device), trainer)
    np.savez_compressed(
        folder.out_of_fold, index=index, labels=data.given[index], probabilities=logits.softmax(dim=1).numpy()
    )


def _part(prefix: str, row: dict[str, float]) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


class OracleBest(Callback):
    """Keeps the weights of the epoch with the highest test accuracy, the first of equals (``oracle=true``).

    ``oracle_best`` is for comparison with papers that report the best epoch on the test set: its accuracy is too high,
    because the test set chose the epoch. It changes neither training nor the other protocols.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.best = folder, -1.0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if "test" not in trainer.datamodule.splits:  # type: ignore[attr-defined]
            raise UserError("oracle=true chooses an epoch by the test set, and this data has none.")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        training = pl_module.training
        found = predict_split(pl_module, trainer.datamodule, trainer, "test")  # type: ignore[attr-defined]
        pl_module.train(training)
        accuracy = float((found.logits.argmax(dim=1) == found.labels).float().mean())
        if accuracy > self.best:
            self.best = accuracy
            trainer.save_checkpoint(self.folder.oracle_best, weights_only=True)
