"""A sweep as a whole: what its jobs say while they run, and what has become of them in the end."""

import contextlib
import logging
import os
import shutil
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lnl.errors import UserError
from lnl.sweeps.journal import Entry, Journal, State, best, labels, where_equal
from lnl.sweeps.view import LiveView, duration

_underway: "Sweep | None" = None  # a process has one sweep at a time


class Refused(SystemExit):
    """Ends a sweep before its first job: Hydra would report an Exception and start jobs that are not watched."""

    def __init__(self, reason: UserError) -> None:
        super().__init__(1)
        self.reason = reason


class SweepCallback(Callback):
    """Starts to watch a sweep before its first job (``conf/hydra/lnl.yaml``); :func:`end_of_sweep` ends it.

    Args:
        journal: folder for the files that the jobs write, one of its own for each sweep.
    """

    def __init__(self, journal: str) -> None:
        self.journal = journal

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        global _underway
        try:
            check_swept_options(config)
        except UserError as error:
            raise Refused(error) from error
        searches = "n_trials" in config.hydra.sweeper  # and may end before
        if searches:
            config.hydra.sweeper.direction = "maximize"  # the accuracy; Optuna's own default would seek the worst
            with contextlib.suppress(ImportError):  # which Hydra says in a moment
                from optuna.logging import set_verbosity  # its own import sets the level that it had

                set_verbosity(logging.WARNING)
            if not has_search_space(config):
                chosen = config.hydra.runtime.choices["hydra/sweeper"]
                example = "give an interval, such as loss.q='interval(0.1, 1)'"
                raise Refused(UserError(f"hydra/sweeper={chosen}: nothing to search; {example}"))
        sweep = Sweep(Path(self.journal).absolute(), count_jobs(config), exact=not searches)
        try:
            sweep.start()
        except OSError as error:
            raise Refused(UserError(f"{self.journal} cannot be written: {error.strerror}.")) from error
        _underway = sweep


def is_underway() -> bool:
    """Whether this process has a sweep."""
    return _underway is not None


def end_of_sweep(interrupted: bool) -> int:
    """Says what has become of the sweep that is underway, if there is one.

    Args:
        interrupted: it ended before all its jobs did.

    Returns:
        An exit code: 1 if a job has failed.
    """
    global _underway
    sweep, _underway = _underway, None
    return 0 if sweep is None else sweep.end(interrupted)


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


class Sweep:
    """Reads the jobs' journal, says a line for whatever happens, and keeps a live view in a terminal.

    Args:
        folder: of the journal.
        total: number of jobs, if it is known.
        exact: whether there cannot be fewer.
    """

    POLL = 0.25  # seconds

    def __init__(self, folder: Path, total: int | None, exact: bool = True) -> None:
        self.folder, self.total, self.exact = folder, total, exact
        self.journal = Journal(folder)
        self.lock_file = folder.with_suffix(".lock")
        self.lock = FileLock(self.lock_file)
        self.view = LiveView(total)
        self.started = time.monotonic()
        self.said: set[tuple[int, str]] = set()
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self._watch, name="sweep", daemon=True)

    def start(self) -> None:
        """Starts watching."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock.acquire()
        self._remove_abandoned()
        self.view.start()
        self.watcher.start()

    def _remove_abandoned(self) -> None:
        """Removes what sweeps that were killed have left."""
        for path in {*self.folder.parent.glob("*.lock")} - {self.lock_file}:
            lock = FileLock(path)
            with contextlib.suppress(Timeout, OSError), lock.acquire(timeout=0):
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink()

    def _watch(self) -> None:
        while not self.over.wait(self.POLL):
            self._look()

    def _look(self) -> None:
        entries = self.journal.read()
        for entry in entries.values():
            self._say_news(entry)
        self.view.show(list(entries.values()), time.monotonic() - self.started)

    def _say_news(self, entry: Entry) -> None:
        """Says, once, each note of a job and how it ended."""
        lines = [(f"{entry.name}: {note}", False) for note in entry.notes]
        if entry.state == "failed":
            lines.append((f"error: {entry.name}: {entry.reason}", True))
        elif entry.state != "running":
            lines.append((_ending(entry), False))
        for text, is_error in lines:
            if (entry.job, text) not in self.said:
                self.said.add((entry.job, text))
                self.view.say(text, is_error)

    def end(self, interrupted: bool) -> int:
        """Stops watching and says what has become of the jobs; returns the exit code."""
        self.over.set()
        self.watcher.join()
        self._look()
        self.view.stop()
        entries = list(self.journal.entries.values())
        if not (self.exact or interrupted):
            self.total = len(entries)
        if entries or not interrupted:
            print(summary(entries, self.total, time.monotonic() - self.started))
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.lock.release()
            self.lock_file.unlink()
            self.folder.parent.rmdir()  # unless another sweep is underway
        sys.stdout.flush()
        missing = 0 if self.total is None else self.total - len(entries)
        return int(bool(missing) or any(entry.state in ("failed", "running") for entry in entries))


def _ending(entry: Entry) -> str:
    if entry.state == "left":
        return f"left to {entry.reason}: {entry.name}"
    accuracy = "" if entry.accuracy is None else f", noisy validation accuracy {entry.accuracy:.2%}"
    if entry.state == "skipped":
        return f"skipped, finished before: {entry.name}{accuracy}"
    return f"finished in {duration(entry.seconds)}: {entry.name}{accuracy}"


def summary(entries: list[Entry], total: int | None, seconds: float) -> str:
    """What has become of a sweep's jobs: how many of each kind, and which failed and why.

    Args:
        entries: of the jobs that were started.
        total: number of jobs, if it is known.
        seconds: that the sweep took.
    """
    counts = Counter(entry.state for entry in entries)
    kinds: dict[State, str] = {
        "finished": "finished",
        "skipped": "skipped (finished before)",
        "failed": "failed",
        "left": "left to another process",
        "running": "interrupted",
    }
    words = [f"{counts[state]} {word}" for state, word in kinds.items() if counts[state]]
    if total is not None and total > len(entries):
        words.append(f"{total - len(entries)} not started")
    where = ", ".join(dict.fromkeys(os.path.relpath(Path(entry.folder).parent) for entry in entries))
    count = len(entries) if total is None else total
    lines = [f"{count} job{'s' * (count != 1)} in {duration(seconds)}: {', '.join(words) or 'nothing'}", where]
    names = labels(entries)
    for entry in best(entries, 1):
        lines.append(f"best by noisy validation labels{where_equal(entries)}: {entry.accuracy:.2%}, {names[entry.job]}")
    for entry in entries:
        if entry.state == "failed":
            error = Path(entry.folder) / "error.txt"
            lines.append(f"failed: {entry.reason.splitlines()[0]}")
            lines.append(f"        {os.path.relpath(error if error.exists() else entry.folder)}")
        elif entry.state == "left":
            lines.append(f"left to {entry.reason}: {os.path.relpath(entry.folder)}")
    if counts["failed"] + counts["left"] + counts["running"] or len(entries) < (total or 0):
        lines.append("the same command goes on with what is not finished")
    return "\n".join(f"  {line}" for line in lines if line)
