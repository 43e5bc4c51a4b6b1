"""A command line as it was typed -> as Hydra takes it."""

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
    """Brings flags to the front, turns null for an option into what it means, and leaves to a sweep's jobs what only
    they can take.

    Raises:
        UserError: for a flag that is none, or an option that cannot be.
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
    """What :func:`prepare` does to the arguments that are no flags; ``sweep`` says whether they are of a sweep."""
    arguments = [renamed(argument) for argument in arguments]
    parsed = [(argument, parse(argument)) for argument in arguments]
    null_by_default = _null_by_default(config_name)
    swept = {override.key_or_group.split("/")[0] for _, override in parsed if override and is_swept_option(override)}
    prepared = []
    for argument, override in parsed:
        if override is not None and not override.key_or_group:
            raise UserError(f"{argument} cannot be read: values are given as key=value.")
        if override is None:  # Hydra says what is wrong
            prepared.append(argument)
        elif override.key_or_group in null_by_default and override.value() is None:
            continue
        elif is_group(override):
            prepared.append(_named(argument, override))
        else:
            prepared.append(_of_jobs(argument, override, swept) if sweep and swept else argument)
    return prepared


def renamed(argument: str) -> str:
    """The argument with the key that a key of before is now."""
    key, equals, value = argument.partition("=")
    return RENAMED.get(key, key) + equals + value


def parse(argument: str) -> Override | None:
    """An argument as Hydra understands it; None if it does not."""
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None


def is_group(override: Override) -> bool:
    """Whether it chooses an option."""
    return Path(CONF_DIR, override.key_or_group).is_dir()


def is_swept_option(override: Override) -> bool:
    return override.is_sweep_override() and is_group(override)


def options_of(group: str) -> list[str]:
    return sorted(path.stem for path in Path(CONF_DIR, group).glob("*.yaml"))


def _named(argument: str, override: Override) -> str:
    """The argument, with an option's name for null, ``[]``, ``{}`` and ``~group``."""
    group, value = override.key_or_group, override.value()
    choices: list[Any] = value.list if isinstance(value, ChoiceSweep) else [value]
    names = [name_of_option(group, None if override.is_delete() else choice) for choice in choices]
    if names == choices:
        return argument
    return f"{argument.lstrip('~').partition('=')[0]}={','.join(names)}"


def name_of_option(group: str, choice: Any) -> Any:
    """The option that is meant.

    Raises:
        UserError: for a number, or for null of a group that cannot be left out.
    """
    if choice is None or choice in ([], {}):
        if group == "experiment":
            raise UserError("experiment=null is no option to sweep over: give one command each.")
        if (none := _none_of(group)) is None:
            raise UserError(f"{group} cannot be null or left out: one is needed.\n{_the_options(group)}")
        return none
    if isinstance(choice, bool | int | float):
        raise UserError(f"{group} has no option '{str(choice).lower()}'.\n{_the_options(group)}")
    return choice


def _none_of(group: str) -> str | None:
    """The option that means that there is none, which Hydra does not let null stand for: ``none``, or an empty one."""
    options = options_of(group)
    empty = (option for option in options if OmegaConf.load(Path(CONF_DIR, group, f"{option}.yaml")) == {})
    return "none" if "none" in options else next(empty, None)


def _null_by_default(config_name: str) -> set[str]:
    """The groups of which a command chooses no option, unless it is told to."""
    found: set[str] = set()
    config: Any = OmegaConf.load(Path(CONF_DIR, f"{config_name}.yaml"))
    for entry in config.get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            found |= _null_by_default(entry)
        elif isinstance(entry, DictConfig):
            found |= {str(group) for group, option in entry.items() if option is None}
    return found


def _the_options(group: str) -> str:
    return f"The options are {', '.join(options_of(group))}."


def _of_jobs(argument: str, override: Override, swept: set[str]) -> str:
    """A value that swept options have and the one chosen by default may not, as a sweep over that one value."""
    group = override.key_or_group.split(".")[0]
    by_experiment = "experiment" in swept and group not in ("hydra", "paths") and Path(CONF_DIR, group).is_dir()
    if not (group in swept or by_experiment) or override.is_sweep_override() or re.match(r"[~+]", argument):
        return argument
    key, _, value = argument.partition("=")
    single = f"{key}=choice({value})"
    return single if parse(single) else argument
