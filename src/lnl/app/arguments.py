"""Turns a command line as it was typed into one that Hydra takes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from lnl.config import CONF_DIR
from lnl.errors import UserError, nearest

RENAMED = {"data.augment": "augment", "data.crop_padding": "augment.crop_flip.padding"}  # before 0.2


def prepare(arguments: Sequence[str], config_name: str) -> list[str]:
    """The arguments with flags in front, options for null, and a sweep over each value that only its jobs can take.

    Raises UserError for an unknown flag, or an option that cannot be.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; --help says more")

    parser.error = refuse  # type: ignore[method-assign]
    known, rest = parser.parse_known_args(arguments)
    if unknown := [argument for argument in rest if argument.startswith("-")]:
        flags = [flag for flag in parser._option_string_actions if flag.startswith("--")]
        near = nearest(unknown[0], flags).rstrip(".")
        raise UserError(f"there is no flag {unknown[0]}{near}\nValues are given as key=value, such as seed=1.")
    overrides = [*known.overrides, *rest]
    flags = list(arguments)
    for argument in overrides:
        flags.remove(argument)
    return flags + prepared_overrides(overrides, config_name, known.multirun)


def prepared_overrides(arguments: Sequence[str], config_name: str = "train", sweep: bool = False) -> list[str]:
    """:func:`prepare` for the arguments that are not flags; ``sweep`` says whether they are of a sweep."""
    split = (argument.partition("=") for argument in arguments)
    renamed = [RENAMED.get(key, key) + equals + value for key, equals, value in split]
    parsed = [(argument, parse(argument)) for argument in renamed]
    null_by_default = _null_by_default(config_name)
    swept = {
        override.key_or_group.split("/")[0]
        for _, override in parsed
        if override and override.is_sweep_override() and _is_group(override.key_or_group)
    }
    prepared = []
    for argument, override in parsed:
        if override is not None and not override.key_or_group:
            raise UserError(f"{argument} cannot be read: values are given as key=value.")
        if override is None:  # Hydra says what is wrong
            prepared.append(argument)
        elif override.key_or_group in null_by_default and override.value() is None:
            continue
        elif _is_group(override.key_or_group):
            prepared.append(_named(argument, override))
        else:
            prepared.append(_of_jobs(argument, override, swept) if sweep and swept else argument)
    return prepared


def parse(argument: str) -> Override | None:
    """An argument as Hydra parses it; None if it cannot."""
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None


def _is_group(key: str) -> bool:
    return Path(CONF_DIR, key).is_dir()


def options_of(group: str) -> list[str]:
    return sorted(path.stem for path in Path(CONF_DIR, group).glob("*.yaml"))


def takes_several(key: str) -> bool:
    """Whether a key takes a list: it is no group, or one whose options are parts that can stand side by side."""
    return not any("_target_" in OmegaConf.load(Path(CONF_DIR, key, f"{option}.yaml")) for option in options_of(key))


def _named(argument: str, override: Override) -> str:
    """The argument, with an option's name for null, ``[]``, ``{}`` and ``~group``."""
    group, value = override.key_or_group, override.value()
    choices: list[Any] = value.list if isinstance(value, ChoiceSweep) else [value]
    names = [_name_of_option(group, None if override.is_delete() else choice) for choice in choices]
    if names == choices:
        return argument
    return f"{argument.lstrip('~').partition('=')[0]}={','.join(names)}"


def _name_of_option(group: str, choice: Any) -> Any:
    """The option that is meant, for null ``none`` or an empty one; raises UserError if there is no such option."""
    options = options_of(group)
    known = f"The options are {', '.join(options)}."
    if choice is None or choice in ([], {}):
        if group == "experiment":
            raise UserError("experiment=null is no option to sweep over: give one command each.")
        empty = (option for option in options if OmegaConf.load(Path(CONF_DIR, group, f"{option}.yaml")) == {})
        if none := "none" if "none" in options else next(empty, None):
            return none
        raise UserError(f"{group} cannot be null or left out: one is needed.\n{known}")
    if isinstance(choice, list) and not takes_several(group):
        names = ",".join(map(str, choice))
        raise UserError(f"{group} takes one option, got [{names}]; -m {group}={names} trains a run with each.")
    if isinstance(choice, bool | int | float):
        raise UserError(f"{group} has no option '{str(choice).lower()}'.\n{known}")
    return choice


def _null_by_default(config_name: str) -> set[str]:
    """The groups of which a command chooses no option by default."""
    found: set[str] = set()
    config: Any = OmegaConf.load(Path(CONF_DIR, f"{config_name}.yaml"))
    for entry in config.get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            found |= _null_by_default(entry)
        elif isinstance(entry, DictConfig):
            found |= {str(group) for group, option in entry.items() if option is None}
    return found


def _of_jobs(argument: str, override: Override, swept: set[str]) -> str:
    """A sweep over one value instead of the value: swept options may have its key, and the default one may not."""
    group = override.key_or_group.split(".")[0]
    by_experiment = "experiment" in swept and group not in ("hydra", "paths") and _is_group(group)
    if not (group in swept or by_experiment) or override.is_sweep_override() or re.match(r"[~+]", argument):
        return argument
    key, _, value = argument.partition("=")
    single = f"{key}=choice({value})"
    return single if parse(single) else argument
