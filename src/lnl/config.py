"""The place of the configuration, and the objects that its parts describe."""

import functools
import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from lnl.errors import UserError
from lnl.values import check_values

_PACKAGE = Path(__file__).parent
# Inside a wheel conf/ is part of the package; in a checkout it is at the top.
CONF_DIR = str(_PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf")


def listed(given: Any) -> list[str]:
    """The names in a key that takes one or several. A folder may be called 2024, which Hydra takes for a number."""
    if given is None:
        return []
    return [str(name) for name in given] if isinstance(given, list | tuple | ListConfig) else [str(given)]


def nested(value: Any, key: str = "config") -> Iterator[tuple[Any, Any]]:
    """Every value in a mapping or list at any depth, itself included, each with the key that it belongs to."""
    yield key, value
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from nested(entry, name)
    elif isinstance(value, list):
        for entry in value:
            yield from nested(entry, key)


def build(name: str, node: DictConfig, **objects: Any) -> Any:
    """The object that ``node._target_`` names, made of the node's values and of ``objects``.

    Raises UserError, naming the part of the configuration, for a value that is refused or missing.
    """
    made = factory(name, node, given=objects)
    with _explained(name, node):
        return made(**objects)


def build_loss(node: DictConfig) -> Any:
    """The loss that ``node`` names: an object, or a function of logits and labels with the node's other values."""
    if isinstance(node, DictConfig):
        node = node.copy()  # which keeps its parent: interpolations look there for the dataset
        with open_dict(node):
            for beside in ("label_smoothing", "l1_norm"):
                node.pop(beside, None)
    made = factory("loss", node)
    if inspect.isfunction(made.func):
        try:
            inspect.signature(made.func).bind(**made.keywords)
        except TypeError:  # logits and labels are missing
            return made
    return made if node.get("_partial_") else build("loss", node)


def factory(name: str, node: DictConfig, given: Collection[str] = ()) -> functools.partial[Any]:
    """What makes the object that ``node._target_`` names of its ``given`` objects, with or without ``_partial_``."""
    if not isinstance(node, DictConfig) or not node.get("_target_"):
        given = "one that has none" if isinstance(node, DictConfig) else node
        raise UserError(f"{name} must be something with a _target_, got {given}")
    if missing := sorted(OmegaConf.missing_keys(node)):
        raise UserError(f"{missing[0]} has to be given: {missing[0]}=...")
    check_values(name, node, skip={f"{name}.{key}" for key in given})
    with _explained(name, node):
        made: functools.partial[Any] = instantiate(node, _partial_=True, _convert_="all")
        return made


@contextmanager
def _explained(name: str, node: DictConfig) -> Iterator[None]:
    try:
        yield
    except InstantiationException as error:
        lines = [line for line in str(error.__cause__ or error).splitlines() if not line.startswith("full_key")]
        raise UserError(f"{name}: {' '.join(lines[:2])}") from error
    except (ValueError, TypeError) as error:
        key = str(error).partition(" ")[0]  # errors about a value begin with its name, or with the whole key
        whole = "." in key and Path(CONF_DIR, key.partition(".")[0]).is_dir()
        raise UserError(f"{'' if whole else f'{name}.' if key in node else f'{name}: '}{error}") from error


def build_all(name: str, nodes: Mapping[str, Any] | None) -> list[Any]:
    """One object for every entry of a group that may hold several (callbacks, loggers)."""
    return [build(f"{name}.{key}", node) for key, node in (nodes or {}).items() if node is not None]
