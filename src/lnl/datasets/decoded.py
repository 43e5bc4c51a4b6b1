"""Many pictures -> one array on the disk, decoded once; or a stream, where the array would be too large."""

import hashlib
import json
import os
import shutil
import socket
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lnl.datasets.images import Fit, Form, Images, Streamed, digest
from lnl.datasets.pictures import PictureError, Pictures, common_size, read_picture
from lnl.errors import UserError
from lnl.files import process_is_gone, replacing

KEPT = 4  # arrays of pictures of the same origin: other splits, or other tables, have them in another order
VERSION = 2  # to be raised when the same files would be decoded to other pixels
CHUNK_BYTES = 64 * 2**20  # of decoded pictures in memory at a time

T = TypeVar("T")
Options = tuple[int, int, Fit]  # size, channels, fit


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
    """Pictures at ``places``, decoded whenever they are asked for."""

    def __init__(
        self, pictures: Pictures, places: NDArray[np.int64], digests: NDArray[np.uint64], options: Options
    ) -> None:
        size, channels, _ = options
        super().__init__((len(places), size, size, channels))
        self.pictures, self.places, self.digests, self.options = pictures, places, digests, options

    def part(self, which: slice) -> "StreamedPictures":
        return StreamedPictures(self.pictures, self.places[which], self.digests[which], self.options)

    def __getitem__(self, places: Any) -> NDArray[np.uint8]:
        chosen = self.places[places]
        if chosen.ndim:
            return np.stack([self._read(place) for place in chosen])
        return self._read(chosen)

    def _read(self, place: np.int64) -> NDArray[np.uint8]:
        try:
            return read_picture(self.pictures[int(place)], *self.options)
        except PictureError as error:
            name = self.pictures.names[int(place)]
            raise UserError(f"{name} could be read when the run started, and cannot now: {error}") from error


def decode(pictures: Pictures, form: Form, *, cache_dir: Path, limit: float, show: bool = False) -> Decoded:
    """All pictures in a form, on all cores the first time, from ``cache_dir`` from then on.

    Args:
        pictures: to be decoded.
        form: as of :func:`lnl.datasets.pictures.read_picture`; without a size, of :func:`common_size`.
        cache_dir: of the array.
        limit: in bytes; of a larger array nothing is kept: every picture is looked at once, and decoded when wanted.
        show: a progress bar, if there is a terminal.

    Raises:
        UserError: if the disk has no room for the array.
    """
    options = size, channels, fit = form.image_size or common_size(pictures), form.channels, form.fit
    key = hashlib.sha256(f"{VERSION} {size} {channels} {fit} {pictures.key()}".encode()).hexdigest()[:16]
    needed = len(pictures) * size * size * channels
    streamed = needed > limit
    stem = f"pictures-{pictures.prefix}-{size}-{channels}-{fit}-{'stream' if streamed else 'array'}-"
    array, record = cache_dir / f"{stem}{key}.npy", cache_dir / f"{stem}{key}.json"
    fresh = not record.exists() or not (streamed or array.exists())
    if fresh:
        cache_dir.mkdir(parents=True, exist_ok=True)
        if not make_room(cache_dir, stem, 0 if streamed else needed):
            raise UserError(
                f"the decoded pictures take {needed / 1e9:.1f} GB, which {cache_dir} has no room for: set "
                "paths.cache_dir, or data.cache_limit_gb=0 to decode them again in each epoch."
            )
        _decode_all(pictures, options, None if streamed else array, record, show)
    with suppress(OSError):
        os.utime(record, ns=(time.time_ns(),) * 2)  # was used
    with suppress(ValueError, KeyError, EOFError, FileNotFoundError):  # damaged or old, or another process made room
        found = json.loads(record.read_text())
        bad = {int(place): reason for place, reason in found["bad"].items()}
        if fresh or all(_fails_again(pictures, place, options) for place in found["passing"]):
            if streamed:
                good = np.setdiff1d(np.arange(len(pictures)), np.array(list(bad), dtype=np.int64))
                digests = np.array(found["digests"], dtype=np.uint64)
                return Decoded(StreamedPictures(pictures, good, digests, options), bad)
            if len(bad) == len(pictures):
                return Decoded(np.zeros((0, size, size, channels), np.uint8), bad)
            # Copied on write: nobody writes, but torch wants to be able to.
            return Decoded(np.asarray(np.load(array, mmap_mode="c")), bad)
    record.unlink(missing_ok=True)
    return decode(pictures, replace(form, image_size=size), cache_dir=cache_dir, limit=limit, show=show)


def _fails_again(pictures: Pictures, place: int, options: Options) -> bool:
    """Whether a picture cannot be read, still for a reason that may pass."""
    answer = _read(pictures, place, options)
    return isinstance(answer, PictureError) and answer.passing


def _read(pictures: Pictures, place: int, options: Options) -> NDArray[np.uint8] | PictureError:
    try:
        return read_picture(pictures[place], *options)
    except PictureError as error:
        return PictureError(str(error), error.passing)  # its cause would keep the file's content
    except OSError as error:  # of a row
        return PictureError(str(error), passing=True)


def _decode_all(pictures: Pictures, options: Options, array: Path | None, record: Path, show: bool) -> None:
    """Writes the array, if one is wanted, and then the record of what could not be read."""
    size, channels, _ = options
    bad: dict[int, PictureError] = {}
    digests: list[int] = []  # of pictures that are not kept: of the others, the array has the pixels
    with replacing(record) as unfinished:
        # Durable, or a record could outlive a crash, and its array be zeros.
        writing = nullcontext(unfinished) if array is None else replacing(array, durable=True)
        with writing as target, target.open("wb") as file:
            _write_header(file, len(pictures), size, channels)
            for number, pixels in enumerate(_each(pictures, options, show)):
                if isinstance(pixels, PictureError):
                    bad[number] = pixels
                elif array is None:
                    digests.append(digest(pixels))
                else:
                    file.write(pixels.tobytes())
            file.seek(0)
            _write_header(file, len(pictures) - len(bad), size, channels)
        reasons = {number: str(error) for number, error in bad.items()}
        passing = [number for number, error in bad.items() if error.passing]
        unfinished.write_text(json.dumps({"bad": reasons, "passing": passing, "digests": digests}))


def _write_header(file: Any, count: int, size: int, channels: int) -> None:
    """Of an .npy file; numpy gives it the same length for every count."""
    form = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, channels)}
    np.lib.format.write_array_header_1_0(file, form)


def _each(pictures: Pictures, options: Options, show: bool) -> Iterator[NDArray[np.uint8] | PictureError]:
    """Pixels, or the reason why there are none, of each picture in its order, with a progress bar."""
    size, channels, _ = options
    at_once = max(16, min(2048, CHUNK_BYTES // (size * size * channels)))
    with ThreadPoolExecutor() as pool:
        chunks = (range(start, min(start + at_once, len(pictures))) for start in range(0, len(pictures), at_once))
        every = (
            answer for chunk in chunks for answer in pool.map(lambda place: _read(pictures, place, options), chunk)
        )
        yield from shown(every, "decoding pictures", len(pictures), show)


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
