"""Which files are pictures; files that are whole or not there; what is said of one that cannot be written."""

import os
import socket
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lnl.errors import UserError, first_line

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2")  # in any case


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
