"""What a sweep asks for, before its first job: how many jobs, and whether Hydra would lose any of it."""

from typing import Any

from hydra.core.default_element import GroupDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

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
    repository = GlobalHydra.instance().config_loader().repository  # type: ignore[attr-defined]
    for override in _overrides(config) or []:
        group = override.key_or_group
        if not (override.is_discrete_sweep() and repository.group_exists(group)):
            continue
        for option in override.sweep_string_iterator():
            if lost := _brought(repository, group, option):
                chosen = f"{override.get_key_element()}={option}"
                raise UserError(
                    f"{chosen} brings its own {lost}, which a sweep over {group} would lose.\n"
                    f"Give one command each, such as python -m lnl.train -m {chosen}"
                )


def _brought(repository: Any, group: str, option: str) -> str:
    """The first key of ``hydra`` that an option, or one that it starts from, sets; empty if there is none."""
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
