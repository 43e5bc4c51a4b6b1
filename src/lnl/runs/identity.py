"""Which run is which: two runs with the same identity are the same experiment."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lnl.config import acting
from lnl.datasets.contents import fingerprints
from lnl.errors import UserError
from lnl.runs.code import class_flag, sources

NUMBERS_VERSION = 4  # to be raised whenever a change of lnl's code changes the numbers of the same configuration

# Everything else can change a run's numbers.
IRRELEVANT = {
    "": ("hydra", "paths", "logger", "force", "sweep"),
    "data": ("data_dir", "cache_dir"),
    "trainer": ("log_every_n_steps",),
    "callbacks": ("progress", "stop_on_nan", "contact_sheet"),
}


def relevant_config(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration without what cannot change a number: paths, loggers, progress bars, pictures."""
    config: dict[str, Any] = {}
    for key in cfg:
        if key not in IRRELEVANT[""]:
            value = cfg[key]
            config[str(key)] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    for section, keys in IRRELEVANT.items():
        for key in keys if section else ():
            if isinstance(config.get(section), dict):
                config[section].pop(key, None)
    return config


# Files whose content counts, wherever they lie.
FILES = (("init_from",), ("noise", "path"), ("data", "trusted"))


def files(config: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of each file whose content counts, by the key that names it."""
    found = {}
    for *section, key in FILES:
        part = config.get(section[0], {}) if section else config
        if isinstance(part.get(key), str) and (path := Path(part[key]).expanduser()).is_file():
            found[".".join([*section, key])] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def identity(cfg: DictConfig) -> str:
    """sha256 of all that can change a run's numbers; of a file, its content; of a folder, what is in it; of code that
    is the user's own, its source.
    """
    config = relevant_config(cfg)
    if found := sources(config):
        config["sources"] = found
    for name, digest in files(config).items():
        *section, key = name.split(".")
        (config[section[0]] if section else config)[key] = digest
    for name in ("limit_train_batches", "limit_val_batches", "val_check_interval"):
        if type(value := config.get("trainer", {}).get(name)) is int and value == 1:
            config["trainer"][name] = "1 batch"  # 1.0 is all of them
    if isinstance(config.get("data"), dict):
        config["data"] |= fingerprints(config["data"])
    canonical = json.dumps(_canonical({"numbers_version": NUMBERS_VERSION, **config}), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """1 and 1.0 are the same number."""
    if isinstance(value, dict):
        return {str(key): _canonical(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_canonical(entry) for entry in value]
    return float(value) if type(value) is int else value


def run_name(cfg: DictConfig, choices: Mapping[str, str]) -> str:
    """A readable, unique folder name, e.g. ``cifar10-symmetric0.3-cnn-baseline-ce-seed0-1a2b3c4d``.

    A loss that the method does not use is left out; callbacks that can change numbers are in it.
    """
    needed = ("data", "noise", "corruption", "model", "method", "loss", "optimizer")
    if missing := [group for group in needed if group not in cfg]:
        raise UserError(f"{missing[0]} cannot be left out: {missing[0]}=...")
    rate, seed = cfg.noise.get("rate"), cfg.seed
    if isinstance(seed, float) and seed.is_integer():
        seed = int(seed)
    noise = f"{choices['noise']}{float(rate):g}" if isinstance(rate, int | float) else choices["noise"]
    images = [choices["data"], *({choices["corruption"]} - {"none"})]
    loss = [choices["loss"]] if class_flag(cfg.method.get("_target_", ""), "any_loss") is not False else []
    callbacks = acting(relevant_config(cfg).get("callbacks"))
    parts = [*images, noise, choices["model"], choices["method"], *loss, *callbacks, f"seed{seed}"]
    return "-".join([*parts, identity(cfg)[:8]]).replace("/", "_")
