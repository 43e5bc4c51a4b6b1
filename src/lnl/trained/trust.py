"""Which classes of a configuration may be built: run folders and exported models may be untrusted."""

import importlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lnl.config import listed, nested
from lnl.corruption import ImageCorruption
from lnl.data import NoisyDataModule
from lnl.errors import UserError, first_line
from lnl.methods import NoisyLabelMethod
from lnl.noise import LabelNoise

# The class of each part of a configuration.
KINDS: dict[str, type] = {
    "method": NoisyLabelMethod,
    "model": nn.Module,
    "loss": nn.Module,
    "optimizer": Optimizer,
    "scheduler": LRScheduler,
    "data": NoisyDataModule,
    "noise": LabelNoise,
    "corruption": ImageCorruption,
}
NETWORK = ("method", "model", "loss", "optimizer", "scheduler")  # the parts of a classifier
WHOLE = ("method", "data", "noise", "corruption")  # the others may be `_partial_`

# The packages whose classes are built; of MODELS also the functions that return a model.
MODELS = ("lnl.models", "torchvision.models")
TRANSFORMS = "torchvision.transforms"
SAFE = (
    *MODELS,
    *("lnl.methods", "lnl.losses", "lnl.data", "lnl.noise", "lnl.corruption"),
    *("torch.nn", "torch.optim", "torchvision.ops", TRANSFORMS),
)


def check_trust(config: Any, parts: Sequence[str], source: Path | str, trust: Any = None) -> None:
    """Refuses a configuration in which one of ``parts``, keys of :data:`KINDS`, names code that must not be run.

    Allowed are classes of lnl, torch and torchvision that are methods, modules, losses, optimizers, schedulers, data,
    noise, corruption or transforms, functions of lnl and torchvision that return a model, and all definitions of a
    package in ``trust``. Nothing is built.

    Raises:
        UserError: naming the code and ``source``, the file or folder of the configuration.
    """
    trusted = listed(trust)
    for name in trusted:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UserError(f"trust takes names of packages, such as trust=[mine], got '{name}'")
    if not isinstance(config, dict):
        raise UserError(f"{source} has no configuration that could be built")
    for key, text in nested(config):
        if isinstance(text, str) and "${" in text:  # a run writes values
            raise UserError(f"{source} is not loaded: it wants {_shown(key)} to be computed, {_shown(text)}")
    for part in parts:
        node = config.get(part)
        if not node and part == "scheduler":
            continue
        if not isinstance(node, dict) or "_target_" not in node:
            raise UserError(f"{source} is not loaded: it does not say what its {part} is")
        _check_target(node["_target_"], part, KINDS[part], source, trusted)
        others = {key: value for key, value in node.items() if key != "_target_"}
        for target in (value for key, value in nested(others) if key == "_target_"):
            _check_target(target, part, tuple(KINDS.values()), source, trusted)
        if part in WHOLE and node.get("_partial_"):
            raise UserError(f"{source} is not loaded: {part}._partial_ must be false")


def _check_target(
    target: Any, part: str, kind: type | tuple[type, ...], source: Path | str, trusted: Sequence[str]
) -> None:
    found, named = None, isinstance(target, str) and _is_in(target, trusted)
    try:
        found = _located(target, (*trusted, *SAFE)) if isinstance(target, str) else None
    except Exception as error:  # it does not exist, or a module raises when it is imported
        if named:
            raise UserError(f"{target} cannot be imported: {first_line(error)}") from error
    home = str(getattr(found, "__module__", ""))
    if (named and _is_in(home, trusted)) or (_is_in(home, SAFE) and _makes(found, kind)):
        return
    what = f"its {part} is {_shown(target)}, which is no {part} class"
    if isinstance(kind, tuple):
        what = f"its {part} contains {_shown(target)}, which is no module, loss, optimizer or transform"
    package = home if named else _package(target)
    advice = f" If you trust it, add trust=[{','.join([*trusted, package])}]." if package else ""
    packages = ", ".join([*trusted, "lnl", "torch"])
    raise UserError(f"{source} is not loaded: {what} of {packages} or torchvision.{advice}")


def _located(target: str, packages: Sequence[str]) -> Any:
    """The object of this name in one of the packages, else None. No other module is imported or read."""
    root = next((package for package in packages if target.startswith(f"{package}.")), None)
    if root is None:
        return None
    found: Any = importlib.import_module(root)
    for name in target.removeprefix(f"{root}.").split("."):
        if isinstance(found, ModuleType) and not hasattr(found, name):
            importlib.import_module(f"{found.__name__}.{name}")
        found = getattr(found, name)
        if isinstance(found, ModuleType) and not _is_in(found.__name__, packages):
            return None
    return found


def _package(target: Any) -> str:
    """The package that a user has to trust, a part of it for lnl and torch; empty if the name cannot be one."""
    names = target.split(".") if isinstance(target, str) else [""]
    if not all(name.isidentifier() for name in names):
        return ""
    return ".".join(names[:-1]) if names[0] in ("lnl", "torch", "torchvision") else names[0]


def _makes(found: Any, kind: type | tuple[type, ...]) -> bool:
    """Whether it is a class of that kind, or a function that is annotated to return a model."""
    home = found.__module__
    if inspect.isfunction(found) and _is_in(home, MODELS):
        found = found.__annotations__.get("return")
    if not inspect.isclass(found):
        return False
    return issubclass(found, kind) or (isinstance(kind, tuple) and _is_in(home, [TRANSFORMS]))


def _is_in(name: str, packages: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def _shown(given: Any) -> str:
    """In one short line."""
    text = ascii(given)[1:-1] if isinstance(given, str) else ascii(given)
    return text if len(text) <= 80 else f"{text[:77]}..."
