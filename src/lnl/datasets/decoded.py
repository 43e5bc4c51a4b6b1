"""Decodes many pictures once, into one array on the disk, or streams them if the array would be too large."""

import hashlib
import json
import os
import shutil
import socket
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lnl.datasets.images import Fit, Form, Images, Interpolation, Streamed, digest
from lnl.datasets.pictures import PictureError, Pictures, common_size, read_picture
from lnl.errors import UserError
from lnl.files import process_is_gone, replacing
from lnl.progress import tracked

KEPT = 4  # arrays of pictures of one origin: other splits and tables order them differently
VERSION = 2  # raise it when the same files are decoded to other pixels
CHUNK_BYTES = 64 * 2**20  # of decoded pictures in memory at a time

Options = tuple[int, int, Fit, Interpolation]  # size, channels, fit, interpolation


class Decoded(NamedTuple):
    """The readable ones among some pictures, uint8 ``[n, S, S, C]``, and why others are ``bad``, by place among all."""

    images: Images
    bad: dict[int, str]


def decode(pictures: Pictures, form: Form, *, cache_dir: Path, limit: float, show: bool = False) -> Decoded:
    """All pictures in a form: decoded on all cores the first time, then read from ``cache_dir``.

    The default size is :func:`common_size`. An array of more than ``limit`` bytes is not kept: pictures are decoded
    once to find the bad ones, and again on every access. Raises UserError if the disk has no room for the array.
    """
    size, channels, fit = form.image_size or common_size(pictures), form.channels, form.fit
    options = size, channels, fit, form.interpolation
    key = hashlib.sha256(f"{VERSION} {size} {channels} {fit} {pictures.key()}{_other(form)}".encode()).hexdigest()[:16]
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
        os.utime(record, ns=(time.time_ns(),) * 2)  # marks it as used
    with suppress(ValueError, KeyError, EOFError, FileNotFoundError):  # damaged, or removed by another process
        found = json.loads(record.read_text())
        bad = {int(place): reason for place, reason in found["bad"].items()}
        again = (None if fresh else _read(pictures, place, options) for place in found["passing"])
        if all(answer is None or (isinstance(answer, PictureError) and answer.passing) for answer in again):
            if streamed:
                good = np.setdiff1d(np.arange(len(pictures)), np.array(list(bad), dtype=np.int64))
                digests = np.array(found["digests"], dtype=np.uint64)
                read = partial(_read_again, pictures, options)
                return Decoded(Streamed(read, good, digests, (size, size, channels)), bad)
            if len(bad) == len(pictures):
                return Decoded(np.zeros((0, size, size, channels), np.uint8), bad)
            # Copy-on-write: torch wants writable memory, though nothing writes to it.
            return Decoded(np.asarray(np.load(array, mmap_mode="c")), bad)
    record.unlink(missing_ok=True)
    return decode(pictures, replace(form, image_size=size), cache_dir=cache_dir, limit=limit, show=show)


def _other(form: Form) -> str:
    """What tells a form apart that options newer than VERSION say."""
    return "" if form.interpolation == "bilinear" else f" {form.interpolation}"


def _read_again(pictures: Pictures, options: Options, place: int) -> NDArray[np.uint8]:
    pixels = _read(pictures, place, options)
    if isinstance(pixels, PictureError):
        raise UserError(f"{pictures.names[place]} could be read when the run started, and cannot now: {pixels}")
    return pixels


def _read(pictures: Pictures, place: int, options: Options) -> NDArray[np.uint8] | PictureError:
    try:
        return read_picture(pictures[place], *options)
    except PictureError as error:
        return PictureError(str(error), error.passing)  # its cause would keep the file's content
    except OSError as error:  # of a row of a Hugging Face dataset
        return PictureError(str(error), passing=True)


def _decode_all(pictures: Pictures, options: Options, array: Path | None, record: Path, show: bool) -> None:
    """Writes the array, unless pictures are streamed, and then the record of the bad ones."""
    size, channels, *_ = options
    bad: dict[int, PictureError] = {}
    digests: list[int] = []  # of streamed pictures only: the array has the pixels of others

    def header(count: int) -> dict[str, Any]:  # numpy gives it the same length for every count
        return {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, channels)}

    with replacing(record) as unfinished:
        # Durable, or a record could outlive a crash that leaves its array full of zeros.
        writing = nullcontext(unfinished) if array is None else replacing(array, durable=True)
        with writing as target, target.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header(len(pictures)))
            for number, pixels in enumerate(_each(pictures, options, show)):
                if isinstance(pixels, PictureError):
                    bad[number] = pixels
                elif array is None:
                    digests.append(digest(pixels))
                else:
                    file.write(pixels.tobytes())
            file.seek(0)
            np.lib.format.write_array_header_1_0(file, header(len(pictures) - len(bad)))
        reasons = {number: str(error) for number, error in bad.items()}
        passing = [number for number, error in bad.items() if error.passing]
        unfinished.write_text(json.dumps({"bad": reasons, "passing": passing, "digests": digests}))


def _each(pictures: Pictures, options: Options, show: bool) -> Iterator[NDArray[np.uint8] | PictureError]:
    """The pixels of each picture in order, or the reason why it cannot be read."""
    size, channels, *_ = options
    places, at_once = range(len(pictures)), max(16, min(2048, CHUNK_BYTES // (size * size * channels)))
    with ThreadPoolExecutor() as pool:
        chunks = (places[start : start + at_once] for start in places[::at_once])
        every = (
            answer for chunk in chunks for answer in pool.map(lambda place: _read(pictures, place, options), chunk)
        )
        yield from tracked(every, "decoding pictures", len(pictures), show)


def make_room(cache_dir: Path, stem: str, needed: int) -> bool:
    """Removes the least recently used arrays ``stem*``; whether there is then room for one of ``needed`` bytes."""
    for left in cache_dir.glob(f".pictures-*.{socket.gethostname()}-*.tmp"):
        if process_is_gone(left.stem.rpartition("-")[2]):
            left.unlink(missing_ok=True)
    used: dict[str, float] = defaultdict(float)
    for path in (*cache_dir.glob(f"{stem}*.npy"), *cache_dir.glob(f"{stem}*.json")):
        with suppress(FileNotFoundError):  # another process may have removed it
            used[path.stem] = max(used[path.stem], path.stat().st_mtime)
    kept = sorted(used, key=used.__getitem__)
    while kept and (len(kept) >= KEPT or needed > shutil.disk_usage(cache_dir).free):
        oldest = cache_dir / kept.pop(0)
        for suffix in (".json", ".npy"):
            oldest.with_suffix(suffix).unlink(missing_ok=True)
    return needed <= shutil.disk_usage(cache_dir).free
