"""How a command starts, and how it says what went wrong."""

import logging
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from lnl.config import CONF_DIR
from lnl.errors import UserError, nearest
from lnl.resolvers import register_resolvers

log = logging.getLogger(__name__)


def run(task: Callable[[DictConfig], Any], config_name: str) -> None:
    """Runs a command's ``task`` on the configuration that the command line asks for.

    A mistake of the user ends with its message and exit code 1; with HYDRA_FULL_ERROR=1 also with where it was found.
    """
    register_resolvers()
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints its own report and exits

    def job(cfg: DictConfig) -> Any:
        try:
            return task(cfg)
        except UserError as error:
            log.error(error)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # the sweep goes on; Hydra raises it again at the end
            if wants_traceback:
                log.error("found here", exc_info=error)
            sys.exit(1)

    try:
        hydra.main(version_base="1.3", config_path=CONF_DIR, config_name=config_name)(job)()
    except UserError:
        sys.exit(1)  # said when it happened
    except (HydraException, OmegaConfBaseException, OSError) as error:
        if wants_traceback:
            raise
        print(f"error: {explain(error)}", file=sys.stderr)
        sys.exit(1)
    finally:
        if not wants_traceback:
            del os.environ["HYDRA_FULL_ERROR"]


def explain(error: Exception) -> str:
    """What an error of Hydra or the system means, in one or two lines, with the nearest thing that is right."""
    message = str(error)
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.filename} cannot be written: {error.strerror}." if error.filename else message
    if unknown := re.search(r"Could not find '(.+?)'\s+Available options in '(.+?)':\s+(.*)", message, re.DOTALL):
        group, _, option = unknown[1].rpartition("/")
        options = unknown[3].partition("Config search path")[0].split()
        return f"{group} has no option '{option}'{nearest(option, options)}\nThe options are {', '.join(options)}."
    if misspelt := re.search(r"Could not override '(.+?)'", message):
        key = misspelt[1].split("@")[0]
        parent = getattr(error.__cause__, "parent_node", None)
        known = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
        near = nearest(key.split(".")[-1], known)
        return f"there is no '{key}' in the configuration{near}\n--cfg job prints what there is."
    return "\n".join([line.strip() for line in message.splitlines() if line.strip()][:2])
