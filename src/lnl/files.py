"""Files in folders, and which are pictures; files that are whole or not there; what is said of writing that fails."""

import os
import socket
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lnl.errors import UserError, first_line

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2")  # in any case


def is_picture(name: str) -> bool:
    """Whether a file is called like a picture."""
    return name.lower().endswith(PICTURES)


def entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What is in a folder, by name, without what is hidden."""
    with os.scandir(folder) as found:
        return sorted((entry for entry in found if entry.name[0] != "."), key=lambda entry: entry.name)


def walk(folder: Path | str, depth: int | None = None, place: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files in a folder and in the folders inside it, by name, without what is hidden.

    Args:
        folder: to look in.
        depth: how many folders deep to look, and then also in folders that are links, which may lead in a circle.
            None for all the way down; such links, and folders that cannot be read, are then left out.
        place: what relative names begin with.

    Yields:
        Each file's name relative to the folder, with ``/``, and its entry.
    """
    try:
        inside = entries(folder)
    except OSError:
        if depth is not None:
            raise
        return
    for entry in inside:
        if not _is_folder(entry):
            yield place + entry.name, entry
        elif depth is None and not entry.is_symlink():
            yield from walk(entry.path, None, f"{place}{entry.name}/")
        elif depth:
            yield from walk(entry.path, depth - 1, f"{place}{entry.name}/")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """Where to write what is to be ``path``: it takes that place at the end, or, if the block fails, is removed.

    Args:
        path: in a folder that is there.
        durable: whether the file is whole even if the machine stops meanwhile.
    """
    # Of one process on one machine: others may write the same file, and see what was left by one that is gone.
    unfinished = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        yield unfinished
        if durable:
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        if error.filename in (unfinished, str(unfinished)):
            error.filename = str(path)  # the name that is known to whoever reads of it
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
    """Makes a UserError of what the system has against a file's being written: ``path``, if it does not name one."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be written: {error.strerror or error}.") from error


def read_arrays(path: Path, *needed: str) -> dict[str, Any]:
    """The arrays in an ``.npz``, read without executing anything that may be in it.

    Raises:
        UserError: if it cannot be read, or lacks one of those that are ``needed``.
    """
    import numpy as np  # takes longer than a finished run is found in

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in (*needed, *arrays.files)}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}") from error


def process_is_gone(pid: Any) -> bool:
    """Whether no process of this machine has this number."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, TypeError, ValueError):
        return False
    return False
