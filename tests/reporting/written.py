"""Run folders written by hand, with just what reporting reads."""

import json
import zlib
from pathlib import Path
from typing import Any

import pandas as pd


def write_run(root: Path, sweep: str, accuracy: float = 0.5, **change: Any) -> Path:
    """A finished run of one epoch with this test accuracy; ``change`` replaces what it is and says.

    ``noise``, ``rate``, ``seed``, ``data``, ``model``, ``method``, ``loss``, ``corruption``, ``config``, ``train`` and
    ``val`` (accuracies), ``seconds``, ``splits`` (further tests), ``curve`` (rows of metrics.csv), ``parameters``,
    ``protocols`` (further ones, with their test accuracy), ``confusion`` (of the test set), ``noise_seed``, ``labels``
    (what tells the noisy labels from others), ``train_rate`` (of wrong labels; by default the rate), ``epochs``,
    ``augment``,
    ``memorised``, ``visited`` (share of the training samples), ``sources``, ``files`` (hashes), ``numbers_version``.
    """
    facts = {"noise": "symmetric", "rate": 0.3, "seed": 0, "data": "cifar10", "model": "cnn", "method": "baseline"}
    facts |= {"loss": "ce", "corruption": "none", "config": {}, "train": 0.6, "val": 0.4, "seconds": 10.0}
    facts |= {"splits": {}, "curve": [], "parameters": 1000, "protocols": {}, "confusion": None, "noise_seed": 0}
    facts |= {"epochs": 1, "visited": None, "memorised": None, "sources": {}, "files": {}, "numbers_version": 1}
    facts |= change
    identity = json.dumps([sweep, accuracy, facts], default=str)
    folder = root / sweep / f"run-{zlib.crc32(identity.encode()):x}"
    folder.mkdir(parents=True)
    entry = {
        "epoch": 0,
        "train": {"loss": 1.5, "accuracy": facts["train"]},
        "val": {"loss": None, "accuracy": facts["val"]},
    }
    entry["train"] |= {name: facts[name] for name in ("visited", "memorised") if facts[name] is not None}
    entry["test"] = {"accuracy": accuracy, "macro_f1": accuracy / 2, "ece": 0.1, "recall": [1.0, 0.0]}
    if facts["confusion"]:
        entry["test"]["confusion_matrix"] = facts["confusion"]
    entry |= {split: {"accuracy": value} for split, value in facts["splits"].items()}
    result = {
        "schema_version": 1,
        "identity": identity,
        "run": folder.name,
        "sweep": sweep,
        "data": {"name": facts["data"], "classes": ["a", "b"], "train": 1000},
        "corruption": facts["corruption"],
        "noise": {
            "kind": facts["noise"],
            "rate": facts["rate"],
            "actual_rate": facts["rate"],
            "train_rate": facts.get("train_rate", facts["rate"]),
            "sha256": facts.get("labels", f"{facts['noise']} {facts['rate']}"),
        },
        **{key: facts[key] for key in ("model", "augment", "method", "loss") if key in facts},
        "seeds": {"seed": facts["seed"], "noise": facts["noise_seed"], "split": 0},
        **{key: facts[key] for key in ("epochs", "sources", "files", "numbers_version")},
        "protocol": {
            "last": entry,
            "noisy_val_best": {**entry, "test": {"accuracy": accuracy + 0.01}},
            **{name: {**entry, "test": {"accuracy": value}} for name, value in facts["protocols"].items()},
        },
        "time": {"fit_seconds": facts["seconds"], "seconds_per_epoch": 2.0, "test_images_per_second": 1000.0},
        "size": {"parameters": facts["parameters"], "checkpoint_bytes": 4_000_000, "peak_memory_bytes": 5e8},
        "environment": {"device": "cpu", "device_name": "a CPU", "precision": "32-true"},
        "config": facts["config"],
    }
    (folder / "result.json").write_text(json.dumps(result))
    if facts["curve"]:
        pd.DataFrame(facts["curve"]).to_csv(folder / "metrics.csv", index_label="epoch")
    return folder
