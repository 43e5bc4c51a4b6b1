"""Turns a command line as it was typed into one that Hydra takes."""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import ChoiceSweep, Override

from lnl.app.keys import meant_by, nearest_to
from lnl.app.meant import TAKES, data_at, features_at, from_file, is_path, with_key
from lnl.app.options import Options
from lnl.app.paths import LISTS, PATHS, as_typed, is_there, parse
from lnl.errors import UserError, nearest

RENAMED = {"data.augment": "augment", "data.crop_padding": "augment.crop_flip.padding"}  # before 0.2
CHOOSE_DATA = ("train", "audit", "evaluate")  # the commands that have data


@dataclass(frozen=True)
class CommandLine:
    """What was typed, divided: flags with their values, the rest, and the options that there are."""

    flags: list[str]
    rest: list[str]
    multirun: bool
    config_name: str  # the configuration, as a flag may name it
    options: Options


def prepare(arguments: Sequence[str], config_name: str) -> list[str]:
    """The arguments as Hydra takes them.

    Flags go in front. A path without a key gets one, and ``data.path`` its kind of data. Paths are quoted where Hydra
    would read anything else. Options stand for null. A value that only some jobs of a sweep can take is swept.

    Raises UserError for an unknown flag, a path that is not there, or an option that cannot be.
    """
    line = divided(arguments, config_name)
    return line.flags + prepared_overrides(line, config_name)


def divided(arguments: Sequence[str], config_name: str) -> CommandLine:
    """The arguments, divided; raises UserError for an unknown flag."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; --help says more")

    parser.error = refuse  # type: ignore[method-assign]
    arguments = [_flag_with_home(argument) for argument in arguments]
    known: argparse.Namespace
    if single := [argument for argument in arguments if re.match(r"-[A-Za-z_.]{3,}", argument)]:
        _refuse_flag(parser, single[0], arguments, config_name, certain=False)
    known, others = parser.parse_known_args(arguments)
    if unknown := [argument for argument in others if argument.startswith("-")]:
        _refuse_flag(parser, unknown[0], arguments, config_name)
    rest = [*known.overrides, *others]
    flags = list(arguments)
    for argument in rest:
        flags.remove(argument)
    options = Options.beside([*([known.config_dir] if known.config_dir else []), *_searchpath(rest)])
    return CommandLine(flags, rest, known.multirun, known.config_name or config_name, options)


def _flag_with_home(argument: str) -> str:
    """A flag with ``~`` in its value expanded, which a shell leaves as it is."""
    flag, equals, value = argument.partition("=")
    return f"{flag}={os.path.expanduser(value)}" if flag.startswith("--config") and equals else argument


def _searchpath(arguments: Sequence[str]) -> list[str]:
    found = [parse(as_typed(argument)) for argument in arguments if "hydra.searchpath=" in argument]
    values = [override.value() for override in found if override is not None]
    return [str(place) for value in values if isinstance(value, list) for place in value]


def _refuse_flag(
    parser: argparse.ArgumentParser, argument: str, arguments: Sequence[str], config_name: str, certain: bool = True
) -> None:
    """Raises UserError with the line to type, for a flag that there is not; unless ``certain``, only if it is a key."""
    flag, equals, value = argument.partition("=")
    following = list(arguments)[list(arguments).index(argument) + 1 :]
    if not equals and following and not following[0].startswith("-") and "=" not in following[0]:
        value = following[0]
    name = flag.lstrip("-").replace("-", "_")
    keys = meant_by(name, config_name, Options())
    if value and is_there(value) and not PATHS.union(LISTS).intersection(keys):  # --data photos
        keys = [TAKES[config_name][0]]
    if not (certain or keys):
        return
    known = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    near = "" if keys else nearest(flag, known).rstrip(".")
    keys = keys or (nearest_to(name, config_name, Options()) if not near else [])
    example = " or ".join(f"{key}={value or '...'}" for key in keys) or "seed=1"
    raise UserError(f"there is no flag {flag}{near}\nValues are given as key=value, such as {example}")


def prepared_overrides(line: CommandLine, command: str) -> list[str]:
    """:func:`prepare` for what is no flag."""
    options = line.options
    paths = [argument for argument in line.rest if is_path(argument)]
    others = [argument for argument in line.rest if argument not in paths]
    others += with_key(paths, command, others, options)
    others = [expanded for argument in others for expanded in from_file(argument, options)]
    split = (argument.partition("=") for argument in others)
    typed = [as_typed(_key(key, options) + equals + value, line.multirun) for key, equals, value in split]
    parsed = [(argument, parse(argument)) for argument in typed]
    if command in CHOOSE_DATA and line.config_name == command:
        chosen = data_at({override.key_or_group: override for _, override in parsed if override is not None})
        parsed = [*((argument, parse(argument)) for argument in chosen), *parsed]
        if command == "audit":
            by_key = {override.key_or_group: override for _, override in parsed if override is not None}
            parsed += [(argument, parse(argument)) for argument in features_at(by_key)]
    null_by_default = options.null_by_default(line.config_name)
    swept = {
        override.key_or_group.split("/")[0]
        for _, override in parsed
        if override and override.is_sweep_override() and options.is_group(override.key_or_group)
    }
    prepared = []
    for argument, override in parsed:
        if override is not None and not override.key_or_group:
            raise UserError(f"{argument} cannot be read: values are given as key=value.")
        if override is None:  # Hydra says what is wrong
            prepared.append(argument)
        elif override.key_or_group in null_by_default and override.value() is None:
            continue
        elif options.is_group(override.key_or_group):
            prepared.append(_named(argument, override, options))
        else:
            prepared.append(_of_jobs(argument, override, swept, options) if line.multirun and swept else argument)
    return prepared


def _key(typed: str, options: Options) -> str:
    """The key that Hydra takes: ``loss@loss.active`` for ``loss.active``, which is an option of ``loss``."""
    group, _, part = typed.partition(".")
    return f"{group}@{typed}" if options.with_part(group, part) else RENAMED.get(typed, typed)


def _named(argument: str, override: Override, options: Options) -> str:
    """The argument, with an option's name for null, ``[]``, ``{}`` and ``~group``."""
    group, value = override.key_or_group, override.value()
    choices: list[Any] = value.list if isinstance(value, ChoiceSweep) else [value]
    names = [_name_of_option(group, None if override.is_delete() else choice, options) for choice in choices]
    if names == choices:
        return argument
    return f"{argument.lstrip('~').partition('=')[0]}={','.join(names)}"


def _name_of_option(group: str, choice: Any, options: Options) -> Any:
    """The option that is meant, for null ``none`` or an empty one; raises UserError if there is no such option."""
    names = options.names(group)
    known = f"The options are {', '.join(names)}."
    if choice is None or choice in ([], {}):
        if group == "experiment":
            raise UserError("experiment=null is no option to sweep over: give one command each.")
        empty = (option for option in names if options.load(group, option) == {})
        if none := "none" if "none" in names else next(empty, None):
            return none
        raise UserError(f"{group} cannot be null or left out: one is needed.\n{known}")
    if isinstance(choice, list) and not options.takes_several(group):
        several = ",".join(map(str, choice))
        raise UserError(f"{group} takes one option, got [{several}]; -m {group}={several} trains a run with each.")
    if isinstance(choice, bool | int | float):
        raise UserError(f"{group} has no option '{str(choice).lower()}'.\n{known}")
    return choice


def _of_jobs(argument: str, override: Override, swept: set[str], options: Options) -> str:
    """A sweep over one value instead of the value: swept options may have its key, and the default one may not."""
    group = override.key_or_group.split(".")[0]
    by_experiment = "experiment" in swept and group not in ("hydra", "paths") and options.is_group(group)
    if not (group in swept or by_experiment) or override.is_sweep_override() or re.match(r"[~+]", argument):
        return argument
    key, _, value = argument.partition("=")
    single = f"{key}=choice({value})"
    return single if parse(single) else argument
