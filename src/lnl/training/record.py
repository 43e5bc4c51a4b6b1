"""result.json: all that is known of a finished run, put together. ``docs/run_folder.md`` documents every key."""

import statistics
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from lnl.data import NoisyDataModule
from lnl.methods import NoisyLabelMethod
from lnl.metrics import peak_device_memory, peak_memory
from lnl.runs.code import sources
from lnl.runs.folder import RunFolder
from lnl.runs.identity import NUMBERS_VERSION, files, relevant_config
from lnl.runs.result import SCHEMA_VERSION
from lnl.training import environment
from lnl.training.evaluation import Prediction


def make_result(
    cfg: DictConfig,
    options: dict[str, str],
    folder: RunFolder,
    data: NoisyDataModule,
    method: NoisyLabelMethod,
    trainer: pl.Trainer,
    rows: list[dict[str, float]],
    entries: dict[str, Any],
    prediction: Prediction | None,
) -> dict[str, Any]:
    """The content of ``result.json``."""
    sizes = {"test": 0} | {split: len(index) for split, index in data.splits.items()}
    noise = data.labels.noise
    assert noise is not None
    rates = {f"{split}_rate": noise.actual_rate(data.splits[split]) for split in ("train", "val")}
    epoch_seconds = [row["seconds"] for row in rows]
    device = trainer.strategy.root_device
    own = {"own": {"fingerprints": data.fingerprints, "test_drawn": data.dataset.test_drawn}}
    checkpoint_bytes = folder.last.stat().st_size if folder.last.exists() else None
    return {
        "schema_version": SCHEMA_VERSION,
        "identity": folder.identity,
        "run": folder.path.name,
        "sweep": folder.path.parent.name,
        "fast_dev_run": bool(cfg.trainer.fast_dev_run),
        "data": {
            "name": options["data"],
            "classes": data.classes,
            **sizes,
            "trusted": len(data.trusted),
            "skipped": len(data.dataset.skipped),
            **({} if data.fingerprints is None else own),
        },
        "corruption": options["corruption"],
        "noise": {**noise.describe(), **rates, "train_wrong": _wrong(data)},
        "method": options["method"],
        "loss": options["loss"],
        "oracle_options": {name: cfg.method[name] for name in method.oracle_options},
        "model": options["model"],
        "seeds": {"seed": cfg.seed, "noise": noise.seed, "split": cfg.data.split_seed},
        "epochs": len(rows),
        "protocol": entries,
        "time": {
            "fit_seconds": sum(epoch_seconds),
            "seconds_per_epoch": statistics.median(epoch_seconds),
            "test_images_per_second": len(prediction.logits) / prediction.seconds if prediction else None,
        },
        "size": {
            "parameters": sum(parameter.numel() for parameter in method.parameters()),
            "checkpoint_bytes": checkpoint_bytes,
            "peak_memory_bytes": peak_memory(),
            "peak_device_memory_bytes": peak_device_memory(device),
        },
        **said_by_callbacks(trainer),
        "environment": {**environment.describe(device, trainer.precision), "processes": trainer.world_size},
        "numbers_version": NUMBERS_VERSION,
        "sources": sources(relevant_config(cfg)),
        "files": files(relevant_config(cfg)),
        "config": relevant_config(cfg),
    }


def _wrong(data: NoisyDataModule) -> int | None:
    """How many labels that training saw are wrong, those aside that the method knows to be right."""
    if data.labels.truth is None:
        return None
    train = data.splits["train"]
    return int((data.given[train] != data.labels.truth[train]).sum())


def said_by_callbacks(trainer: pl.Trainer) -> dict[str, Any]:
    """What callbacks with a ``result_entries()`` have to add to the result."""
    entries: dict[str, Any] = {}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        entries |= callback.result_entries() if hasattr(callback, "result_entries") else {}
    return entries
