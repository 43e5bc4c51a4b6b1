"""Many pictures -> one array on the disk, decoded once; or a stream, where the array would be too large."""

import hashlib
import json
import os
import shutil
import socket
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lnl.data.images import Fit, Images, Streamed, digest, natural_size
from lnl.data.pictures import PictureError, picture_size, read_picture
from lnl.errors import UserError
from lnl.files import process_is_gone, replacing, write_atomically

VERSION = 2  # to be raised when the same files would be decoded to other pixels
CHUNK_BYTES = 64 * 2**20  # of decoded pictures in memory at a time
KEPT = 4  # arrays of pictures of the same origin: other splits, or other tables, have them in another order
LOOKED_AT = 1000  # pictures, to learn what size they have

T = TypeVar("T")


class Sources(ABC):
    """Pictures that are to be read.

    Args:
        origin: where they are from. Of the arrays of pictures of the same origin :data:`KEPT` stay.
        names: what to call each.
    """

    def __init__(self, origin: str, names: Sequence[str]) -> None:
        self.prefix = hashlib.sha256(origin.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def __getitem__(self, place: int) -> Path | bytes:
        """A file or its content, for :func:`lnl.data.pictures.read_picture`."""

    @abstractmethod
    def key(self) -> str:
        """Changes with any of the pictures."""

    @abstractmethod
    def digest(self, place: int) -> str:
        """The same for pictures of the same content; empty where it is certain that there is no other."""


class Files(Sources):
    """Picture files ``names`` in the folder ``root``."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        super().__init__(str(root.absolute()), names)
        self.root = root

    def __getitem__(self, place: int) -> Path:
        return self.root / self.names[place]

    @cached_property
    def states(self) -> NDArray[np.int64]:
        """``[n, 3]``, size and times of change of each file's content and of its inode (its name, who may read it).

        -1, 0 and 0 of one that is not there: reading it says so.
        """
        found = []
        for name in self.names:
            try:
                status = os.stat(os.path.join(self.root, name))  # a Path would take most of the time
                found.append((status.st_size, status.st_mtime_ns, status.st_ctime_ns))
            except (OSError, ValueError):
                found.append((-1, 0, 0))
        return np.array(found)

    @cached_property
    def sizes_of_several(self) -> set[int]:
        sizes, counts = np.unique(self.states[:, 0], return_counts=True)
        return set(sizes[counts > 1].tolist()) - {-1, 0}

    def key(self) -> str:
        names = "\0".join(self.names).encode("utf-8", "surrogateescape")
        return hashlib.sha256(names + self.states.tobytes()).hexdigest()

    def digest(self, place: int) -> str:
        if self.states[place, 0] not in self.sizes_of_several:
            return ""
        return hashlib.sha256(self[place].read_bytes()).hexdigest()


@dataclass(frozen=True)
class Decoded:
    """Pictures, those of them that could be read.

    Attributes:
        images: uint8 ``[n, S, S, C]`` of the readable ones, in their order.
        bad: place and reason of each of the others.
    """

    images: "NDArray[np.uint8] | StreamedPictures"
    bad: dict[int, str]

    def cut(self, place: int) -> tuple[Images, Images]:
        """The images before a place and those from there on, without a copy; bad ones count in places."""
        kept = place - sum(bad < place for bad in self.bad)
        if isinstance(self.images, StreamedPictures):
            return self.images.part(slice(kept)), self.images.part(slice(kept, None))
        return self.images[:kept], self.images[kept:]


class StreamedPictures(Streamed):
    """Pictures of ``sources`` at ``places``, decoded anew whenever they are asked for."""

    def __init__(
        self,
        sources: Sources,
        places: NDArray[np.int64],
        digests: NDArray[np.uint64],
        size: int,
        channels: int,
        fit: Fit,
    ) -> None:
        super().__init__((len(places), size, size, channels))
        self.sources, self.places, self.options = sources, places, (size, channels, fit)
        self.digests = digests

    def part(self, which: slice) -> "StreamedPictures":
        return StreamedPictures(self.sources, self.places[which], self.digests[which], *self.options)

    def __getitem__(self, places: Any) -> NDArray[np.uint8]:
        chosen = self.places[places]
        if chosen.ndim:
            return np.stack([self._read(place) for place in chosen])
        return self._read(chosen)

    def _read(self, place: np.int64) -> NDArray[np.uint8]:
        try:
            return read_picture(self.sources[int(place)], *self.options)
        except PictureError as error:
            name = self.sources.names[int(place)]
            raise UserError(f"{name} could be read when the run started, and cannot now: {error}") from error


def common_size(sources: Sources) -> int:
    """What :func:`natural_size` says of pictures that are all alike; else 64. A thousand of them are looked at."""
    sizes = set()
    for place in np.unique(np.linspace(0, len(sources) - 1, min(LOOKED_AT, len(sources))).astype(int)).tolist():
        try:
            sizes.add(picture_size(sources[place]))
        except PictureError:
            continue
        if len(sizes) > 1:
            break
    width, height = sizes.pop() if len(sizes) == 1 else (0, 1)
    return natural_size((len(sources), height, width))


def same(digests: Iterable[str]) -> list[list[int]]:
    """Places of equal digests, a list for each that is there twice; empty ones equal none."""
    places = defaultdict(list)
    for place, content in enumerate(digests):
        if content:
            places[content].append(place)
    return [group for group in places.values() if len(group) > 1]


def find_copies(sources: Sources, cache_dir: Path, show: bool = False) -> list[list[int]]:
    """Places of pictures with the same content, byte by byte: a list for each such content, kept in ``cache_dir``.

    What cannot be read now has no copy; then nothing is kept.
    """
    failed = []

    def one(place: int) -> str:
        try:
            return sources.digest(place)
        except PictureError:
            return ""
        except OSError:
            failed.append(place)
            return ""

    stem = f"pictures-{sources.prefix}-copies-"
    record = cache_dir / f"{stem}{hashlib.sha256(sources.key().encode()).hexdigest()[:16]}.json"
    with suppress(FileNotFoundError, ValueError):  # of a damaged one
        copies: list[list[int]] = json.loads(record.read_text())
        os.utime(record)  # was used
        return copies
    copies = same(_shown(map(one, range(len(sources))), "looking for copies", len(sources), show))
    if not failed:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _make_room(cache_dir, stem, 0)
        write_atomically(record, json.dumps(copies), durable=False)
    return copies


def decode(
    sources: Sources, size: int, channels: int, fit: Fit, *, cache_dir: Path, limit: float, show: bool = False
) -> Decoded:
    """All pictures at ``size`` x ``size``, on all cores the first time, from ``cache_dir`` from then on.

    Args:
        sources: of the pictures.
        size, channels, fit: as of :func:`lnl.data.pictures.read_picture`.
        cache_dir: of the array.
        limit: in bytes; of a larger array nothing is kept: every picture is looked at once, and decoded when wanted.
        show: a progress bar, if there is a terminal.

    Raises:
        UserError: if the disk has no room for the array.
    """
    key = hashlib.sha256(f"{VERSION} {size} {channels} {fit} {sources.key()}".encode()).hexdigest()[:16]
    needed = len(sources) * size * size * channels
    streamed = needed > limit
    stem = f"pictures-{sources.prefix}-{size}-{channels}-{fit}-{'stream' if streamed else 'array'}-"
    array, record = cache_dir / f"{stem}{key}.npy", cache_dir / f"{stem}{key}.json"
    fresh = not record.exists() or not (streamed or array.exists())
    if fresh:
        cache_dir.mkdir(parents=True, exist_ok=True)
        if not _make_room(cache_dir, stem, 0 if streamed else needed):
            raise UserError(
                f"the decoded pictures take {needed / 1e9:.1f} GB, which {cache_dir} has no room for: set "
                "paths.cache_dir, or data.cache_limit_gb=0 to decode them again in each epoch."
            )
        _decode_all(sources, (size, channels, fit), None if streamed else array, record, show)
    with suppress(OSError):
        os.utime(record, ns=(time.time_ns(),) * 2)  # was used
    with suppress(ValueError, KeyError, EOFError, FileNotFoundError):  # damaged or old, or another process made room
        found = json.loads(record.read_text())
        bad = {int(place): reason for place, reason in found["bad"].items()}
        if fresh or all(_fails_again(sources, place, (size, channels, fit)) for place in found["passing"]):
            if streamed:
                good = np.setdiff1d(np.arange(len(sources)), np.array(list(bad), dtype=np.int64))
                digests = np.array(found["digests"], dtype=np.uint64)
                return Decoded(StreamedPictures(sources, good, digests, size, channels, fit), bad)
            if len(bad) == len(sources):
                return Decoded(np.zeros((0, size, size, channels), np.uint8), bad)
            # Copied on write: nobody writes, but torch wants to be able to.
            return Decoded(np.asarray(np.load(array, mmap_mode="c")), bad)
    record.unlink(missing_ok=True)
    return decode(sources, size, channels, fit, cache_dir=cache_dir, limit=limit, show=show)


def _fails_again(sources: Sources, place: int, options: tuple[int, int, Fit]) -> bool:
    """Whether a picture cannot be read, still for a reason that may pass."""
    answer = _read(sources, place, options)
    return isinstance(answer, PictureError) and answer.passing


def _read(sources: Sources, place: int, options: tuple[int, int, Fit]) -> NDArray[np.uint8] | PictureError:
    try:
        return read_picture(sources[place], *options)
    except PictureError as error:
        return PictureError(str(error), error.passing)  # its cause would keep the file's content
    except OSError as error:  # of a row
        return PictureError(str(error), passing=True)


def _make_room(cache_dir: Path, stem: str, needed: int) -> bool:
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


def _decode_all(sources: Sources, options: tuple[int, int, Fit], array: Path | None, record: Path, show: bool) -> None:
    """Writes the array, if one is wanted, and then the record of what could not be read."""
    size, channels, _ = options
    bad: dict[int, PictureError] = {}
    digests: list[int] = []  # of pictures that are not kept: of the others, the array has the pixels
    with replacing(record) as unfinished:
        # Durable, or a record could outlive a crash, and its array be zeros.
        writing = nullcontext(unfinished) if array is None else replacing(array, durable=True)
        with writing as pictures, pictures.open("wb") as file:
            _write_header(file, len(sources), size, channels)
            for place, pixels in enumerate(_each(sources, options, show)):
                if isinstance(pixels, PictureError):
                    bad[place] = pixels
                elif array is None:
                    digests.append(digest(pixels))
                else:
                    file.write(pixels.tobytes())
            file.seek(0)
            _write_header(file, len(sources) - len(bad), size, channels)
        reasons = {place: str(error) for place, error in bad.items()}
        passing = [place for place, error in bad.items() if error.passing]
        unfinished.write_text(json.dumps({"bad": reasons, "passing": passing, "digests": digests}))


def _write_header(file: Any, count: int, size: int, channels: int) -> None:
    """Of an .npy file; numpy gives it the same length for every count."""
    form = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, channels)}
    np.lib.format.write_array_header_1_0(file, form)


def _each(sources: Sources, options: tuple[int, int, Fit], show: bool) -> Iterator[NDArray[np.uint8] | PictureError]:
    """Pixels, or the reason why there are none, of each picture in its order, with a progress bar."""
    size, channels, _ = options
    at_once = max(16, min(2048, CHUNK_BYTES // (size * size * channels)))
    with ThreadPoolExecutor() as pool:
        chunks = (range(start, min(start + at_once, len(sources))) for start in range(0, len(sources), at_once))
        every = (answer for chunk in chunks for answer in pool.map(lambda place: _read(sources, place, options), chunk))
        yield from _shown(every, "decoding pictures", len(sources), show)


def _shown(every: Iterable[T], what: str, total: int, show: bool) -> Iterable[T]:
    """With a progress bar, if there is a terminal."""
    console = Console(stderr=True)
    return track(every, what, total, console=console, transient=True, disable=not (show and console.is_terminal))
