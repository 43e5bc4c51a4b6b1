"""What the jobs of a sweep say of themselves, each in a small file, so that the sweep can watch them from anywhere.

A run folder says how far a run is. Only the job knows which folder is its own, and whether it has anything to do there.
"""

import contextlib
import csv
import dataclasses
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lnl.files import write_atomically
from lnl.runs.folder import RunFolder

State = Literal["running", "finished", "skipped", "failed", "left"]


@dataclass
class Entry:
    """A job as of now.

    Attributes:
        job: its number in the sweep, from 0.
        folder: its run folder.
        overrides: its part of the command line.
        state: ``skipped``, if it was finished before; ``left``, if another process has it.
        notes: what it had to say, such as that it continues an interrupted run.
        reason: why it failed, or who has it.
        epoch, epochs: how many epochs are done, of how many; 0 of 0 before training starts.
        accuracy: the best on noisy validation labels so far, in [0, 1].
        seconds: since it started.
    """

    job: int
    folder: str
    overrides: list[str] = dataclasses.field(default_factory=list)
    state: State = "running"
    notes: list[str] = dataclasses.field(default_factory=list)
    reason: str = ""
    epoch: int = 0
    epochs: int = 0
    accuracy: float | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Of the run folder."""
        return Path(self.folder).name

    @property
    def share(self) -> float:
        """How much of the job is done, in [0, 1]."""
        return min(1.0, self.epoch / max(1, self.epochs)) if self.state == "running" else 1.0


class JobJournal:
    """The file in which one job tells how far it is.

    Args:
        folder: of the sweep's files.
        job: its number.
        run: its run folder.
        overrides: its part of the command line.
    """

    def __init__(self, folder: Path, job: int, run: Path, overrides: Sequence[str]) -> None:
        self.path, self.entry = folder / f"{job}.json", Entry(job, str(run), list(overrides))
        self.started = time.monotonic()
        self.tell()

    def tell(self, **news: Any) -> None:
        """Changes the entry and writes it. A file that cannot be written stops no training."""
        self.entry = dataclasses.replace(self.entry, **news, seconds=time.monotonic() - self.started)
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)  # the sweep may have ended without its jobs
            write_atomically(self.path, json.dumps(dataclasses.asdict(self.entry)), durable=False)

    def say(self, note: str) -> None:
        """Adds a note."""
        self.tell(notes=[*self.entry.notes, note])


class Journal:
    """All jobs' entries, read again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[int, Entry] = {}

    def read(self) -> dict[int, Entry]:
        """The entries by the jobs' numbers; how far a running one is, its run folder says."""
        for path in self.folder.glob("[0-9]*.json"):
            if (known := self.entries.get(int(path.stem))) and known.state != "running":
                continue
            try:
                entry = Entry(**json.loads(path.read_text()))
            except (OSError, ValueError, TypeError):
                continue  # gone, or half there on a network's file system: next time
            if entry.state == "running" and entry.epochs:
                entry.epoch, entry.accuracy = progress(RunFolder(entry.folder))
            self.entries[entry.job] = entry
        return dict(sorted(self.entries.items()))


def progress(run: RunFolder) -> tuple[int, float | None]:
    """How many epochs a run, or its folds, have trained, and the best accuracy on noisy validation labels so far."""
    rows: list[dict[str, str]] = []
    for part in (run, *run.folds()):
        with contextlib.suppress(OSError), part.metrics.open(newline="") as file:
            rows += csv.DictReader(file)
    return len(rows), max((float(row["val/accuracy"]) for row in rows if row.get("val/accuracy")), default=None)


def labels(entries: Sequence[Entry]) -> dict[int, str]:
    """What tells each job from the others: the part of its command line that is not all jobs'."""
    shared = set.intersection(*(set(entry.overrides) for entry in entries)) if entries else set()
    own = {entry.job: [override for override in entry.overrides if override not in shared] for entry in entries}
    return {entry.job: " ".join(own[entry.job]) or entry.name for entry in entries}


FEW = 5  # settings whose best jobs are named
MEASURED_ON = ("data", "corruption", "noise")  # parts of the configuration that noisy validation labels come from


def measured_on(entry: Entry) -> frozenset[str]:
    """The overrides that decide what a job's validation labels are: accuracies compare where these are equal."""
    keys = {override: override.partition("=")[0].lstrip("+~") for override in entry.overrides}
    return frozenset(
        override for override, key in keys.items() if key == "experiment" or re.split("[./@]", key)[0] in MEASURED_ON
    )


def best(entries: Sequence[Entry], count: int) -> list[Entry]:
    """The jobs with the highest accuracy on noisy validation labels, highest first.

    Where data or noise differ, accuracies do not compare (without noise they are always higher): then it is the best
    job of each setting that has two or more, in their order, if the settings are few, else none.
    """
    settings: dict[frozenset[str], list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: -(entry.accuracy or 0.0)):
        settings.setdefault(measured_on(entry), []).extend([entry] if entry.accuracy is not None else [])
    if len(settings) == 1:
        return next(iter(settings.values()))[:count]
    compared = [known[0] for known in settings.values() if len(known) > 1] if len(settings) <= FEW else []
    return sorted(compared, key=lambda entry: entry.job)


def where_equal(entries: Sequence[Entry]) -> str:
    """What belongs behind "best" where not all jobs compare."""
    return ", where data and noise are equal" if len({measured_on(entry) for entry in entries}) > 1 else ""
