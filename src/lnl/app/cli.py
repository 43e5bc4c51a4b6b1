"""Starts a command, and explains errors."""

import functools
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lnl.app.arguments import options_of, parse, prepare, takes_several
from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.errors import UserError, nearest
from lnl.sweeps import sweep

KNOWN = (HydraException, OmegaConfBaseException, OSError)

# Here, so that the processes that launchers start have both.
register_resolvers()
# Hydra checks our launchers against the plugins' of the same name, and warns of it.
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/.*' is validated against ConfigStore schema")


class Job:
    """A command's task as a job of Hydra. Launchers send it to other processes, which import this module with it."""

    def __init__(self, task: Callable[[DictConfig], Any], wants_traceback: bool) -> None:
        functools.update_wrapper(self, task)  # Hydra asks for its module
        self.task, self.wants_traceback = task, wants_traceback

    def __call__(self, cfg: DictConfig) -> Any:
        hydra = HydraConfig.get()
        if hydra.job.chdir:
            os.chdir(hydra.runtime.cwd)  # else paths would be relative to the run folder
        try:
            return self.task(cfg)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            if hydra.mode == RunMode.MULTIRUN:
                raise  # the sweep goes on; Hydra raises it again at the end
            if self.wants_traceback:
                traceback.print_exception(error)
            sys.exit(1)


def run(task: Callable[[DictConfig], Any], config_name: str) -> None:
    """Runs a command's ``task`` on the configuration of the command line.

    A UserError ends it with its message and exit code 1, and with HYDRA_FULL_ERROR=1 with its traceback.
    """
    try:
        sys.argv = [sys.argv[0], *prepare(sys.argv[1:], config_name)]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints its own report and exits
    message, code, ended = "", 0, False
    try:
        hydra.main(version_base="1.3", config_path=CONF_DIR, config_name=config_name)(Job(task, wants_traceback))()
        ended = True
    except UserError:
        code = 1  # printed when it happened
    except KeyboardInterrupt:
        code = 130
    except sweep.Refused as refused:
        message, code = f"error: {refused.code}", 1
    except Exception as error:
        if wants_traceback or not (isinstance(error, KNOWN) or sweep.underway):
            raise
        message, code = f"error: {explain(error)}", 1
    finally:
        failed = sweep.end_of_sweep(interrupted=not ended)
        if not wants_traceback:
            del os.environ["HYDRA_FULL_ERROR"]
    if message:
        print(message, file=sys.stderr)
    if code := code or failed:
        sys.exit(code)


def explain(error: Exception) -> str:
    """An error of Hydra or the system in one or two lines, with the nearest valid name."""
    message = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read: {_unread(error.override)}"
    if sweeping := re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'", message):
        key, _, values = sweeping[1].partition("=")
        one = f", or {key}=[{values}] for one list" if message.startswith("Ambiguous") and takes_several(key) else ""
        return f"{sweeping[1]} gives several values: add -m for a run of each{one}."
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.filename} cannot be written: {error.strerror}." if error.filename else message
    if plugin := re.search(r"Unknown plugin class : 'hydra_plugins\.hydra_([a-z]+)_", message):
        return f"this launcher or sweeper is not installed: pip install 'lnl[{extra_of(plugin[1]) or plugin[1]}]'"
    if unknown := re.search(r"Could not find '(.+?)'\s+Available options in '(.+?)':\s+(.*)", message, re.DOTALL):
        group, _, option = unknown[1].rpartition("/")
        if group.startswith("hydra") and (extra := extra_of(option)):
            return f"{option} is not installed: pip install 'lnl[{extra}]'"
        options = unknown[3].partition("Config search path")[0].split()
        return f"{group} has no option '{option}'{nearest(option, options)}\nThe options are {', '.join(options)}."
    if misspelt := re.search(r"Could not override '(.+?)'", message):
        key = misspelt[1].split("@")[0]
        parent: Any = getattr(error.__cause__, "parent_node", None)
        known = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
        near = nearest(key.split(".")[-1], known)
        nodes = {part: parent._get_node(part) for part in known if part != "hydra"}
        if inside := [f"{part}.{key}" for part, node in nodes.items() if isinstance(node, DictConfig) and key in node]:
            near = f"; did you mean {' or '.join(inside)}?"
        if options := _options_with(key):
            near = f"; it needs {' or '.join(options)}."
        return f"there is no '{key}' in the configuration{near}\n--cfg job prints all keys."
    if merged := re.search(r"Error merging override (.+)", message):
        return f"{merged[1]} is of another form than the value that it replaces; --cfg job prints that."
    if not isinstance(error, KNOWN):
        message = f"{type(error).__name__}: {message}"
    message = re.sub(r"^\w+ raised while resolving interpolation: ", "", message)
    lines = [line.strip() for line in message.splitlines()]
    noise = re.compile(r"|full_key: hydra\..*|object_type=.*|Config search path:")
    return "\n".join([line for line in lines if not noise.fullmatch(line)][:2])


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
    return f'{reason}text that has signs in it is written "{quoted}".' if parse(quoted) else "see --help for examples."


def _options_with(key: str) -> list[str]:
    """The options of a group that have a key: ``noise=symmetric`` and others for ``noise.rate``."""
    group, _, name = key.partition(".")
    names = options_of(group) if group and name else []
    try:  # all at once, beside one another: an option may have a key by its defaults list
        with hydra.initialize_config_dir(CONF_DIR, version_base="1.3"):
            every = hydra.compose("train", [f"+{group}@options.{option}={option}" for option in names])
    except KNOWN:
        return []
    plain: Any = OmegaConf.to_container(every)
    return [f"{group}={option}" for option in names if _has(plain["options"][option], name.split("."))]


def _has(node: Any, keys: list[str]) -> bool:
    return not keys or (isinstance(node, dict) and keys[0] in node and _has(node[keys[0]], keys[1:]))
