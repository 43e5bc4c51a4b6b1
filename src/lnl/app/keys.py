"""The keys of a command's configuration, and those that it would have with other options."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lnl.app.options import Options
from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR


def keys_of(config_name: str, options: Options) -> list[str]:
    """The dotted keys of a command's configuration, as it is without overrides."""
    return list(_keys(_composed(config_name, options.searchpath)))


def optional_keys(options: Options, groups: Sequence[str]) -> dict[str, list[str]]:
    """The dotted keys that the options of ``groups`` bring, each with those options.

    All options are composed at once, beside one another: an option may have a key by its defaults list. Those that
    choose an option of another group (``/augment@_global_.views.strong``) can do so only once: of them the file counts.
    """
    files = {(group, option): options.load(group, option) for group in groups for option in options.names(group)}
    alone = {pair for pair, file in files.items() if "@_global_" in str(file.get("defaults"))}
    parts = [f"+{group}@options.{group}.{option}={option}" for group, option in files if (group, option) not in alone]
    composed = _composed("train", [*options.searchpath, *parts]).get("options") or {}
    found: dict[str, list[str]] = {}
    for (group, option), file in files.items():
        node = file if (group, option) in alone else composed.get(group, {}).get(option)
        for key in _keys(node):
            found.setdefault(f"{group}.{key}", []).append(f"{group}={option}")
    return found


def meant_by(name: str, config_name: str, options: Options) -> list[str]:
    """The keys that a name without a group can mean: ``optimizer.lr`` for lr."""
    chosen = keys_of(config_name, options)
    if name in chosen or options.is_group(name):
        return [name]
    if found := _ending_in(name, chosen):
        return found
    groups = {key.partition(".")[0] for key in chosen} & set(_groups(options))
    return _ending_in(name, optional_keys(options, sorted(groups, key=lambda group: group != "data")) if groups else ())


def nearest_to(name: str, config_name: str, options: Options) -> list[str]:
    """The key of a command's configuration whose last part is nearest to a name, if one is near."""
    by_name = {key.rpartition(".")[2]: key for key in reversed(keys_of(config_name, options))}
    return [by_name[near] for near in difflib.get_close_matches(name, by_name, n=1)]


def _ending_in(name: str, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if key.count(".") == 1 and key.endswith(f".{name}")]


def _groups(options: Options) -> list[str]:
    """The groups whose options are parts of a configuration, by the name of the group."""
    train: Any = options.load("", "train")
    chosen = [str(group) for entry in train.defaults if isinstance(entry, DictConfig) for group in entry]
    return [group for group in chosen if group not in ("experiment", "features", "hydra", "paths", "trainer")]


def _composed(config_name: str, overrides: Sequence[str]) -> Any:
    register_resolvers()
    try:
        with hydra.initialize_config_dir(CONF_DIR, version_base="1.3"):
            return hydra.compose(config_name, list(overrides))
    except (HydraException, OmegaConfBaseException):  # an added option may be wrong: then there is no hint
        return OmegaConf.create()


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    if not isinstance(node, DictConfig) or node._is_none() or node._is_missing() or node._is_interpolation():
        return
    for key in node:
        name = prefix + str(key)
        yield name
        yield from _keys(node._get_node(key), f"{name}.")
