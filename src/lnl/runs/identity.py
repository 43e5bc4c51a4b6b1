"""The identity of a run: two runs with the same identity are the same experiment."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig, OmegaConf

from lnl.datasets.contents import fingerprints
from lnl.progress import working
from lnl.runs.code import class_attribute, sources

NUMBERS_VERSION = 5  # to be raised whenever a change of lnl's code changes the numbers of the same configuration

# Keys that change no number. Callbacks that change none have a constant: see `_can_change_numbers`.
IRRELEVANT = {
    "": ("hydra", "paths", "logger", "force", "sweep"),
    "data": ("data_dir", "cache_dir", "num_workers"),
    "trainer": ("log_every_n_steps",),
}
# Options that are newer than NUMBERS_VERSION, and count where they have another value than what was done before.
NEWER: dict[str, dict[str, Any]] = {
    "data": {"min_per_class": None, "interpolation": "bilinear", "resize": None},
    "loss": {"l1_norm": 0.0},
    "model": {"head": "linear", "expects": {}},
    "optimizer": {"backbone_lr_scale": 1.0},
    "features": {"views": None},
    "method": {"virtual_lr": None},
}


@dataclass(frozen=True)
class Experiment:
    """All that can change a run's numbers; made by :func:`identify`."""

    config: dict[str, Any]  # as of relevant_config
    sources: dict[str, str]  # as of lnl.runs.code.sources
    files: dict[str, str]  # sha256 of each file whose content counts, by the key that names it
    fingerprints: dict[str, Any]  # of the user's own data, as of lnl.datasets.contents.fingerprints

    @cached_property
    def identity(self) -> str:
        """sha256 of it all: of a file its content, of a folder its files, of the user's own code its source."""
        config = {key: dict(value) if isinstance(value, dict) else value for key, value in self.config.items()}
        if self.sources:
            config["sources"] = self.sources
        for name, digest in self.files.items():
            section, _, key = name.rpartition(".")
            (config[section] if section else config)[key] = digest
        for name in ("limit_train_batches", "limit_val_batches", "val_check_interval"):
            if type(value := config.get("trainer", {}).get(name)) is int and value == 1:
                config["trainer"][name] = "1 batch"  # 1.0 is all of them
        if isinstance(config.get("data"), dict):
            config["data"] |= self.fingerprints
        written = json.dumps({"numbers_version": NUMBERS_VERSION, **config}, default=str)
        canonical = json.dumps(json.loads(written, parse_int=float), sort_keys=True)  # 1 and 1.0 are the same number
        return hashlib.sha256(canonical.encode()).hexdigest()

    def fold(self, number: int) -> Self:
        """The same with one fold (from 1) for validation."""
        return replace(self, config={**self.config, "data": {**self.config["data"], "fold": number}})


def identify(cfg: DictConfig, show: bool = True) -> Experiment:
    """The experiment that a configuration describes. Reads only the user's files, and says so, if ``show``."""
    config = relevant_config(cfg)
    data = config.get("data")
    found = {}
    if isinstance(data, dict):
        with working(f"reading {data.get('path') or data.get('name')}") if show else nullcontext():
            found = fingerprints(data)
    return Experiment(config, sources(config), _files(config), found)


def relevant_config(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration without keys that cannot change a number: paths, loggers, progress bars, pictures."""
    config: dict[str, Any] = {}
    for key in cfg:
        if key not in IRRELEVANT[""]:
            value = cfg[key]
            config[str(key)] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    for section, keys in IRRELEVANT.items():
        if section and isinstance(config.get(section), dict):
            config[section] = {key: value for key, value in config[section].items() if key not in keys}
    for section, former in NEWER.items():
        if isinstance(part := config.get(section), dict):
            config[section] = {key: value for key, value in part.items() if key not in former or value != former[key]}
    if not config.get("features", True):
        del config["features"]
    if isinstance(callbacks := config.get("callbacks"), dict):
        config["callbacks"] = {
            name: node for name, node in callbacks.items() if _can_change_numbers(node) or _says(node, "in_identity")
        }
    return config


def _can_change_numbers(callback: Any) -> bool:
    """Whether a callback can change numbers; how often to save, which stands beside callbacks, cannot."""
    return isinstance(callback, Mapping) and _says(callback, "changes_numbers") is not False


def acting(config: Mapping[str, Any]) -> list[str]:
    """What a run tries beside method and loss: callbacks that can change numbers, mix, average and label smoothing."""
    names = [name for name, node in (config.get("callbacks") or {}).items() if _can_change_numbers(node)]
    parts = [config.get(group) or {} for group in ("mix", "average")]
    names += [str(part["_target_"]).rpartition(".")[2].lower() for part in parts if "_target_" in part]
    smoothing = (config.get("loss") or {}).get("label_smoothing") or 0
    return sorted(names) + [f"smoothing{smoothing:g}"] * bool(smoothing)


def _says(node: Any, name: str) -> Any:
    """A constant of the class that a node of the configuration names."""
    return class_attribute(node.get("_target_"), name) if isinstance(node, Mapping) else None


def _files(config: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of each file whose content counts, not its place; a noise's class names those of a noise."""
    noise = [f"noise.{key}" for key in _says(config.get("noise"), "reads_files") or ()]
    found = {}
    for name in ("init_from", *noise, "data.trusted", "model.weights", "features.path", "method.transition"):
        section, _, key = name.rpartition(".")
        part = config.get(section) or {} if section else config
        if isinstance(part.get(key), str) and (path := Path(part[key]).expanduser()).is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
