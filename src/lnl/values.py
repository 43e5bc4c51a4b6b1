"""Checks values of a configuration by the annotations of the code that takes them."""

import collections.abc
import contextlib
import functools
import inspect
import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from lnl.errors import UserError

# Of the whole configuration, in all commands that have them.
WHOLE: dict[str, Any] = {
    **dict.fromkeys(("seed", "suspects", "batch_size"), int),
    **dict.fromkeys(("force", "oracle", "page"), bool),
    **dict.fromkeys(("init_from", "output", "apply", "root", "sweep", "against"), str | Path | None),
    "num_workers": int | None,
    "on_error": Literal["fail", "skip"],
    "protocol": Literal["last", "noisy_val_best", "clean_val_best", "label_wave"],
}
AUTOMATIC = ("trainer.max_epochs", "method.stage1_epochs")
MISFIT: Any = object()
PLAIN = (bool, int, float, str, list, type(None))
LISTS = (list, tuple, set, Sequence, Iterable, Collection)
MAPPINGS = (dict, Mapping, MutableMapping)
PATHS = (Path, os.PathLike)


def check_values(name: str, node: DictConfig, skip: Collection[str] = (), known: bool = True) -> None:
    """Checks the values of a node with a ``_target_``, and of all such nodes in it, by the target's annotations.

    ``name`` is that of the node, empty for the whole configuration; keys in ``skip`` are not checked. A whole number
    written as 3.0 becomes 3 in the node. Unless all values are ``known``, an interpolation that is null is accepted.

    Raises:
        UserError: naming the key, the form of its values, and the given value.
    """
    target = None if OmegaConf.is_missing(node, "_target_") else node.get("_target_")
    hints = {} if name or target else WHOLE
    if target:
        with contextlib.suppress(InstantiationException):  # building the object says what is wrong
            hints = hints_of(instantiate({"_target_": target, "_partial_": True}).func)
    check_hinted(name, node, hints, skip, known)
    for key in node:
        if not OmegaConf.is_missing(node, key):
            value, path = node[key], ".".join([*([name] if name else []), str(key)])
            for number, entry in enumerate(value) if isinstance(value, ListConfig) else ():
                if isinstance(entry, DictConfig):
                    check_values(f"{path}[{number}]", entry, skip, known)
            if isinstance(value, DictConfig) and path not in skip:
                check_values(path, value, skip, known)


def check_hinted(
    name: str, node: DictConfig, hints: Mapping[str, Any], skip: Collection[str] = (), known: bool = True
) -> None:
    """Checks the values of one node, by hints that are given, as :func:`check_values` does."""
    for key, hint in hints.items():
        path = f"{name}.{key}" if name else key
        if key not in node or OmegaConf.is_missing(node, key) or path in skip:
            continue
        value = node[key]
        if not known and value is None and OmegaConf.is_interpolation(node, key):
            continue
        automatic = path in AUTOMATIC or OmegaConf.is_interpolation(node, key)
        if not known and value == "auto" and automatic:  # a number when the data is read
            continue
        plain = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        fitted = _fit(hint, plain)
        if fitted is MISFIT:
            raise UserError(_misfit(path, hint, plain))
        if key.endswith("seed") and type(fitted) is int and not 0 <= fitted < 2**32:
            raise UserError(f"{path} must be at least 0 and below 2^32, got {fitted}")
        if fitted is not plain:
            node[key] = fitted


@functools.cache
def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function's or class's parameters; a default of None is one of the values."""
    found: dict[str, Any] = {}
    for init in [vars(base).get("__init__") for base in function.__mro__] if inspect.isclass(function) else [function]:
        if not inspect.isfunction(init):
            continue
        hints = {name: _resolved(hint, init) for name, hint in init.__annotations__.items()}
        parameters = inspect.signature(init).parameters.values()
        for parameter in parameters:
            if parameter.name in hints and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                hint = hints[parameter.name]
                found.setdefault(parameter.name, hint | None if parameter.default is None else hint)
        if all(parameter.kind != parameter.VAR_KEYWORD for parameter in parameters):
            break  # else the rest goes to the next class
    for part in getattr(function, "options_of", list)():  # a data module's
        found = hints_of(part) | found
    return found


def _resolved(hint: Any, function: Callable[..., Any]) -> Any:
    """An annotation as an object; Any for a type that only a type checker imports."""
    names = {name: getattr(collections.abc, name) for name in collections.abc.__all__}  # often imported so
    try:
        holder = SimpleNamespace(__annotations__={"hint": hint})
        return get_type_hints(holder, names | function.__globals__)["hint"]
    except Exception:  # an annotation that is text may raise any
        return Any


def _kinds(hint: Any) -> list[Any]:
    return list(get_args(hint)) if get_origin(hint) in (Union, UnionType) else [hint]


def _is_called(kind: Any) -> bool:
    """Whether it is a loss, a network or the like."""
    kind = get_origin(kind) or kind
    return inspect.isclass(kind) and any("__call__" in vars(base) for base in kind.__mro__)


def _fit(hint: Any, value: Any) -> Any:
    """The value as the hint has it, or MISFIT. Of a hint of an unknown kind, the code itself checks the values."""
    fits = [_fit_one(kind, value) for kind in _kinds(hint)]
    # As it is, if it may be: a share of 1.0 is not one batch.
    return next((fit for fit in fits if fit is value), next((fit for fit in fits if fit is not MISFIT), MISFIT))


def _fit_one(kind: Any, value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    origin = get_origin(kind) or kind
    fits, fitted = True, value
    if isinstance(value, Mapping) and "_target_" in value:
        pass
    elif kind is type(None):
        fits = value is None
    elif kind is bool:
        fits = isinstance(value, bool)
    elif kind is int:
        fits = number and float(value).is_integer()
        fitted = int(value) if fits and type(value) is float else value
    elif kind is float:
        fits = number and math.isfinite(value)
    elif kind is str:
        fits = isinstance(value, str) or type(value) is int  # a name may be 2024
    elif origin is Literal:
        fits = any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    elif origin in PATHS:
        fits = number or isinstance(value, str)
    elif getattr(kind, "__name__", "") == "Tensor" or _is_called(kind):
        fits = not isinstance(value, PLAIN)
    elif origin in MAPPINGS or origin in LISTS:
        return _fit_entries(kind, value)
    elif inspect.isclass(kind) and kind is not object:
        fits = value is not None
    return fitted if fits else MISFIT


def _fit_entries(kind: Any, value: Any) -> Any:
    if (entries := _entries(kind, value)) is None:
        return MISFIT
    fitted = [_fit(hint, entry) for _, hint, entry in entries]
    if any(entry is MISFIT for entry in fitted):
        return MISFIT
    if all(new is old for new, (*_, old) in zip(fitted, entries, strict=True)):
        return value
    return dict(zip(value, fitted, strict=True)) if isinstance(value, Mapping) else fitted


def _entries(kind: Any, value: Any) -> list[tuple[str, Any, Any]] | None:
    """Place, hint and value of each entry of a list or mapping; None if the kind takes no such value."""
    hints, origin = get_args(kind), get_origin(kind) or kind
    if origin in MAPPINGS and isinstance(value, Mapping):
        return [(f".{key}", (*hints, Any, Any)[1], entry) for key, entry in value.items()]
    if origin in LISTS and isinstance(value, list):
        if not _length(kind):
            hints = (*hints, Any)[:1] * len(value)
        if len(hints) == len(value):
            return [(f"[{i}]", hint, entry) for i, (hint, entry) in enumerate(zip(hints, value, strict=True))]
    return None


def _length(kind: Any) -> int:
    """The number of entries of a tuple that has a fixed one, else 0."""
    return len(get_args(kind)) if get_origin(kind) is tuple and Ellipsis not in get_args(kind) else 0


def _misfit(path: str, hint: Any, value: Any) -> str:
    """What is wrong, at the innermost place that is known."""
    kinds = _kinds(hint)
    for kind in kinds:
        for place, inner, entry in _entries(kind, value) or ():
            if _fit(inner, entry) is MISFIT:
                return _misfit(path + place, inner, entry)
    *others, last = dict.fromkeys(word for kind in kinds for word in _called(kind, kinds, value)) or ["given"]
    must = f"{', '.join(others)}{' or ' * bool(others)}{last}"
    in_quotes = str in kinds and isinstance(value, bool | float)
    quotes = f": in quotes it is text, \"{path}='{_shown(value)}'\"" if in_quotes else ""
    return f"{path} must be {must}, got {_shown(value)}{quotes}"


def _called(kind: Any, kinds: list[Any], value: Any) -> list[str]:
    """What messages call values of a kind; nothing for a kind that is not typed."""
    origin = get_origin(kind) or kind
    if kind in (int, float):
        if isinstance(value, float) and math.isinf(value):
            return ["a finite number"]
        whole = float not in kinds and isinstance(value, float) and not math.isnan(value)
        return ["a whole number" if whole else "a number"]
    if origin is Literal:
        return ["true" if choice is True else str(choice) for choice in get_args(kind)]
    if _is_called(kind):
        return ["something with a _target_"]
    if origin in MAPPINGS:
        return ["a mapping, such as {name: value}"]
    if origin in LISTS:
        if isinstance(value, list) and (length := _length(kind)):
            return [f"a list of {length}"]
        texts = str in _kinds((*get_args(kind), Any)[0])
        return [f"a list, such as [{'cat,dog' if texts else value if isinstance(value, int | float) else '1,2'}]"]
    if origin in PATHS:
        return ["a path"]
    return {bool: ["true", "false"], str: ["text"]}.get(kind, [])


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
