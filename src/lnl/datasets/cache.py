"""The folder of decoded pictures, and the progress bar of what fills it."""

import shutil
import socket
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from lnl.files import process_is_gone

KEPT = 4  # arrays of pictures of the same origin: other splits, or other tables, have them in another order

T = TypeVar("T")


def make_room(cache_dir: Path, stem: str, needed: int) -> bool:
    """Whether there is room for so many bytes, and for another array called ``stem*``. Those used longest ago go."""
    for left in cache_dir.glob(f".pictures-*.{socket.gethostname()}-*.tmp"):
        if process_is_gone(left.stem.rpartition("-")[2]):
            left.unlink(missing_ok=True)
    used: dict[str, float] = defaultdict(float)
    for path in (*cache_dir.glob(f"{stem}*.npy"), *cache_dir.glob(f"{stem}*.json")):
        with suppress(FileNotFoundError):  # another process may have been faster
            used[path.stem] = max(used[path.stem], path.stat().st_mtime)
    kept = sorted(used, key=used.__getitem__)
    while kept and (len(kept) >= KEPT or needed > shutil.disk_usage(cache_dir).free):
        oldest = cache_dir / kept.pop(0)
        for suffix in (".json", ".npy"):
            oldest.with_suffix(suffix).unlink(missing_ok=True)
    return needed <= shutil.disk_usage(cache_dir).free


def shown(every: Iterable[T], what: str, total: int, show: bool) -> Iterable[T]:
    """With a progress bar, if there is a terminal."""
    console = Console(stderr=True)
    return track(every, what, total, console=console, transient=True, disable=not (show and console.is_terminal))
