"""What is said of a mistake on the command line."""

import re
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from lnl.app.keys import meant_by, optional_keys
from lnl.app.options import Options
from lnl.app.paths import is_there, parse
from lnl.errors import install, nearest

KNOWN = (HydraException, OmegaConfBaseException, OSError)


def explain(error: Exception, config_name: str = "train", options: Options | None = None) -> str:
    """An error of Hydra or the system in one or two lines, with the nearest valid name."""
    message, options = str(error), options or Options()
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read: {_unread(error.override)}"
    if sweeping := re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'", message):
        key, _, values = sweeping[1].partition("=")
        one_list = message.startswith("Ambiguous") and options.takes_several(key)
        one = f", or {key}=[{values}] for one list" if one_list else ""
        return f"{sweeping[1]} gives several values: add -m for a run of each{one}."
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.filename} cannot be written: {error.strerror}." if error.filename else message
    if plugin := re.search(r"Unknown plugin class : 'hydra_plugins\.hydra_([a-z]+)_", message):
        return f"this launcher or sweeper is not installed: {install(extra_of(plugin[1]) or plugin[1])}"
    if unknown := re.search(r"Could not find '(.+?)'\s+Available options in '(.+?)':\s+(.*)", message, re.DOTALL):
        group, _, option = unknown[1].rpartition("/")
        if group.startswith("hydra") and (extra := extra_of(option)):
            return f"{option} is not installed: {install(extra)}"
        names = unknown[3].partition("Config search path")[0].split()
        near = f"; did you mean data.path={option}?" if group == "data" and is_there(option) else nearest(option, names)
        return f"{group} has no option '{option}'{near}\nThe options are {', '.join(names)}."
    if misspelt := re.search(r"Could not override '(.+?)'", message):
        group, part, key = misspelt[1].partition("@")
        if part and (having := options.with_part(group, key.removeprefix(f"{group}."))):
            return f"{key} is a key of {' and '.join(f'{group}={name}' for name in having)}: choose it as well."
        key, parent = group, getattr(error.__cause__, "parent_node", None)
        meant = _meant(key, parent, config_name, options)
        return f"there is no '{key}' in the configuration{meant}\n--cfg job prints all keys."
    if (lacking := re.search(r"Interpolation key '((\w+)\.\S+)' not found", message)) and options.is_group(lacking[2]):
        return f"{lacking[1]} is needed: choose an option of {lacking[2]}, {lacking[2]}=..."
    if merged := re.search(r"Error merging override (.+)", message):
        return f"{merged[1]} has another type than the value that it replaces; --cfg job prints that value."
    if not isinstance(error, KNOWN):
        message = f"{type(error).__name__}: {message}"
    message = re.sub(r"^\w+ raised while resolving interpolation: ", "", message)
    lines = [line.strip() for line in message.splitlines()]
    noise = re.compile(r"|full_key: hydra\..*|object_type=.*|Config search path:")
    return "\n".join([line for line in lines if not noise.fullmatch(line)][:2])


def _meant(key: str, parent: Any, config_name: str, options: Options) -> str:
    """The end of the sentence that there is no such key: what has it, or the nearest one."""
    group, _, name = key.rpartition(".")
    known = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    if not group:
        meant = meant_by(key, config_name, options)
        return f"; did you mean {' or '.join(meant)}?" if meant else nearest(key, known)
    if not options.is_group(part := key.partition(".")[0]):
        return nearest(name, known)
    optional = optional_keys(options, [part])
    if key in optional:
        return f"; it needs {' or '.join(optional[key])}."
    beside = (other.rpartition(".") for other in optional)
    return nearest(name, [*known, *(last for parent_key, _, last in beside if parent_key == group)])


def extra_of(plugin: str) -> str | None:
    """The extra of lnl that installs a plugin of Hydra, such as ``slurm`` for submitit."""
    wanted = re.compile(rf"hydra-{re.escape(plugin)}-.*extra == ['\"](?!dev)(\w+)")
    try:
        found = (wanted.match(requirement) for requirement in requires("lnl") or ())
        return next((match[1] for match in found if match), None)
    except PackageNotFoundError:
        return None


def _unread(argument: str) -> str:
    """Why Hydra cannot read an argument."""
    key, equals, value = argument.partition("=")
    if not key or not equals:
        return "values are given as key=value."
    if re.search(r",\s*(,|$|\])", value):
        return "a value is missing beside a comma."
    escaped = value.replace("'", "\\'")
    quoted = f"{key}='{escaped}'"
    open_bracket = any(value.count(left) != value.count(right) for left, right in ("[]", "{}", "()"))
    reason = "a bracket is not closed; " if open_bracket else ""
    return (
        f'{reason}put text with special characters in quotes: "{quoted}".'
        if parse(quoted)
        else "see --help for examples."
    )
