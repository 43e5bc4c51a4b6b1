"""result.json: all that is known of a finished run, put together. ``docs/run_folder.md`` documents every key."""

import statistics
from typing import Any

import pytorch_lightning as pl

from lnl.data import NoisyDataModule
from lnl.methods import NoisyLabelMethod
from lnl.metrics import peak_device_memory, peak_memory
from lnl.runs.folder import SCHEMA_VERSION
from lnl.runs.identity import NUMBERS_VERSION
from lnl.runs.plan import Plan
from lnl.training import environment
from lnl.training.evaluation import Prediction


def make_result(
    plan: Plan,
    config: dict[str, Any],
    data: NoisyDataModule,
    method: NoisyLabelMethod,
    trainer: pl.Trainer,
    rows: list[dict[str, float]],
    entries: dict[str, Any],
    prediction: Prediction | None,
) -> dict[str, Any]:
    """The content of ``result.json``; ``config`` is the relevant configuration with what it left to the data."""
    assert data.labels.noise is not None
    options, folder, seeds = plan.options, plan.folder, {"seed": config["seed"], "noise": data.labels.noise.seed}
    epoch_seconds = [row["seconds"] for row in rows]
    device = trainer.strategy.root_device
    checkpoint_bytes = folder.last.stat().st_size if folder.last.exists() else None
    return {
        "schema_version": SCHEMA_VERSION,
        "identity": folder.identity,
        "run": folder.path.name,
        "sweep": folder.path.parent.name,
        "fast_dev_run": bool(plan.cfg.trainer.fast_dev_run),
        "data": {"name": options["data"], **_data(data)},
        "corruption": options["corruption"],
        "noise": _noise(data),
        "method": options["method"],
        "loss": options["loss"],
        "oracle_options": {name: config["method"][name] for name in method.oracle_options},
        "model": options["model"],
        "seeds": {**seeds, "split": config["data"]["split_seed"]},
        "epochs": len(rows),
        "protocol": entries,
        "time": {
            "fit_seconds": sum(epoch_seconds),
            "seconds_per_epoch": statistics.median(epoch_seconds),
            "test_images_per_second": len(prediction.logits) / prediction.seconds if prediction else None,
        },
        "size": {
            "parameters": sum(parameter.numel() for name, parameter in method.named_parameters() if "." in name),
            "checkpoint_bytes": checkpoint_bytes,
            "peak_memory_bytes": peak_memory(),
            "peak_device_memory_bytes": peak_device_memory(device),
        },
        **said_by_callbacks(trainer),
        "environment": {**environment.describe(device, trainer.precision), "processes": trainer.world_size},
        "numbers_version": NUMBERS_VERSION,
        "sources": plan.experiment.sources,
        "files": plan.experiment.files,
        "config": config,
    }


def _data(data: NoisyDataModule) -> dict[str, Any]:
    own = {"own": {"fingerprints": data.fingerprints, "test_drawn": data.dataset.test_drawn}}
    return {
        "classes": data.classes,
        "test": 0,
        **{split: len(index) for split, index in data.splits.items()},
        "trusted": len(data.trusted),
        "skipped": len(data.dataset.skipped),
        **({} if data.fingerprints is None else own),
    }


def _noise(data: NoisyDataModule) -> dict[str, Any]:
    record, noise = data.labels.noise, type(data.noise)
    assert record is not None
    rates = [record.actual_rate(data.splits[split]) for split in ("train", "val")]
    kind = {} if "kind" in vars(noise) else {"kind": noise.__name__}  # else it has that of the class that it extends
    said = {**record.describe(), **kind}
    return {**said, "train_rate": rates[0], "val_rate": rates[1], "train_wrong": _wrong(data)}


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
