"""Walking folders, writing files atomically, and errors that name the file."""

import os
import socket
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lnl.errors import UserError, first_line

HEIF = (".heic", ".heif", ".hif")
READS_HEIF = find_spec("pillow_heif") is not None  # the plugin of Pillow's that decodes it
# Ends of the names of pictures, in any case.
OTHERS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif")
PICTURES = (*OTHERS, *HEIF) if READS_HEIF else OTHERS

PARQUET = (".parquet", ".pq")
TABLES = (".csv", ".tsv", *PARQUET)

# Formats that are not read: the ends of their names, and what to do.
UNREAD = {
    "HEIC": (
        () if READS_HEIF else HEIF,
        "which needs pillow-heif (pip install pillow-heif) or conversion to JPEG (magick mogrify -format jpg *.heic)",
    ),
    "RAW": ((".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"), "which is not read: export JPEGs"),
    "JPEG XL": ((".jxl",), "which is not read: export JPEGs"),
    "SVG": ((".svg",), "which is not read: export PNGs"),
    "Photoshop": ((".psd",), "which is not read: export PNGs"),
    "DICOM": ((".dcm",), "which is not read: export PNGs"),
    "video": (
        (".mov", ".mp4", ".avi", ".m4v"),
        "which is not read: ffmpeg -i FILE -r 1 %04d.jpg makes pictures",
    ),
}


def is_picture(name: str) -> bool:
    """Whether a file has the name of a picture that can be read."""
    return name.lower().endswith(PICTURES)


def unread_format(name: str) -> str:
    """The name in UNREAD of a file's format; empty of other files."""
    return next((kind for kind, (ends, _) in UNREAD.items() if name.lower().endswith(ends or "/")), "")


def about_unread(counts: Mapping[str, int]) -> str:
    """What to do with files in formats that are not read, counted by their names in UNREAD."""
    files = ((kind, f"{count:,} file{' is' if count == 1 else 's are'}") for kind, count in counts.items())
    return "; ".join(f"{many} {kind}, {UNREAD[kind][1]}" for kind, many in files)


def entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted by name, without hidden entries."""
    with os.scandir(folder) as found:
        return sorted((entry for entry in found if entry.name[0] != "."), key=lambda entry: entry.name)


def walk(folder: Path | str, depth: int | None = None, place: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files below a folder, sorted, without hidden ones: names relative to it after ``place``, and entries.

    ``depth`` is the number of levels of folders to enter, links to folders included. None enters all levels, but no
    links, which may lead in a circle, and no unreadable folders.
    """
    try:
        inside = entries(folder)
    except OSError:
        if depth is not None:
            raise
        return
    for entry in inside:
        # A link in a circle is no folder.
        if not (os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()):
            yield place + entry.name, entry
        elif depth is None and not entry.is_symlink():
            yield from walk(entry.path, None, f"{place}{entry.name}/")
        elif depth:
            yield from walk(entry.path, depth - 1, f"{place}{entry.name}/")


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """A temporary file that replaces ``path`` when the block ends; if the block fails, it is removed.

    If ``durable``, the file survives a crash of the machine whole.
    """
    # Named by machine and process: others may write the same file, and remove what a killed process left.
    unfinished = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        yield unfinished
        if durable:
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        if error.filename in (unfinished, str(unfinished)):
            error.filename = str(path)  # the name that the user knows
        raise
    finally:
        with suppress(OSError):  # nothing is there, or not even its folder
            unfinished.unlink()


def write_atomically(path: Path, text: str, durable: bool = True) -> None:
    """Writes a text file by :func:`replacing`."""
    with replacing(path, durable) as unfinished:
        unfinished.write_text(text)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an OSError into a UserError that names the file which cannot be written, by default ``path``."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be written: {error.strerror or error}.") from error


def read_arrays(path: Path, *needed: str) -> dict[str, Any]:
    """The arrays of an ``.npz``; nothing in it is executed. UserError if it cannot be read or lacks ``needed`` ones."""
    import numpy as np  # slow to import: finding a finished run takes less time

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in (*needed, *arrays.files)}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}") from error


def process_is_gone(pid: Any) -> bool:
    """Whether no process of this machine has this id."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, TypeError, ValueError):
        return False
    return False
