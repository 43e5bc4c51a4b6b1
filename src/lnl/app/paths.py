"""Paths as they were typed: an override of a key that takes a path need not follow Hydra's grammar."""

import os
import re
from glob import glob

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString, ValueType
from hydra.errors import HydraException

# The keys that take a path, in whichever command has them.
PATHS = {
    *("init_from", "output", "apply", "root", "output_dir"),
    *("sweep", "name"),  # names of folders in outputs/
    *("data.path", "data.root", "data.labels", "data.name", "data.data_dir", "data.cache_dir", "noise.path"),
    *("features.path", "model.weights"),
    *("paths.cache_dir", "paths.data_dir", "paths.output_dir", "paths.run_dir", "trainer.default_root_dir"),
    *("logger.tensorboard.save_dir", "logger.wandb.save_dir"),
    *("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"),
}
LISTS = {"run", "runs", "images", "hydra.searchpath"}  # one path or several
OR_NUMBERS = {"data.trusted", "method.transition"}  # a path, or a number or true


def parse(argument: str) -> Override | None:
    """An argument as Hydra parses it; None if it cannot."""
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None


def quoted(path: str) -> str:
    """A path as Hydra takes it, whatever signs are in it, with ``~`` expanded."""
    home = os.path.expanduser(path)
    # A name that only begins with ~ is made one that others do not expand.
    return str(QuotedString(os.path.abspath(path) if home.startswith("~") else home, Quote.single).with_quotes())


def as_typed(argument: str, sweep: bool = False) -> str:
    """The override, with the path or paths that its value names quoted where Hydra would read anything else.

    What Hydra reads as text stays, unless a file has the name exactly as it was typed. With ``sweep``, commas divide
    values unless a file has the whole name.
    """
    match = re.fullmatch(r"(\+{0,2})([\w./]+)=(.*)", argument, re.DOTALL)
    if match is None or match[2] not in PATHS | LISTS | OR_NUMBERS:
        return argument
    return f"{match[1]}{match[2]}={_value(match[2], match[3], sweep)}"


def _value(key: str, typed: str, sweep: bool) -> str:
    override = parse(f"key={typed}")
    value = None if override is None else override.value()
    if key in OR_NUMBERS and override is not None and not isinstance(value, str):
        return typed
    if _exists(typed):
        return typed if value == typed and not typed.startswith("~") else quoted(typed)
    in_brackets = re.fullmatch(r"\s*\[(.*)\]\s*", typed, re.DOTALL)
    if in_brackets and key in LISTS and (override is None or isinstance(value, list)):
        return f"[{','.join(_entry(entry) for entry in _divided(in_brackets[1]))}]"
    if isinstance(value, str):
        return quoted(value) if value.startswith("~") else typed
    if override is not None and value is None:
        return typed
    swept = override is not None and override.is_sweep_override()
    if swept and key in LISTS:
        return typed  # without -m Hydra says that there are several
    if sweep and ((override is None and len(_divided(typed)) > 1) or _is_simple(override)):
        return ",".join(_entry(entry) for entry in _divided(typed))
    return typed if sweep and swept else quoted(typed)


def _entry(typed: str) -> str:
    """One of several values, in quotes if it could take the comma behind it along."""
    value = _value("", typed, False)
    override = parse(f"key={value}") if "\\" in value else None
    return value if override is None else quoted(str(override.value()))


def _is_simple(override: Override | None) -> bool:
    return override is not None and override.value_type == ValueType.SIMPLE_CHOICE_SWEEP


def _divided(typed: str) -> list[str]:
    """The values between commas, without spaces around them; a value in quotes may have commas in it."""
    found = re.findall(r"""\s*('(?:\\'|[^'])*'|"(?:\\"|[^"])*"|[^,]*)\s*(?:,|$)""", typed)
    return [value.strip() for value in (found[:-1] if found and not found[-1] else found)]


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(os.path.expanduser(path))
    except ValueError:  # no path at all
        return False


def is_there(path: str, key: str = "") -> bool:
    """Whether there is a file or folder of that name; for runs, a glob of them is enough."""
    return _exists(path) or (key == "runs" and bool(glob(os.path.expanduser(path))))
