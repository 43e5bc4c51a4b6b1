"""What a sweep says: a line for each job, a live view in a terminal, and the summary."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from lnl.runs.folder import RunFolder
from lnl.sweeps.journal import Entry, State, best, labels, where_equal

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

BEST = 3  # so many of the best jobs are shown
RUNNING = 8  # and of those that run


class LiveView:
    """Jobs done, running and failed, time left, and the best accuracies so far. Without a terminal, plain lines alone.

    Args:
        total: number of jobs, if it is known.
    """

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.live: Live | None = None

    def start(self) -> None:
        """Takes the terminal's last lines, if there is a terminal. Other output goes above them."""
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        if console.is_terminal:
            self.live = Live(
                console=console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
                redirect_stderr=True,
            )
            self.live.start()

    def show(self, entries: list[Entry], seconds: float) -> None:
        """Draws the jobs as they are now, ``seconds`` after the start."""
        if self.live is not None:
            self.live.update(picture(entries, self.total, seconds), refresh=True)

    def stop(self) -> None:
        """Gives the terminal back."""
        if self.live is not None:
            self.live.stop()
            self.live = None


def picture(entries: list[Entry], total: int | None, seconds: float) -> "RenderableType":
    """The view: counts and time left, a bar, what is running, and the best so far by noisy validation labels."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    names = labels(entries)
    states = [entry.state for entry in entries]
    running = [entry for entry in entries if entry.state == "running"]
    done = len(entries) - len(running)
    head = Text(f"{done}/{total if total is not None else '?'} jobs done", style="bold")
    head.append(f", {len(running)} running", style="not bold")
    head.append(f", {states.count('failed')} failed", style="not bold red" if "failed" in states else "not bold")
    head.append(f"   {duration(seconds)}", style="not bold")
    left = seconds_left(entries, total, seconds)
    if left is not None:
        head.append(f", {duration(left)} left", style="not bold")
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
    top = best(entries, BEST)
    if top:
        table.add_row("best", Text(f"so far, by noisy validation labels{where_equal(entries)}", style="dim"))
    for entry in top:
        table.add_row(f"{entry.accuracy:.2%}", names[entry.job])
    return Group(*parts, table)


def seconds_left(entries: list[Entry], total: int | None, seconds: float) -> float | None:
    """How long the rest will take if it goes on as it did; None before there is anything to go by.

    Jobs that were skipped took no time and say nothing about those that are to come.
    """
    if total is None:
        return None
    worked = sum(entry.share for entry in entries if entry.state in ("running", "finished"))
    todo = total - sum(entry.share for entry in entries)
    return None if worked < 0.05 else seconds * todo / worked


def duration(seconds: float) -> str:
    """E.g. ``8.3 s``, ``4 min 5 s``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def ending(entry: Entry) -> list[str]:
    """The line that says how a job ended, if it has."""
    accuracy = "" if entry.accuracy is None else f", noisy validation accuracy {entry.accuracy:.2%}"
    lines = {
        "failed": f"error: {entry.name}: {entry.reason}",
        "left": f"left to {entry.reason}: {entry.name}",
        "skipped": f"skipped, finished before: {entry.name}{accuracy}",
        "finished": f"finished in {duration(entry.seconds)}: {entry.name}{accuracy}",
    }
    return [lines[entry.state]] if entry.state in lines else []


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
            error = RunFolder(entry.folder).error
            lines.append(f"failed: {entry.reason.splitlines()[0]}")
            lines.append(f"        {os.path.relpath(error if error.exists() else entry.folder)}")
        elif entry.state == "left":
            lines.append(f"left to {entry.reason}: {os.path.relpath(entry.folder)}")
    if counts["failed"] + counts["left"] + counts["running"] or len(entries) < (total or 0):
        lines.append("the same command goes on with what is not finished")
    return "\n".join(f"  {line}" for line in lines if line)
