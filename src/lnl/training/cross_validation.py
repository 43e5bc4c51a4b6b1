"""k-fold cross-validation: k runs, each validated on the part of the training labels that it did not see."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lnl.datasets.splits import check_folds
from lnl.errors import UserError
from lnl.runs.folder import SCHEMA_VERSION, RunFolder, write_json
from lnl.runs.plan import Plan
from lnl.training.run import train


def cross_validate(
    plan: Plan, say: Callable[[str], Any] = print, tell: Callable[[int], Any] = lambda epochs: None
) -> dict[str, Any]:
    """Trains ``data.folds`` runs in ``fold1``, ``fold2``, …, each with that part of the training labels held out.

    Finished folds are not trained again. The whole run's ``out_of_fold.npz`` has, for every sample in a fold, its
    ``index``, given ``labels`` and the ``probabilities[n, K]`` by the last epoch of the run that did not see it.

    Args, Returns, Raises: as of :func:`lnl.training.run.train`.
    """
    cfg, folder = plan.cfg, plan.folder
    if cfg.trainer.fast_dev_run:
        raise UserError("trainer.fast_dev_run runs one batch of one fold: set data.fold=1 with it.")
    try:
        check_folds(cfg.data.folds)
    except ValueError as error:
        raise UserError(str(error)) from error
    new = not folder.marker.exists()
    folder.claim(force=cfg.force)
    results: list[dict[str, Any]] = []
    since = None  # from where the pace is known
    for fold in range(1, cfg.data.folds + 1):
        inner = plan.fold(fold, since)
        say(f"fold {fold} of {cfg.data.folds}")
        try:
            if result := inner.folder.finished():
                results.append(result)
                continue
            results.append(train(inner, say, tell))
        except UserError:
            if new and not inner.folder.marker.exists() and fold == 1:
                folder.unclaim()  # a mistake in the configuration leaves no folder
            raise
        since = since or ((fold - 1) / cfg.data.folds, time.time() - results[-1]["time"]["fit_seconds"])
    parts = [np.load(folder.fold(i + 1).out_of_fold) for i in range(len(results))]
    order = np.argsort(np.concatenate([part["index"] for part in parts]))
    arrays: dict[str, Any] = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0].files}
    np.savez_compressed(folder.out_of_fold, **arrays)
    result = merge(plan.experiment.config, folder, results)
    write_json(folder.result, result)
    return result


def merge(config: dict[str, Any], folder: RunFolder, results: list[dict[str, Any]]) -> dict[str, Any]:
    """One result of the folds' results (``docs/run_folder.md`` says which of its numbers are means)."""
    first = {key: value for key, value in results[0].items() if key != "corrections"}
    protocol: dict[str, dict[str, Any]] = {}
    for name, entry in first["protocol"].items():
        each = [result["protocol"][name] for result in results if name in result["protocol"]]
        if len(each) == len(results):
            parts = [part for part, metrics in entry.items() if isinstance(metrics, dict)]
            protocol[name] = {"epoch": None, **{part: _means([found[part] for found in each]) for part in parts}}
    spreads = {}
    for split in [split for split in ("val", "test") if split in first["protocol"]["last"]]:
        values = [result["protocol"]["last"][split]["accuracy"] for result in results]
        mean, std = statistics.mean(values), statistics.stdev(values)
        spreads[f"{split}_accuracy"] = {"mean": mean, "std": std, "each": values}
    # Each fold's two splits are the whole set.
    labels = first["data"]["train"] + first["data"]["val"]
    wrong, val_rate = first["noise"]["train_wrong"], first["noise"]["val_rate"]
    wrong_rate = None if wrong is None else (wrong + val_rate * first["data"]["val"]) / labels
    times = [result["time"] for result in results]
    return {
        **first,
        "schema_version": SCHEMA_VERSION,
        "identity": folder.identity,
        "run": folder.path.name,
        "sweep": folder.path.parent.name,
        "data": {**first["data"], "val": sum(result["data"]["val"] for result in results)},
        "protocol": protocol,
        "cross_validation": {"folds": len(results), "labels": labels, "wrong_rate": wrong_rate, **spreads},
        "time": {**_means(times), "fit_seconds": sum(time["fit_seconds"] for time in times)},
        "config": {**config, "method": first["config"]["method"]},  # with the values from the data
    }


def _means(parts: list[dict[str, Any]]) -> dict[str, float]:
    numbers = [name for name in parts[0] if all(isinstance(part.get(name), int | float) for part in parts)]
    return {name: statistics.mean(part[name] for part in parts) for name in numbers}
