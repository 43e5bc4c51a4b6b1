"""The live view of a sweep in a terminal."""

import sys
from typing import TYPE_CHECKING

from lnl.sweeps.journal import Entry, best, labels, where_equal

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

    def say(self, text: str, is_error: bool = False) -> None:
        """Says a line that stays."""
        print(text, file=sys.stderr if is_error else sys.stdout, flush=True)

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
