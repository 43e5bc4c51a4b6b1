"""Where the configuration is, and how a part of it becomes an object."""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from lnl.errors import UserError

_PACKAGE = Path(__file__).parent
# Inside a wheel conf/ is part of the package; in a checkout it is at the top.
CONF_DIR = str(_PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf")

LOOK_ON = ("sample_history",)  # callbacks that are in a run's identity for the file that they write


def listed(given: Any) -> list[str]:
    """The names that a key for one or several was given. A folder may be called 2024, which Hydra reads as a number."""
    if given is None:
        return []
    return [str(name) for name in given] if isinstance(given, list | tuple | ListConfig) else [str(given)]


def acting(callbacks: Mapping[str, Any] | None) -> list[str]:
    """The names of the callbacks that are part of what was tried, as a loss is.

    Args:
        callbacks: those in a run's identity, which has left out what cannot change a number.
    """
    return sorted(name for name, node in (callbacks or {}).items() if node is not None and name not in LOOK_ON)


def build(name: str, node: DictConfig, **objects: Any) -> Any:
    """The object that ``node._target_`` names, made of the node's values and of ``objects``, passed as they are.

    Raises:
        UserError: naming the part of the configuration, if its values are refused, or one is missing.
    """
    if missing := sorted(OmegaConf.missing_keys(node)):
        raise UserError(f"{missing[0]} has to be given: {missing[0]}=...")
    try:
        made = instantiate(node, _partial_=True, _convert_="all")
        check_numbers(name, made)
        return made if node.get("_partial_") else made(**objects)
    except InstantiationException as error:
        raise UserError(f"{name}: {error.__cause__ or error}") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{name}: {error}") from error


def check_numbers(name: str, made: functools.partial[Any]) -> None:
    """Raises UserError, naming the key, for text, or null, where a parameter is annotated as a number alone."""
    allowed = _numbers(made.func)
    for key, value in made.keywords.items():
        if key in allowed and (isinstance(value, str) or (value is None and not allowed[key])):
            given = "null" if value is None else f"'{value}'"
            raise UserError(f"{name}.{key} must be a number, got {given}")


def _numbers(function: Callable[..., Any]) -> dict[str, bool]:
    """The parameters of a function or class that take numbers alone, and of each whether it takes null as well."""
    found: dict[str, bool] = {}
    for init in [vars(base).get("__init__") for base in function.__mro__] if inspect.isclass(function) else [function]:
        if not inspect.isfunction(init):
            continue
        try:
            hints = get_type_hints(init)
        except NameError:  # of a type that only a type checker imports
            hints = {}
        parameters = inspect.signature(init).parameters.values()
        for parameter in parameters:
            hint = hints.get(parameter.name)
            kinds = set(get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint])
            others = kinds - {int, float, bool, type(None)}  # an optimizer's lr may be a Tensor
            if kinds & {int, float} and all(getattr(kind, "__name__", "") == "Tensor" for kind in others):
                found.setdefault(parameter.name, type(None) in kinds or parameter.default is None)
        if all(parameter.kind != inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            break  # else the rest goes to the next class
    return found


def build_all(name: str, nodes: Mapping[str, Any] | None) -> list[Any]:
    """One object for every entry of a group that may hold several (callbacks, loggers)."""
    return [build(f"{name}.{key}", node) for key, node in (nodes or {}).items() if node is not None]
