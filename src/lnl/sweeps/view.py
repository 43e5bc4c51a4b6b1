"""A running sweep on the terminal: a line for each job, a live view, and the summary."""

import contextlib
import os
import shutil
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lnl.errors import many
from lnl.files import process_is_gone
from lnl.progress import Pace, duration, say
from lnl.runs.folder import RunFolder
from lnl.sweeps.journal import Entry, Journal, State, best, labels, where_equal

BEST = 3  # jobs shown as the best
RUNNING = 8  # running jobs shown
POLL = 0.25  # seconds


class Sweep:
    """Reads the jobs' journal, prints a line for each event, and draws a live view if there is a terminal.

    ``total`` is the number of jobs, if it is known, and ``exact`` says that there cannot be fewer.
    """

    def __init__(self, folder: Path, total: int | None, exact: bool) -> None:
        self.folder, self.total, self.exact = folder, total, exact
        self.journal = Journal(folder)
        # Without a terminal it draws nothing.
        self.live = Live(
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=True,
        )
        self.started = time.monotonic()
        self.said: dict[int, int] = {}  # how many lines of each job
        self.pace = Pace()
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self._watch, name="sweep", daemon=True)

    def start(self) -> None:
        """Starts watching."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.parent.glob(f"*-{socket.gethostname()}-*"):  # of sweeps that were killed
            if process_is_gone(path.name.rpartition("-")[2]):
                shutil.rmtree(path, ignore_errors=True)
        self.live.start()
        if not self.live.console.is_terminal and "torch" not in sys.modules:  # the first job will take a while
            jobs = "a search" if self.total is None else many(self.total, "job", "jobs")
            say(f"starting {jobs} ...")
        self.watcher.start()

    def _watch(self) -> None:
        while not self.over.wait(POLL):
            self._look()

    def _look(self) -> None:
        entries = list(self.journal.read().values())
        for entry in entries:
            texts = [*(f"{entry.name}: {note}" for note in entry.notes), *ending(entry)]
            for text in texts[self.said.get(entry.job, 0) :]:
                print(text, file=sys.stderr if text.startswith("error: ") else sys.stdout, flush=True)
            self.said[entry.job] = len(texts)
        seconds = time.monotonic() - self.started
        if self.live.console.is_terminal:
            self.live.update(picture(entries, self.total, seconds), refresh=True)
        elif self.total and (share := sum(entry.share for entry in entries) / self.total) < 1 and self.pace.due(share):
            say(counts(entries, self.total, seconds))

    def end(self, interrupted: bool) -> int:
        """Stops watching, prints the summary, and returns the exit code: 1 if a job failed or did not end."""
        self.over.set()
        self.watcher.join()
        self._look()
        self.live.stop()
        entries = list(self.journal.entries.values())
        if not (self.exact or interrupted):
            self.total = len(entries)
        if entries or not interrupted:
            print(summary(entries, self.total, time.monotonic() - self.started))
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()  # unless another sweep runs
        sys.stdout.flush()
        missing = 0 if self.total is None else self.total - len(entries)
        return int(bool(missing) or any(entry.state in ("failed", "running") for entry in entries))


def picture(entries: list[Entry], total: int | None, seconds: float) -> RenderableType:
    """The view: counts and time left, a bar, the running jobs, and the best so far by validation labels.

    ``total`` is the number of jobs, if it is known, and ``seconds`` the time since the sweep started.
    """
    names = labels(entries)
    running = [entry for entry in entries if entry.state == "running"]
    head = Text(counts(entries, total, seconds))
    head.highlight_regex(r"^.* done", "bold")
    head.highlight_regex(r"[1-9]\d* failed", "red")
    parts: list[RenderableType] = [head]
    if total:
        bar = Table.grid(expand=True)  # which ends the line, as a bar by itself does not
        bar.add_row(ProgressBar(total=total, completed=sum(entry.share for entry in entries)))
        parts.append(bar)
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for entry in running[:RUNNING]:
        now = f"epoch {int(entry.epoch) + (entry.epoch < entry.epochs)}/{entry.epochs}" if entry.epochs else "starts"
        table.add_row(now, names[entry.job])
    if len(running) > RUNNING:
        table.add_row("", f"and {len(running) - RUNNING} more")
    if top := best(entries, BEST):
        table.add_row("best", Text(f"so far, by validation labels{where_equal(entries)}", style="dim"))
    for entry in top:
        table.add_row(f"{entry.accuracy:.2%}", names[entry.job])
    return Group(*parts, table)


def counts(entries: list[Entry], total: int | None, seconds: float) -> str:
    """How many jobs are in which state, and the times. Args: as of :func:`picture`."""
    states, left = [entry.state for entry in entries], seconds_left(entries, total, seconds)
    done, failed = len(states) - states.count("running"), states.count("failed")
    times = duration(seconds) + ("" if left is None else f", {duration(left)} left")
    words = f"{done}/{'?' if total is None else total} jobs done, {len(states) - done} running, {failed} failed"
    return f"{words}   {times}"


def seconds_left(entries: list[Entry], total: int | None, seconds: float) -> float | None:
    """The time that the rest will take; None if the speed is not known yet. Skipped jobs tell nothing of the speed."""
    if total is None:
        return None
    worked = sum(entry.share for entry in entries if entry.state in ("running", "finished"))
    todo = total - sum(entry.share for entry in entries)
    return None if worked < 0.05 else seconds * todo / worked


def ending(entry: Entry) -> list[str]:
    """The line about the end of a job, if it has ended."""
    accuracy = "" if entry.accuracy is None else f", validation accuracy {entry.accuracy:.2%}"
    lines = {
        "failed": f"error: {entry.name}: {entry.reason}",
        "left": f"left to {entry.reason}: {entry.name}",
        "skipped": f"skipped, finished before: {entry.name}{accuracy}",
        "finished": f"finished in {duration(entry.seconds)}: {entry.name}{accuracy}",
    }
    return [lines[entry.state]] if entry.state in lines else []


def summary(entries: list[Entry], total: int | None, seconds: float) -> str:
    """How many jobs ended in which way, which is the best, and which failed and why. Args: as of :func:`picture`."""
    counts = Counter(entry.state for entry in entries)
    kinds: dict[State, str] = {
        "finished": "finished",
        "skipped": "skipped (finished before)",
        "failed": "failed",
        "left": "left to another process",
        "running": "interrupted",
    }
    words = [f"{counts[state]} {word}" for state, word in kinds.items() if counts[state]]
    count = len(entries) if total is None else total
    if count > len(entries):
        words.append(f"{count - len(entries)} not started")
    where = ", ".join(dict.fromkeys(os.path.relpath(Path(entry.folder).parent) for entry in entries))
    lines = [f"{many(count, 'job', 'jobs')} in {duration(seconds)}: {', '.join(words) or 'nothing'}", where]
    names = labels(entries)
    for entry in best(entries, 1):
        lines.append(f"best by validation labels{where_equal(entries)}: {entry.accuracy:.2%}, {names[entry.job]}")
    for entry in entries:
        if entry.state == "failed":
            error = RunFolder(entry.folder).error
            lines.append(f"failed: {entry.reason.splitlines()[0]}")
            lines.append(f"        {os.path.relpath(error if error.exists() else entry.folder)}")
        elif entry.state == "left":
            lines.append(f"left to {entry.reason}: {os.path.relpath(entry.folder)}")
    if counts["failed"] + counts["left"] + counts["running"] or len(entries) < count:
        lines.append("the same command goes on with what is not finished")
    return "\n".join(f"  {line}" for line in lines if line)
