"""What the jobs of a sweep report, each in a small file of its own, so that the sweep can watch them from anywhere.

A run folder says how far a run is. Only the job knows which folder is its own, and whether there is anything to do.
"""

import contextlib
import csv
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lnl.files import write_atomically
from lnl.runs.folder import RunFolder

State = Literal["running", "finished", "skipped", "failed", "left"]


@dataclass
class Entry:
    """A job as of now."""

    job: int  # its number in the sweep, from 0
    folder: str  # its run folder
    overrides: list[str] = field(default_factory=list)  # its part of the command line
    state: State = "running"  # "skipped" if it was finished before, "left" if another process holds the folder
    notes: list[str] = field(default_factory=list)  # messages, such as that it resumes an interrupted run
    reason: str = ""  # why it failed, or which process holds the folder
    epoch: int = 0  # epochs done
    epochs: int = 0  # to do in all; 0 before training starts
    accuracy: float | None = None  # the best on validation labels so far, in [0, 1]
    seconds: float = 0.0  # since it started

    @property
    def name(self) -> str:
        return Path(self.folder).name

    @property
    def share(self) -> float:
        """The share of the job that is done, in [0, 1]."""
        return min(1.0, self.epoch / max(1, self.epochs)) if self.state == "running" else 1.0


class JobJournal:
    """Writes the entry of one job to ``<job>.json`` in the sweep's folder."""

    def __init__(self, folder: Path, job: int, run: Path, overrides: Sequence[str]) -> None:
        self.path, self.entry = folder / f"{job}.json", Entry(job, str(run), list(overrides))
        self.started = time.monotonic()
        self.tell()

    def tell(self, **news: Any) -> None:
        """Changes the entry and writes it. A file that cannot be written stops no training."""
        self.entry = replace(self.entry, **news, seconds=time.monotonic() - self.started)
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)  # the sweep may have ended without its jobs
            write_atomically(self.path, json.dumps(asdict(self.entry)), durable=False)

    def say(self, note: str) -> None:
        """Adds a note."""
        self.tell(notes=[*self.entry.notes, note])


class Journal:
    """Reads the entries of all jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[int, Entry] = {}

    def read(self) -> dict[int, Entry]:
        """The entries by the jobs' numbers, with the progress of running jobs from their run folders."""
        for path in self.folder.glob("[0-9]*.json"):
            if (known := self.entries.get(int(path.stem))) and known.state != "running":
                continue
            try:
                entry = Entry(**json.loads(path.read_text()))
            except (OSError, ValueError, TypeError):
                continue  # gone, or half written on a network's file system: next time
            if entry.state == "running" and entry.epochs:
                rows: list[dict[str, str]] = []
                run = RunFolder(entry.folder)
                for part in (run, *run.folds()):
                    with contextlib.suppress(OSError), part.metrics.open(newline="") as file:
                        rows += csv.DictReader(file)
                accuracies = (float(row["val/accuracy"]) for row in rows if row.get("val/accuracy"))
                entry.epoch, entry.accuracy = len(rows), max(accuracies, default=None)
            self.entries[entry.job] = entry
        return dict(sorted(self.entries.items()))


def labels(entries: Sequence[Entry]) -> dict[int, str]:
    """A name for each job: the overrides that not all jobs have."""
    shared = set.intersection(*(set(entry.overrides) for entry in entries)) if entries else set()
    return {
        entry.job: " ".join(override for override in entry.overrides if override not in shared) or entry.name
        for entry in entries
    }


FEW = 5  # settings whose best jobs are named
MEASURED_ON = ("data", "corruption", "noise")  # parts of the configuration that validation labels come from


def measured_on(entry: Entry) -> frozenset[str]:
    """The overrides that decide a job's validation labels: accuracies are comparable where these are equal."""
    keys = {override: override.partition("=")[0].lstrip("+~") for override in entry.overrides}
    return frozenset(
        override for override, key in keys.items() if key == "experiment" or re.split("[./@]", key)[0] in MEASURED_ON
    )


def best(entries: Sequence[Entry], count: int) -> list[Entry]:
    """The jobs with the highest accuracy on validation labels, highest first.

    Where data or noise differ, accuracies are not comparable (without noise they are always higher). Then it is the
    best job of each setting that has several, in the order of the jobs; none if there are more than ``FEW`` settings.
    """
    settings: dict[frozenset[str], list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: -(entry.accuracy or 0.0)):
        settings.setdefault(measured_on(entry), []).extend([entry] if entry.accuracy is not None else [])
    if len(settings) == 1:
        return next(iter(settings.values()))[:count]
    compared = [known[0] for known in settings.values() if len(known) > 1] if len(settings) <= FEW else []
    return sorted(compared, key=lambda entry: entry.job)


def where_equal(entries: Sequence[Entry]) -> str:
    """What belongs behind "best" where not all jobs are comparable."""
    return ", where data and noise are equal" if len({measured_on(entry) for entry in entries}) > 1 else ""
