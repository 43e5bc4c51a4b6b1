"""Hashes of files and folders, for the identity of data: by content, not by place."""

import contextlib
import csv
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from lnl.files import PARQUET, is_picture, walk

WHOLE = 64 * 2**20  # bytes up to which arrays are hashed whole; of larger ones, parts
PARTS, PART = 256, 2**16


def fingerprints(data: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes of the existing files and folders that ``path``, ``labels`` and ``name`` of the data name.

    They are made of the names (which are the labels) and sizes of a folder's pictures, or of all files of another
    folder; of a table's content and the sizes of the files it names; of the content of arrays, at 256 places if they
    are large (an .npz ends with checksums). Hidden files do not count. A picture replaced by another of the same size
    goes unnoticed.
    """
    found = {}
    for key in ("path", "labels", "name"):
        if data.get(key) is None:
            continue
        path = Path(str(data[key])).expanduser()
        # Errors are reported when the data is loaded.
        with contextlib.suppress(OSError, csv.Error, LookupError, ValueError, ImportError, TypeError, AttributeError):
            if path.is_file():
                parts: Iterator[bytes] = chain(_content(path), _sizes(path, data))
            elif path.is_dir():
                parts = _names(path, pictures=key == "path")
            else:
                continue
            digest = hashlib.sha256()
            for part in parts:
                digest.update(part)
            found[key] = digest.hexdigest()
    return found | ({"root": None} if "root" in data else {})


def _names(folder: Path, pictures: bool) -> Iterator[bytes]:
    """Names and sizes of files; of ``pictures``, only those in a class: the output of runs may be in the folder too."""
    for place, entry in walk(folder, depth=2 if pictures else 4):
        if not pictures or ("/" in place and is_picture(place)):
            yield f"{place} {_size(entry.path)}\n".encode("utf-8", "surrogateescape")


def _size(path: str) -> int:
    """The size in bytes; -1 of anything but a regular file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def _content(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    yield f"{size}\n".encode()
    with path.open("rb") as file:
        if size <= WHOLE or path.suffix.lower() not in (".npz", ".npy"):
            yield from iter(lambda: file.read(2**24), b"")
            return
        for number in range(PARTS):
            file.seek(number * (size - PART) // (PARTS - 1))
            yield file.read(PART)


def _sizes(path: Path, data: Mapping[str, Any]) -> Iterator[bytes]:
    """The sizes of the files that a table names."""
    if data.get("columns") is not None:
        root = Path(str(data.get("root") or path.parent)).expanduser()
        for name in _named(path, data):
            yield f"{_size(os.path.join(root, name.strip()))}\n".encode()


def _named(path: Path, data: Mapping[str, Any]) -> Iterator[str]:
    if path.suffix.lower() in PARQUET:
        import pandas as pd  # slow to import: finding a finished run takes less time

        yield from pd.read_parquet(path, columns=[data["columns"]["file"]]).iloc[:, 0].astype(str)
        return
    with path.open(encoding=data.get("encoding") or "utf-8", errors="replace", newline="") as file:
        header = file.readline().lstrip("\ufeff")
        delimiter = max(",;\t", key=header.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        column = names.index(data["columns"]["file"]) if data["columns"]["file"] in names else 0
        for row in csv.reader(file, delimiter=delimiter):
            if column < len(row):
                yield row[column]
