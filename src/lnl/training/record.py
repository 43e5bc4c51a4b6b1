"""The content of result.json. ``docs/run_folder.md`` documents every key."""

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
    options, folder, device = plan.options, plan.folder, trainer.strategy.root_device
    seeds = {"seed": config["seed"], "noise": data.labels.noise.seed, "split": config["data"]["split_seed"]}
    epoch_seconds = [row["seconds"] for row in rows]
    said = [callback.result_entries() for callback in trainer.callbacks if hasattr(callback, "result_entries")]  # type: ignore[attr-defined]
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
        "seeds": seeds,
        "epochs": len(rows),
        "protocol": entries,
        "time": {
            "fit_seconds": sum(epoch_seconds),
            "seconds_per_epoch": statistics.median(epoch_seconds),
            "test_images_per_second": len(prediction.logits) / prediction.seconds if prediction else None,
        },
        "size": {
            "parameters": sum(parameter.numel() for name, parameter in method.named_parameters() if "." in name),
            "checkpoint_bytes": folder.last.stat().st_size if folder.last.exists() else None,
            "peak_memory_bytes": peak_memory(),
            "peak_device_memory_bytes": peak_device_memory(device),
        },
        **{key: value for entries in said for key, value in entries.items()},
        "environment": {**environment.describe(device, trainer.precision), "processes": trainer.world_size},
        "numbers_version": NUMBERS_VERSION,
        "sources": plan.experiment.sources,
        "files": plan.experiment.files,
        "config": config,
    }


def _data(data: NoisyDataModule) -> dict[str, Any]:
    found: dict[str, Any] = {"test": 0, **{split: len(index) for split, index in data.splits.items()}}
    found |= {"classes": data.classes, "trusted": len(data.trusted), "skipped": len(data.dataset.skipped)}
    if data.fingerprints is not None:
        found["own"] = {"fingerprints": data.fingerprints, "test_drawn": data.dataset.test_drawn}
    return found


def _noise(data: NoisyDataModule) -> dict[str, Any]:
    record, noise = data.labels.noise, type(data.noise)
    assert record is not None
    train, val = (record.actual_rate(data.splits[split]) for split in ("train", "val"))
    kind = {} if "kind" in vars(noise) else {"kind": noise.__name__}  # else it has that of the class that it extends
    return {**record.describe(), **kind, "train_rate": train, "val_rate": val, "train_wrong": _wrong(data)}


def _wrong(data: NoisyDataModule) -> int | None:
    """The number of wrong labels that training saw; a method that uses trusted samples saw their right labels."""
    if data.labels.truth is None:
        return None
    train = data.splits["train"]
    return int((data.given[train] != data.labels.truth[train]).sum())
