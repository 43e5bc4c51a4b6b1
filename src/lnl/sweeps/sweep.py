"""A sweep as a whole: what its jobs say while they run, and what has become of them in the end."""

import contextlib
import logging
import shutil
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lnl.errors import UserError
from lnl.files import process_is_gone
from lnl.sweeps.checks import check_swept_options, count_jobs, has_search_space
from lnl.sweeps.journal import Journal
from lnl.sweeps.view import LiveView, ending, summary

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
        self.view = LiveView(total)
        self.started = time.monotonic()
        self.said: dict[int, int] = {}  # how many lines of each job
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self._watch, name="sweep", daemon=True)

    def start(self) -> None:
        """Starts watching."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.parent.glob(f"*-{socket.gethostname()}-*"):  # of sweeps that were killed
            if process_is_gone(path.name.rpartition("-")[2]):
                shutil.rmtree(path, ignore_errors=True)
        self.view.start()
        self.watcher.start()

    def _watch(self) -> None:
        while not self.over.wait(self.POLL):
            self._look()

    def _look(self) -> None:
        entries = self.journal.read()
        for entry in entries.values():
            texts = [*(f"{entry.name}: {note}" for note in entry.notes), *ending(entry)]
            for text in texts[self.said.get(entry.job, 0) :]:
                print(text, file=sys.stderr if text.startswith("error: ") else sys.stdout, flush=True)
            self.said[entry.job] = len(texts)
        self.view.show(list(entries.values()), time.monotonic() - self.started)

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
            self.folder.parent.rmdir()  # unless another sweep is underway
        sys.stdout.flush()
        missing = 0 if self.total is None else self.total - len(entries)
        return int(bool(missing) or any(entry.state in ("failed", "running") for entry in entries))
