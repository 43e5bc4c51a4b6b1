"""Starts a command."""

import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from lnl.app.arguments import divided, prepared_overrides
from lnl.app.mistakes import KNOWN, explain
from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.errors import UserError
from lnl.sweeps import sweep

# Here, so that the processes that launchers start have all of them.
register_resolvers()
# Before torch is imported: large tensors in large pages save a third of a training step at 224 pixels on a CPU (Linux).
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
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
        line = divided(sys.argv[1:], config_name)
        sys.argv = [sys.argv[0], *line.flags, *prepared_overrides(line, config_name)]
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
        message, code = f"error: {explain(error, config_name, line.options)}", 1
    finally:
        failed = sweep.end_of_sweep(interrupted=not ended)
        if not wants_traceback:
            del os.environ["HYDRA_FULL_ERROR"]
    if message:
        print(message, file=sys.stderr)
    if code := code or failed:
        sys.exit(code)
