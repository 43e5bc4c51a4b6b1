"""What a command says on stderr while it works: on a terminal for the moment, elsewhere in a few lines that stay."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

SOON = 1.0  # seconds until something is said of what usually takes less
LINES = 20  # at most, about one piece of work, where there is no terminal
SHORT = 5.0  # seconds between lines; work that takes less has none
FIRST = 10.0  # seconds until the first line about work that takes long

_hushed = 0


@contextmanager
def hushed() -> Iterator[None]:
    """Nothing is said in the block: a sweep shows the progress of its jobs."""
    global _hushed
    _hushed += 1
    try:
        yield
    finally:
        _hushed -= 1


def terminal() -> Any:
    """A console on stderr; its ``is_terminal`` says whether what it shows can be replaced."""
    from rich.console import Console  # takes a tenth of a second, which a finished run may do without

    return Console(stderr=True)


def duration(seconds: float) -> str:
    """E.g. ``8.3 s``, ``4 min 5 s``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


class Pace:
    """How long the rest of some work takes, and when a line about it is due.

    Args:
        begun: the share of the work, in [0, 1], that was done before ``started``.
        started: the time of the clock when it was begun, as of ``time.time``; None for now.
        said: the share at the last line; None if there was none.
    """

    def __init__(self, begun: float = 0.0, started: float | None = None, said: float | None = None) -> None:
        self.begun, self.started, self.said = begun, time.time() if started is None else started, said
        self.at = time.monotonic()  # the time of the last line

    def left(self, share: float) -> float | None:
        """Seconds until all is done, if ``share`` of it is; None if nothing tells."""
        worked = share - self.begun
        return (time.time() - self.started) * (1 - share) / worked if worked > 0 else None

    def text(self, share: float) -> str:
        """``35%``, and the time left where it is known."""
        left = self.left(share)
        return f"{share:.0%}" + ("" if left is None else f", {duration(left)} left")

    def due(self, share: float, always: bool = False) -> bool:
        """Whether it is time for a line; if ``always``, though little was done since the last one."""
        waited, part = time.monotonic() - self.at, int(share * LINES + 1e-9)
        last = self.begun if self.said is None else self.said
        far = part > int(last * LINES + 1e-9) or (self.said is None and waited >= FIRST)
        if waited < SHORT or not (far or always):
            return False
        self.said, self.at = share, time.monotonic()
        return True


def say(line: str) -> None:
    """Prints a line."""
    if not _hushed:
        print(line, file=sys.stderr, flush=True)


@contextmanager
def working(what: str, after: float | None = None) -> Iterator[None]:
    """Says what the block does, if it takes more than ``after`` seconds, by default :data:`SOON`."""
    after = SOON if after is None else after
    if _hushed:
        yield
        return
    console = terminal()
    live = _spinner(f"{what} ...", console) if console.is_terminal else None
    timer = threading.Timer(after, *(say, [f"{what} ..."]) if live is None else (live.start, [True]))
    timer.daemon = True
    if after:
        timer.start()
    else:
        timer.function(*timer.args)
    try:
        yield
    finally:
        timer.cancel()
        if after:
            timer.join()  # it may have begun just now
        if live is not None:
            live.stop()


def _spinner(text: str, console: Any) -> Any:
    from rich.live import Live
    from rich.spinner import Spinner

    # What is printed on stdout meanwhile may go to a file.
    return Live(Spinner("dots", text), console=console, transient=True, redirect_stdout=False, redirect_stderr=False)


@contextmanager
def loading(show: bool = True) -> Iterator[None]:
    """:func:`working` while torch is imported, which takes up to ten seconds on a machine that has just started."""
    if "torch" in sys.modules or not show:
        yield
        return
    with working("loading PyTorch", after=0):
        yield


def tracked(items: Iterable[T], what: str, total: int, show: bool = True) -> Iterator[T]:
    """Iterates with a bar, or with lines and the time left where there is no terminal."""
    if _hushed or not show or not total:
        yield from items
        return
    console = terminal()
    if not console.is_terminal:
        pace = Pace()
        for number, item in enumerate(items, 1):
            yield item
            if number < total and pace.due(number / total):
                say(f"{what}: {number:,} of {total:,}, {pace.text(number / total)}")
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        yield from bar.track(items, total, description=what)
