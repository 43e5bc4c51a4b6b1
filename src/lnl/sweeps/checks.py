"""What a sweep asks for, before its first job: how many jobs, and whether Hydra would lose any of it."""

from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lnl.errors import UserError


def count_jobs(config: DictConfig) -> int | None:
    """How many jobs a sweep has, or None where its sweeper alone knows."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    sweeper = config.hydra.sweeper
    if "n_trials" in sweeper:
        return int(sweeper.n_trials)
    if not sweeper["_target_"].endswith(f".{BasicSweeper.__name__}"):
        return None
    overrides = _overrides(config)
    return None if overrides is None else len(BasicSweeper.split_arguments(overrides, None)[0])


def check_swept_options(config: DictConfig) -> None:
    """Raises UserError if an option that is swept brings something of ``hydra``, such as a sweep of its own.

    Hydra reads that from the configuration without what is swept: it would be lost.
    """
    overrides: Any = _overrides(config) or []
    loader: Any = GlobalHydra.instance().config_loader()
    swept = [override for override in overrides if override.is_sweep_override()]
    lines = {override.input_line for override in swept}
    fixed = [*config.hydra.overrides.hydra, *(line for line in config.hydra.overrides.task if line not in lines)]
    usual = _of_hydra(config)
    for override in swept:
        if not (override.is_discrete_sweep() and loader.repository.group_exists(override.key_or_group)):
            continue
        for option in override.sweep_string_iterator():
            if not _may_bring_hydra(loader, override.key_or_group, option):
                continue
            chosen = f"{override.get_key_element()}={option}"
            name = config.hydra.job.config_name
            try:
                own = _of_hydra(loader.load_configuration(name, [*fixed, chosen], run_mode=RunMode.RUN))
            except (HydraException, OmegaConfBaseException):
                continue  # the sweeper composes all jobs before the first, and says what is wrong
            if lost := _first_difference(usual, own, "hydra"):
                raise UserError(
                    f"{chosen} brings its own {lost}, which a sweep over {override.key_or_group} would lose.\n"
                    f"Give one command each, such as python -m lnl.train -m {chosen}"
                )


def _may_bring_hydra(loader: Any, group: str, option: str) -> bool:
    """Composing takes a while: an ordinary option says nothing outside its group."""
    found = loader.repository.load_config(f"{group}/{option}")
    if found is None:
        return False
    return "experiment" in group or "hydra" in f"{found.header} {found.config} {found.defaults_list}"


def _of_hydra(config: DictConfig) -> dict[str, Any]:
    """What a configuration says of Hydra itself, without what Hydra writes there."""
    said: Any = OmegaConf.to_container(config.hydra)
    said["job"] = {key: value for key, value in said["job"].items() if key not in ("override_dirname", "config_name")}
    return {key: value for key, value in said.items() if key not in ("runtime", "overrides", "mode")}


def _first_difference(usual: Any, own: Any, path: str) -> str:
    """The key of the first value that differs, with two names after ``hydra`` at most; empty if none does."""
    if usual == own:
        return ""
    if not (isinstance(usual, dict) and isinstance(own, dict)) or path.count(".") == 2:
        return path
    return next(
        _first_difference(usual.get(key), own.get(key), f"{path}.{key}")
        for key in [*usual, *own]
        if usual.get(key) != own.get(key)
    )


def has_search_space(config: DictConfig) -> bool:
    """Whether a search is given anything to try: without it all its jobs would be the same one."""
    sweeper, overrides = config.hydra.sweeper, _overrides(config)
    elsewhere = sweeper.get("search_space") or sweeper.get("custom_search_space")
    return bool(elsewhere) or overrides is None or any(override.is_sweep_override() for override in overrides)


def _overrides(config: DictConfig) -> list[Override] | None:
    """What the sweeper is given, or None if it cannot be read: the sweeper says what is wrong."""
    params: Any = OmegaConf.to_container(config.hydra.sweeper.params or OmegaConf.create(), resolve=True)
    arguments = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
    try:
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        return parser.parse_overrides(arguments)
    except HydraException:
        return None
