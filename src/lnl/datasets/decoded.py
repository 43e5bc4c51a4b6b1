"""Decodes many pictures once, into one array on the disk, or streams them if the array would be too large."""

import hashlib
import json
import os
import shutil
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lnl.datasets.images import Fit, Form, Images, Interpolation, Streamed
from lnl.datasets.pictures import PictureError, Pictures, check_picture, common_size, read_picture
from lnl.datasets.threads import on_all_cores
from lnl.errors import UserError
from lnl.files import process_is_gone, replacing
from lnl.progress import tracked

KEPT = 4  # arrays of pictures of one origin: other splits and tables order them differently
VERSION = 2  # raise it when the same files are decoded to other pixels
CHUNK_BYTES = 64 * 2**20  # of decoded pictures in memory at a time

Options = tuple[int, int, Fit, Interpolation]  # size, channels, fit, interpolation
T = TypeVar("T")


class Decoded(NamedTuple):
    """The readable ones among some pictures, uint8 ``[n, S, S, C]``, and why others are ``bad``, by place among all."""

    images: Images
    bad: dict[int, str]


def decode(pictures: Pictures, form: Form, *, cache_dir: Path, limit: float, show: bool = False) -> Decoded:
    """All pictures in a form: decoded on all cores the first time, then read from ``cache_dir``.

    The default size is :func:`common_size`. An array of more than ``limit`` bytes is not kept: pictures are looked at
    once to find the bad ones, and decoded on every access. Raises UserError if the disk has no room for the array.
    """
    size, channels, fit = form.image_size or common_size(pictures), form.channels, form.fit
    options = size, channels, fit, form.interpolation
    key = hashlib.sha256(f"{VERSION} {size} {channels} {fit} {pictures.key()}{_other(form)}".encode()).hexdigest()[:16]
    needed = len(pictures) * size * size * channels
    streamed = needed > limit
    stem = f"pictures-{pictures.prefix}-{size}-{channels}-{fit}-{'stream' if streamed else 'array'}-"
    array, record = cache_dir / f"{stem}{key}.npy", cache_dir / f"{stem}{key}.json"
    fresh = not (record.exists() and array.exists())
    if fresh:
        cache_dir.mkdir(parents=True, exist_ok=True)
        if not make_room(cache_dir, stem, 0 if streamed else needed):
            raise UserError(
                f"the decoded pictures take {needed / 1e9:.1f} GB, which {cache_dir} has no room for: set "
                "paths.cache_dir, or data.cache_limit_gb=0 to decode them again in each epoch."
            )
        write = _look_at_all if streamed else _decode_all
        write(pictures, options, array, record, show)
    with suppress(OSError):
        os.utime(record, ns=(time.time_ns(),) * 2)  # marks it as used
    with suppress(ValueError, KeyError, EOFError, FileNotFoundError):  # damaged, or removed by another process
        found = json.loads(record.read_text())
        bad = {int(place): reason for place, reason in found["bad"].items()}
        again = (None if fresh else _read(pictures, place, options) for place in found["passing"])
        if all(answer is None or (isinstance(answer, PictureError) and answer.passing) for answer in again):
            if len(bad) == len(pictures):
                return Decoded(np.zeros((0, size, size, channels), np.uint8), bad)
            if streamed:
                good = np.setdiff1d(np.arange(len(pictures)), np.array(list(bad), dtype=np.int64))
                # Changes go to the file, for the other processes of the run and for later runs.
                digests = np.asarray(np.load(array, mmap_mode="r+" if os.access(array, os.W_OK) else "c"))
                read = partial(_read_again, pictures, options)
                return Decoded(Streamed(read, good, digests, (size, size, channels)), bad)
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
    return _trying(lambda: read_picture(pictures[place], *options))


def _trying(read: Callable[[], T]) -> T | PictureError:
    """What ``read`` returns, or why it cannot."""
    try:
        return read()
    except PictureError as error:
        return PictureError(str(error), error.passing)  # its cause would keep the file's content
    except OSError as error:  # of a row of a Hugging Face dataset
        return PictureError(str(error), passing=True)


def _decode_all(pictures: Pictures, options: Options, array: Path, record: Path, show: bool) -> None:
    """Writes the array, and then the record of the bad pictures."""
    size, channels, *_ = options
    bad: dict[int, PictureError] = {}

    def header(count: int) -> dict[str, Any]:  # numpy gives it the same length for every count
        return {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, channels)}

    at_once = max(16, min(2048, CHUNK_BYTES // (size * size * channels)))
    every = on_all_cores(lambda place: _read(pictures, place, options), range(len(pictures)), at_once)
    # Durable, or a record could outlive a crash that leaves its array full of zeros.
    with replacing(array, durable=True) as unfinished, unfinished.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header(len(pictures)))
        for number, pixels in enumerate(tracked(every, "decoding pictures", len(pictures), show)):
            if isinstance(pixels, PictureError):
                bad[number] = pixels
            else:
                file.write(pixels.tobytes())
        file.seek(0)
        np.lib.format.write_array_header_1_0(file, header(len(pictures) - len(bad)))
    _write_record(record, bad)


def _look_at_all(pictures: Pictures, options: Options, array: Path, record: Path, show: bool) -> None:
    """Writes digests that are not known yet, and then the record of the bad pictures."""
    size, _, fit, _ = options
    every = on_all_cores(lambda place: _trying(lambda: check_picture(pictures[place], size, fit)), range(len(pictures)))
    looked = enumerate(tracked(every, "looking at pictures", len(pictures), show))
    bad = {number: answer for number, answer in looked if isinstance(answer, PictureError)}
    with replacing(array) as unfinished, unfinished.open("wb") as file:
        np.save(file, np.zeros(len(pictures) - len(bad), np.uint64))
    _write_record(record, bad)


def _write_record(record: Path, bad: Mapping[int, PictureError]) -> None:
    reasons = {number: str(error) for number, error in bad.items()}
    passing = [number for number, error in bad.items() if error.passing]
    with replacing(record) as unfinished:
        unfinished.write_text(json.dumps({"bad": reasons, "passing": passing}))


def make_room(cache_dir: Path, stem: str, needed: int, most: int = KEPT) -> bool:
    """Leaves fewer than ``most`` arrays ``stem*``, the last used; whether there is room for one of ``needed`` bytes."""
    for left in cache_dir.glob(f".pictures-*.{socket.gethostname()}-*.tmp"):
        if process_is_gone(left.stem.rpartition("-")[2]):
            left.unlink(missing_ok=True)
    used: dict[str, float] = defaultdict(float)
    for path in (*cache_dir.glob(f"{stem}*.npy"), *cache_dir.glob(f"{stem}*.json")):
        with suppress(FileNotFoundError):  # another process may have removed it
            used[path.stem] = max(used[path.stem], path.stat().st_mtime)
    kept = sorted(used, key=used.__getitem__)
    while kept and (len(kept) >= most or needed > shutil.disk_usage(cache_dir).free):
        oldest = cache_dir / kept.pop(0)
        for suffix in (".json", ".npy"):
            oldest.with_suffix(suffix).unlink(missing_ok=True)
    return needed <= shutil.disk_usage(cache_dir).free
