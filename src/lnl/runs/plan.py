"""The plan of a run: looked up in the configuration once, before anything is done."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from hydra.conf import HydraConf
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lnl.errors import UserError
from lnl.runs.code import class_attribute
from lnl.runs.folder import RunFolder
from lnl.runs.identity import Experiment, acting, identify

_CACHE = "lnl.run_name"


@dataclass(frozen=True)
class Part:
    """A fold as a part of a cross-validated run.

    Attributes:
        number, count: which of how many folds, from 1.
        since: from where the pace is known, by folds trained before in this call: the share of the whole run that was
            done then, in [0, 1], and the time, as of ``time.time``.
    """

    number: int
    count: int
    since: tuple[float, float] | None = None

    def share(self, of_fold: float) -> float:
        """The share of the whole run that is done, if ``of_fold`` of this fold is."""
        return (self.number - 1 + of_fold) / self.count


@dataclass(frozen=True)
class Plan:
    """What a run is and where it goes; made by :func:`make_plan`."""

    cfg: DictConfig  # as of conf/train.yaml; data and method fill in the values that it leaves to them
    options: Mapping[str, str]  # as of chosen_options
    experiment: Experiment
    folder: RunFolder
    part: Part | None = None  # of a fold, if all folds are trained

    def fold(self, number: int, since: tuple[float, float] | None = None) -> Self:
        """The plan of one fold (from 1) of a cross-validated run, in a folder in this run's."""
        cfg, experiment = self.cfg.copy(), self.experiment.fold(number)
        folder = self.folder.fold(number, experiment.identity)
        cfg.data.fold, cfg.paths.run_dir = number, str(folder.path)
        part = Part(number, cfg.data.folds, since)
        return replace(self, cfg=cfg, experiment=experiment, folder=folder, part=part)


def make_plan(cfg: DictConfig, hydra: HydraConf) -> Plan:
    """The plan of the job that Hydra is about to start, of its configuration and the ``hydra`` part of it."""
    key = tuple(hydra.overrides.task)
    experiment = OmegaConf.get_cache(cfg).get(_CACHE, {}).get(key) or identify(cfg)
    folder = RunFolder(hydra.runtime.output_dir, experiment.identity)
    return Plan(cfg, chosen_options(cfg, hydra), experiment, folder)


def run_name(cfg: DictConfig) -> str:
    """A readable, unique folder name, e.g. ``cifar10-symmetric0.3-cnn-baseline-ce-seed0-1a2b3c4d``.

    A loss that the method does not use is left out; what was tried beside method and loss is in it.
    """
    needed = ("data", "noise", "corruption", "model", "method", "loss", "optimizer")
    if missing := [group for group in needed if "_target_" not in (cfg.get(group) or ())]:
        raise UserError(f"{missing[0]} cannot be left out: {missing[0]}=...")
    experiment = identify(cfg, cfg.hydra.mode != RunMode.MULTIRUN)  # a sweep has its own view
    # Hydra asks for the folder's name before it starts the job, and the job needs the same experiment. The job's
    # configuration is a copy of this one, with OmegaConf's cache. The overrides tell a job from its sweep, whose
    # configuration it began with.
    OmegaConf.get_cache(cfg)[_CACHE] = {tuple(cfg.hydra.overrides.task): experiment}
    options = chosen_options(cfg, cfg.hydra)
    rate, seed = cfg.noise.get("rate"), cfg.seed
    if isinstance(seed, float) and seed.is_integer():
        seed = int(seed)
    noise = f"{options['noise']}{float(rate):g}" if isinstance(rate, int | float) else options["noise"]
    unused = {"none"}
    parts = [options["data"], *({options["corruption"]} - unused), noise, options["model"], options["method"]]
    parts += [*({options["loss"]} - unused), *acting(experiment.config), f"seed{seed}"]
    return "-".join([*parts, experiment.identity[:8]]).replace("/", "_")


def chosen_options(cfg: DictConfig, hydra: Any) -> dict[str, str]:
    """The option chosen in each group.

    A part that was given by ``_target_`` has the name of its class; a loss that the method does not use is ``none``.
    """
    choices = dict(sorted(hydra.runtime.choices.items()))
    options = {group: option for group, option in choices.items() if not {"/", "@"}.intersection(group)}
    parts = [option for key, option in choices.items() if key.startswith("loss@loss.")]  # apl, nfl, rce
    options["loss"] = "_".join([str(options["loss"]), *parts])
    options.setdefault("augment", "+".join(map(str, cfg.augment)))  # several in a list, which have no name together
    folders = tuple(source.path for source in hydra.runtime.config_sources if source.schema == "file")
    for group, option in options.items():
        node = cfg.get(group)
        target = node.get("_target_") if isinstance(node, DictConfig) else None
        if target and option and target != (_target_of(group, option, folders) or target):
            options[group] = str(target).rpartition(".")[2]
    if class_attribute(cfg.method.get("_target_"), "any_loss") is False:
        options["loss"] = "none"
    return options


@functools.cache
def _target_of(group: str, option: str, folders: tuple[str, ...]) -> str | None:
    """The ``_target_`` of an option's file or of one that it starts from; ``none`` without one, None without a file."""
    file = next((path for folder in folders if (path := Path(folder, group, f"{option}.yaml")).is_file()), None)
    if file is None:
        return None
    content: Any = OmegaConf.load(file)
    if "_target_" in content:
        return str(content._get_node("_target_"))
    bases = [name for name in content.get("defaults", []) if isinstance(name, str) and name[0] not in "/_"]
    return next((target for name in bases if (target := _target_of(group, name, folders))), "none")
