"""Work on many pictures by threads: Pillow and hashlib let go of Python's lock."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Place = TypeVar("Place")
Answer = TypeVar("Answer")


def on_all_cores(function: Callable[[Place], Answer], places: Sequence[Place], at_once: int = 1024) -> Iterator[Answer]:
    """What ``function`` returns for each place, in order; at most ``at_once`` answers wait in memory."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(places), at_once):
            yield from pool.map(function, places[start : start + at_once])
