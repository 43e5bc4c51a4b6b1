"""Run folders -> one table, with a row for each run and protocol. No other module of reporting opens a result.json."""

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from lnl.progress import tracked
from lnl.runs.find import find_runs
from lnl.runs.folder import SCHEMA_VERSION, RunFolder
from lnl.runs.identity import acting

log = logging.getLogger(__name__)


def read_runs(paths: Iterable[Path | str]) -> pd.DataFrame:
    """All finished runs in and under ``paths``.

    Folders that cannot be read are skipped with a warning. Copies of a run within a sweep count once, by identity.

    Returns:
        A row for each run and protocol (``last``, ``noisy_val_best``, …), with the columns

        - ``path``, ``sweep``, ``run``, ``identity``, ``protocol``, ``epoch`` (from 0), ``epochs``;
        - ``data`` (the option, for your own data with the name of its folder or file), ``corruption``, ``noise``
          (kind), ``rate`` (asked for; 0 without noise, NaN for labels as given), ``actual_rate``, ``train_rate`` (NaN
          for cross-validated runs), ``train_samples``, ``model``, ``augment``, ``method`` (``(oracle)`` is added if it
          knew the true share of wrong labels), ``loss`` (``none`` if the method uses none), ``callbacks``
          (:func:`lnl.runs.identity.acting`, as text), ``seed``, ``noise_seed``, ``split_seed``, ``noise_sha256`` of the
          labels;
        - every number as ``<split>/<metric>``, such as ``test/accuracy``, ``train/loss``, and those of
          ``evaluations/<data>-<protocol>.json`` as ``<data>/<metric>``, such as ``mnist/accuracy``;
        - ``fit_seconds``, ``seconds_per_epoch``, ``seconds_per_image`` (inference), ``parameters``,
          ``checkpoint_bytes``, ``peak_memory_bytes``, ``peak_device_memory_bytes``, ``device``, ``device_name``,
          ``precision``;
        - every value of the configuration by its key, such as ``method.threshold``; hashes of the user's code and files
          below ``sources``, ``files`` and ``fingerprints``; ``numbers_version``; and ``variant``, a hash of all these
          without the seeds.
    """
    runs, unreadable = read_folders(find_runs(paths))
    for folder, reason in unreadable.items():
        log.warning("skipped %s: %s", folder, reason)
    return runs


def read_folders(folders: Sequence[Path]) -> tuple[pd.DataFrame, dict[Path, str]]:
    """Runs as of :func:`read_runs`, and for each folder that could not be read the reason."""
    rows, unreadable = [], {}
    for folder in tracked(folders, "reading runs", len(folders)):
        try:
            rows += _rows(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            unreadable[folder] = f"{type(error).__name__}: {error}"
    runs = pd.DataFrame(rows)
    return runs.drop_duplicates(["sweep", "identity", "protocol"], ignore_index=True) if rows else runs, unreadable


def _rows(folder: Path) -> list[dict[str, Any]]:
    result = json.loads(RunFolder(folder).result.read_text())
    if result["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"result.json of schema version {result['schema_version']}, which this lnl cannot read")
    noise, time = result["noise"], result["time"]
    own = {key: result.get(key, {}) for key in ("sources", "files")}
    own["fingerprints"] = result["data"].get("own", {}).get("fingerprints", {})
    whole = {**_without_seeds(result["config"]), **own, "numbers_version": result.get("numbers_version")}
    images_per_second = time.get("test_images_per_second")  # missing without a test set
    run = {
        "path": str(folder),
        **{key: result[key] for key in ("sweep", "run", "identity", "epochs", "model", "loss")},
        "method": result["method"] + (" (oracle)" if result.get("oracle_options") else ""),
        "data": _data_name(result),
        "callbacks": " + ".join(acting(result["config"])),
        "numbers_version": result.get("numbers_version"),
        "corruption": result.get("corruption", "none"),
        # Before 0.2 it was a key of the data.
        "augment": result.get("augment") or result["config"].get("data", {}).get("augment", "none"),
        "noise": noise["kind"],
        "rate": 0.0 if noise["kind"] == "none" else noise["rate"],
        "actual_rate": noise["actual_rate"],
        # Each fold has its own; result.json has that of the first.
        "train_rate": None if "cross_validation" in result else noise.get("train_rate"),
        "train_samples": result["data"].get("train"),
        "noise_sha256": noise.get("sha256"),
        "seed": result["seeds"]["seed"],
        **{f"{key}_seed": result["seeds"][key] for key in ("noise", "split")},
        **{key: time[key] for key in ("fit_seconds", "seconds_per_epoch")},
        "seconds_per_image": 1 / images_per_second if images_per_second else None,
        **result["size"],
        **{key: result["environment"][key] for key in ("device", "device_name", "precision")},
        **dict(_flat({**result["config"], **own})),
        "variant": hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest(),
    }
    return [
        {
            **run,
            "protocol": protocol,
            "epoch": entry["epoch"],
            **dict(_metrics(entry)),
            **_evaluations(folder, protocol, result["identity"]),
        }
        for protocol, entry in result["protocol"].items()
    ]


def _data_name(result: dict[str, Any]) -> str:
    """The option of ``data``, for the user's own data with the name of the folder, file or dataset."""
    given = result["config"].get("data", {})
    place = Path(str(given.get("path") or given.get("name") or "")).name
    return " ".join(filter(None, (result["data"]["name"], place if result["data"].get("own") else "")))


def _flat(config: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Values below the first level under dotted names, ``init_from`` and ``oracle``; lists as text."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif (prefix and (key == "_target_" or not key.startswith("_"))) or key in ("init_from", "oracle"):
            yield prefix + key, str(value) if isinstance(value, list) else value


def _without_seeds(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    return {key: _without_seeds(value) for key, value in config.items() if not str(key).endswith("seed")}


def _metrics(entry: dict[str, Any]) -> Iterable[tuple[str, float]]:
    for split, metrics in entry.items():
        if isinstance(metrics, dict):
            for name, value in metrics.items():
                if value is None or isinstance(value, int | float):
                    yield f"{split}/{name}", np.nan if value is None else value


def _evaluations(folder: Path, protocol: str, identity: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for path in sorted(RunFolder(folder).evaluations.glob("*.json")):
        record = json.loads(path.read_text())
        if record["identity"] == identity and record["protocol"] == protocol and record["data"]["split"] == "test":
            found |= dict(_metrics({record["data"]["name"]: record["test"]}))
    return found


def read_metrics(run: Path | str) -> pd.DataFrame:
    """``metrics.csv`` of a run folder, a row for each epoch; of a cross-validated run the mean over its folds."""
    folds = [pd.read_csv(fold.metrics) for fold in RunFolder(run).folds() if fold.metrics.exists()]
    return pd.concat(folds).groupby("epoch", as_index=False).mean() if folds else pd.read_csv(RunFolder(run).metrics)


def read_confusions(run: Path | str) -> tuple[list[str], dict[str, np.ndarray]]:
    """A run's classes, and for each protocol the counts ``[K, K]`` of its confusion matrix, true class by row."""
    result = json.loads(RunFolder(run).result.read_text())
    matrices = {name: entry.get("test", {}).get("confusion_matrix") for name, entry in result["protocol"].items()}
    return list(result["data"]["classes"]), {name: np.asarray(matrix) for name, matrix in matrices.items() if matrix}


def read_transition(run: Path | str) -> np.ndarray | None:
    """The matrix ``[K, K]`` that a run's wrong labels were drawn from, true class by row; None without one."""
    try:
        with np.load(RunFolder(run).noise) as noise:
            return np.asarray(noise["transition_matrix"]) if "transition_matrix" in noise else None
    except (OSError, ValueError, BadZipFile):
        return None
