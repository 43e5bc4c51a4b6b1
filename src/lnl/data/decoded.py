"""Many pictures -> one array on the disk, decoded once; or a stream, where the array would be too large."""

import hashlib
import json
import os
import shutil
import socket
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lnl.data.images import Fit, Images, Streamed, natural_size
from lnl.data.pictures import PictureError, picture_size, read_picture
from lnl.errors import UserError
from lnl.files import process_is_gone, replacing

VERSION = 1  # to be raised when the same files would be decoded to other pixels
CHUNK_BYTES = 64 * 2**20  # of decoded pictures in memory at a time
KEPT = 4  # arrays of pictures of the same origin: other splits, or other tables, have them in another order
LOOKED_AT = 1000  # pictures, to learn what size they have


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
        """``[n, 2]``, size and time of change of each file; -1 and 0 of one that is not there: reading it says so."""
        found = []
        for name in self.names:
            try:
                status = os.stat(self.root / name)
                found.append((status.st_size, status.st_mtime_ns))
            except (OSError, ValueError):
                found.append((-1, 0))
        return np.array(found)

    @cached_property
    def sizes_of_several(self) -> set[int]:
        sizes, counts = np.unique(self.states[:, 0], return_counts=True)
        return set(sizes[counts > 1].tolist())

    def key(self) -> str:
        digest = hashlib.sha256()
        for name, (size, changed) in zip(self.names, self.states, strict=True):
            digest.update(f"{name}\0{size}\0{changed}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def digest(self, place: int) -> str:
        if self.states[place, 0] not in self.sizes_of_several:
            return ""
        with self[place].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Decoded:
    """Pictures, those of them that could be read.

    Attributes:
        images: uint8 ``[n, S, S, C]`` of the readable ones, in their order.
        bad: place and reason of each of the others.
        twins: places of pictures with the same content, a list for each such content.
    """

    images: "NDArray[np.uint8] | StreamedPictures"
    bad: dict[int, str]
    twins: list[list[int]]

    def cut(self, place: int) -> tuple[Images, Images]:
        """The images before a place and those from there on, without a copy; bad ones count in places."""
        kept = place - sum(bad < place for bad in self.bad)
        if isinstance(self.images, StreamedPictures):
            return self.images.part(slice(kept)), self.images.part(slice(kept, None))
        return self.images[:kept], self.images[kept:]


class StreamedPictures(Streamed):
    """Pictures of ``sources`` at ``places``, decoded anew whenever they are asked for."""

    def __init__(self, sources: Sources, places: NDArray[np.int64], size: int, channels: int, fit: Fit) -> None:
        super().__init__((len(places), size, size, channels))
        self.sources, self.places, self.options = sources, places, (size, channels, fit)

    def part(self, which: slice) -> "StreamedPictures":
        return StreamedPictures(self.sources, self.places[which], *self.options)

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
    if not record.exists() or not (streamed or array.exists()):
        cache_dir.mkdir(parents=True, exist_ok=True)
        if not _make_room(cache_dir, stem, 0 if streamed else needed):
            raise UserError(
                f"the decoded pictures take {needed / 1e9:.1f} GB, which {cache_dir} has no room for: set "
                "paths.cache_dir, or data.cache_limit_gb=0 to decode them again in each epoch."
            )
        _decode_all(sources, (size, channels, fit), None if streamed else array, record, show)
    with suppress(OSError):
        os.utime(record, ns=(time.time_ns(),) * 2)  # was used
    found = json.loads(record.read_text())
    bad = {int(place): reason for place, reason in found["bad"].items()}
    if streamed:
        good = np.setdiff1d(np.arange(len(sources)), np.array(list(bad), dtype=np.int64))
        return Decoded(StreamedPictures(sources, good, size, channels, fit), bad, found["twins"])
    if len(bad) == len(sources):
        return Decoded(np.zeros((0, size, size, channels), np.uint8), bad, [])
    try:  # copied on write: nobody writes, but torch wants to be able to
        return Decoded(np.asarray(np.load(array, mmap_mode="c")), bad, found["twins"])
    except ValueError:  # damaged, and made anew
        record.unlink()
        return decode(sources, size, channels, fit, cache_dir=cache_dir, limit=limit, show=show)


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
    bad: dict[int, str] = {}
    digests: dict[str, list[int]] = defaultdict(list)
    with replacing(record) as unfinished:
        with nullcontext(unfinished) if array is None else replacing(array) as pictures, pictures.open("wb") as file:
            _write_header(file, len(sources), size, channels)
            for place, (pixels, digest) in enumerate(_each(sources, options, show)):
                if isinstance(pixels, str):
                    bad[place] = pixels
                    continue
                if digest:
                    digests[digest].append(place)
                if array is not None:
                    file.write(pixels.tobytes())
            file.seek(0)
            _write_header(file, len(sources) - len(bad), size, channels)
        twins = [places for places in digests.values() if len(places) > 1]
        unfinished.write_text(json.dumps({"bad": bad, "twins": twins}))


def _write_header(file: Any, count: int, size: int, channels: int) -> None:
    """Of an .npy file; numpy gives it the same length for every count."""
    form = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, channels)}
    np.lib.format.write_array_header_1_0(file, form)


def _each(sources: Sources, options: tuple[int, int, Fit], show: bool) -> Iterator[tuple[NDArray[np.uint8] | str, str]]:
    """Pixels or the reason why there are none, and the digest, of each picture in its order, with a progress bar."""

    def one(place: int) -> tuple[NDArray[np.uint8] | str, str]:
        try:
            return read_picture(sources[place], *options), sources.digest(place)
        except (PictureError, OSError) as error:
            return str(error), ""

    size, channels, _ = options
    at_once = max(16, min(2048, CHUNK_BYTES // (size * size * channels)))
    console = Console(stderr=True)
    bar: Any = {"console": console, "transient": True, "disable": not (show and console.is_terminal)}
    with ThreadPoolExecutor() as pool:
        chunks = (range(start, min(start + at_once, len(sources))) for start in range(0, len(sources), at_once))
        every = (answer for chunk in chunks for answer in pool.map(one, chunk))
        yield from track(every, "decoding pictures", total=len(sources), **bar)
