"""Where the configuration is, what it may compute, and how a part of it becomes an object."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from lnl.errors import UserError
from lnl.runs.identity import run_name

_PACKAGE = Path(__file__).parent
# Inside a wheel conf/ is part of the package; in a checkout it is at the top.
CONF_DIR = str(_PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf")


def register_resolvers() -> None:
    """Makes known what the YAML files compute by ``${lnl.…:}``."""
    OmegaConf.register_new_resolver("lnl.user_cache", _user_cache, replace=True)
    OmegaConf.register_new_resolver("lnl.sweep_name", _sweep_name, replace=True)
    OmegaConf.register_new_resolver("lnl.run_name", _run_name, replace=True)


def _user_cache() -> str:
    return os.environ.get("LNL_CACHE_DIR") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lnl"
    )


def _sweep_name(fast_dev_run: bool | int, experiment: str | None) -> str:
    return "fast_dev_run" if fast_dev_run else str(experiment or "runs")


def _run_name(*, _root_: DictConfig) -> str:
    return run_name(_root_, _root_.hydra.runtime.choices)


def build(name: str, node: DictConfig, **objects: Any) -> Any:
    """The object that ``node._target_`` names, made of the node's values and of ``objects``, passed as they are.

    Raises:
        UserError: naming the part of the configuration, if its values are refused.
    """
    try:
        made = instantiate(node, _partial_=True, _convert_="all")
        return made if node.get("_partial_") else made(**objects)
    except InstantiationException as error:
        raise UserError(f"{name}: {error.__cause__ or error}") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{name}: {error}") from error


def build_all(name: str, nodes: Mapping[str, Any] | None) -> list[Any]:
    """One object for every entry of a group that may hold several (callbacks, loggers)."""
    return [build(f"{name}.{key}", node) for key, node in (nodes or {}).items() if node is not None]
