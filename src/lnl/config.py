"""Where the configuration is, and how a part of it becomes an object."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from lnl.errors import UserError

_PACKAGE = Path(__file__).parent
# Inside a wheel conf/ is part of the package; in a checkout it is at the top.
CONF_DIR = str(_PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf")


def listed(given: Any) -> list[str]:
    """The names that a key for one or several was given. A folder may be called 2024, which Hydra reads as a number."""
    if given is None:
        return []
    return [str(name) for name in given] if isinstance(given, list | tuple | ListConfig) else [str(given)]


def build(name: str, node: DictConfig, **objects: Any) -> Any:
    """The object that ``node._target_`` names, made of the node's values and of ``objects``, passed as they are.

    Raises:
        UserError: naming the part of the configuration, if its values are refused, or one is missing.
    """
    if missing := sorted(OmegaConf.missing_keys(node)):
        raise UserError(f"{missing[0]} has to be given: {missing[0]}=...")
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
