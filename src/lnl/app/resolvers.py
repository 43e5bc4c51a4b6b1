"""What the YAML files compute by ``${lnl.…:}``."""

import os
import socket
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lnl.config import CONF_DIR
from lnl.runs.plan import run_name


def register_resolvers() -> None:
    """Makes them known to OmegaConf; again and again does no harm."""
    OmegaConf.register_new_resolver("lnl.user_cache", _user_cache, replace=True)
    OmegaConf.register_new_resolver("lnl.sweep_name", _sweep_name, replace=True)
    OmegaConf.register_new_resolver("lnl.join", _join, replace=True)
    # Once a sweep: Hydra hands what was computed on to the jobs, as it does with ${now:}.
    OmegaConf.register_new_resolver("lnl.sweep_id", _sweep_id, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("lnl.run_name", _run_name, replace=True)
    OmegaConf.register_new_resolver("lnl.options", _options, replace=True)
    OmegaConf.register_new_resolver("lnl.published", _published, replace=True)
    OmegaConf.register_new_resolver("lnl.by_data", _by_data, replace=True)
    OmegaConf.register_new_resolver("lnl.up_to_a_third", _up_to_a_third, replace=True)


def _user_cache() -> str:
    return os.environ.get("LNL_CACHE_DIR") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lnl"
    )


def _sweep_name(fast_dev_run: bool | int, sweep: str | None, experiment: str | None) -> str:
    return "fast_dev_run" if fast_dev_run else str(sweep or experiment or "runs")


def _sweep_id() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{socket.gethostname()}-{os.getpid()}"


def _join(*parts: object) -> str:
    if "" in parts or None in parts:
        raise ValueError("the name of a folder is empty")  # which would mean the root of the file system
    return os.path.join(*map(str, parts))  # a folder may be called 1


def _options(group: str) -> str:
    return ", ".join(sorted(path.stem for path in (Path(CONF_DIR) / group).glob("*.yaml")))


def _published() -> str:
    from lnl.reporting.published import published  # pandas takes longer than most that is asked of this file

    return ", ".join(sorted(set(published()["study"])))


def _by_data(usual: Any, others: DictConfig, *, _root_: DictConfig) -> Any:
    """The value of ``others`` for the chosen dataset, by the name of its class; the usual one if there is none."""
    return others.get(str(OmegaConf.select(_root_, "data._target_")).rpartition(".")[2], usual)


def _up_to_a_third(most: int, epochs: Any) -> int:
    """So many epochs, but at most a third of all."""
    whole = isinstance(epochs, int | float) and epochs >= 1  # what else there may be is refused by the Trainer
    return min(most, max(1, int(epochs) // 3)) if whole else most


def _run_name(*, _root_: DictConfig) -> str:
    return run_name(_root_)
