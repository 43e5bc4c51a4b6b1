"""The start and the end of a sweep: its number of jobs, and settings that Hydra would lose."""

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.default_element import GroupDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from lnl.errors import UserError

if TYPE_CHECKING:
    from lnl.sweeps.view import Sweep

underway: "Sweep | None" = None  # the sweep of this process


class Refused(SystemExit):
    """Ends a sweep before its first job: Hydra would report an Exception and start jobs that are not watched."""


class SweepCallback(Callback):
    """Watches a sweep from before its first job (``conf/hydra/lnl.yaml``) to :func:`end_of_sweep`."""

    def __init__(self, journal: str) -> None:
        self.journal = journal

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        global underway
        from lnl.sweeps.view import Sweep  # loads rich, which a single run may do without

        searches = "n_trials" in config.hydra.sweeper  # and may end before
        try:
            check_swept_options(config)
            if searches:
                prepare_search(config)
            sweep = Sweep(Path(self.journal).absolute(), count_jobs(config), exact=not searches)
            sweep.start()
        except UserError as error:
            raise Refused(error) from error
        except OSError as error:
            raise Refused(UserError(f"{self.journal} cannot be written: {error.strerror}.")) from error
        underway = sweep


def end_of_sweep(interrupted: bool) -> int:
    """Ends the sweep of this process, if there is one, and returns an exit code: 1 if a job has failed."""
    global underway
    sweep, underway = underway, None
    return 0 if sweep is None else sweep.end(interrupted)


def prepare_search(config: DictConfig) -> None:
    """Has a search maximise accuracy, and raises UserError if it has no search space: all its jobs would be one."""
    sweeper, overrides = config.hydra.sweeper, _overrides(config)
    sweeper.direction = "maximize"  # Optuna's own default would seek the worst
    with contextlib.suppress(ImportError):  # which Hydra explains later
        from optuna.logging import set_verbosity  # its own import sets the level that it had

        set_verbosity(logging.WARNING)
    if sweeper.get("search_space") or sweeper.get("custom_search_space") or overrides is None:
        return
    if not any(override.is_sweep_override() for override in overrides):
        chosen = config.hydra.runtime.choices["hydra/sweeper"]
        example = "give an interval, such as loss.q='interval(0.1, 1)'"
        raise UserError(f"hydra/sweeper={chosen}: nothing to search; {example}")


def count_jobs(config: DictConfig) -> int | None:
    """The number of a sweep's jobs, or None if only its sweeper knows."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    sweeper = config.hydra.sweeper
    if "n_trials" in sweeper:
        return int(sweeper.n_trials)
    if not sweeper["_target_"].endswith(f".{BasicSweeper.__name__}"):
        return None
    overrides = _overrides(config)
    return None if overrides is None else len(BasicSweeper.split_arguments(overrides, None)[0])


def check_swept_options(config: DictConfig) -> None:
    """Raises UserError if a swept option brings a part of ``hydra``, such as a sweep of its own.

    Hydra reads that part from the configuration without the swept options: it would be lost.
    """
    repository = GlobalHydra.instance().config_loader().repository  # type: ignore[attr-defined]
    for override in _overrides(config) or []:
        group = override.key_or_group
        if not (override.is_discrete_sweep() and repository.group_exists(group)):
            continue
        for option in override.sweep_string_iterator():
            if lost := _brought(repository, group, option):
                chosen = f"{override.get_key_element()}={option}"
                refusal = f"{chosen} brings its own {lost}, which a sweep over {group} would lose."
                raise UserError(f"{refusal}\nGive one command each, such as python -m lnl.train -m {chosen}")


def _brought(repository: Any, group: str, option: str) -> str:
    """The first key of ``hydra`` that an option, or one that it starts from, sets; empty if it sets none."""
    found = repository.load_config(f"{group}/{option}")
    if found is None:
        return ""  # the sweeper composes all jobs before the first, and says what is wrong
    node: Any
    node, path = found.config.get("hydra") if found.header["package"] == "_global_" else None, "hydra"
    while isinstance(node, DictConfig) and node and path.count(".") < 2:
        key = str(next(iter(node)))
        node, path = node._get_node(key), f"{path}.{key}"
    if path != "hydra":
        return path
    for default in found.defaults_list:
        if isinstance(default, GroupDefault):
            inside, name = str(default.group).strip("/"), default.value
            lost = inside.replace("/", ".") if inside.startswith("hydra/") else ""
            inside = "" if default.override or str(default.group).startswith("/") else f"{group}/{inside}"
        else:
            inside, name, lost = group, None if default.is_self() else default.path, ""
        if lost := lost or (_brought(repository, inside, name) if inside and isinstance(name, str) else ""):
            return lost
    return ""


def _overrides(config: DictConfig) -> list[Override] | None:
    """The overrides of the sweeper, or None if they cannot be read: the sweeper says what is wrong."""
    params: Any = OmegaConf.to_container(config.hydra.sweeper.params or OmegaConf.create(), resolve=True)
    arguments = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
    try:
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        return parser.parse_overrides(arguments)
    except HydraException:
        return None
