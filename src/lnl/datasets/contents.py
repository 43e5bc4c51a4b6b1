"""What stands for files and folders in the identity of data: what is in them, wherever they lie."""

import contextlib
import csv
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from lnl.files import is_picture, walk

WHOLE = 64 * 2**20  # bytes of a file that is hashed whole; of a larger one, parts
PARTS, PART = 256, 2**16


def fingerprints(data: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes in place of the names of files and folders that exist, among ``path``, ``labels``, ``root``, ``name``.

    Of a folder of pictures, their names and sizes: the names are the labels. Of another folder, all files'. Of a table,
    its content, and the sizes of the files that it names. Of arrays their content, if they are large in 256 places (an
    .npz has checksums at its end). What is hidden does not count. Replacing a picture by another of the same size goes
    unnoticed.
    """
    found = {}
    for key in ("path", "labels", "name"):
        if data.get(key) is None:
            continue
        path = Path(str(data[key])).expanduser()
        # What is wrong with it, the data says when it is loaded.
        with contextlib.suppress(OSError, csv.Error, LookupError, ValueError, ImportError, TypeError, AttributeError):
            if path.is_dir():
                found[key] = _hash(_pictures(path) if key == "path" else _places(walk(path, depth=4)))
            elif path.is_file():
                found[key] = _hash(chain(_content(path), _sizes(path, data)))
    return found | ({"root": None} if "root" in data else {})


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _pictures(folder: Path) -> Iterator[bytes]:
    """Those that have a class: a run's own output may lie in the same folder."""
    return _places((place, entry) for place, entry in walk(folder, depth=2) if "/" in place and is_picture(place))


def _places(files: Iterable[tuple[str, os.DirEntry[str]]]) -> Iterator[bytes]:
    """Names and sizes."""
    for place, entry in files:
        yield f"{place} {_size(entry.path)}\n".encode("utf-8", "surrogateescape")


def _size(path: str) -> int:
    """Of an ordinary file; of what is none, -1."""
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
    """Of the files that a table names; of what is no table, none."""
    if data.get("columns") is None:
        return
    root = Path(str(data.get("root") or path.parent)).expanduser()
    for name in _named(path, data):
        yield f"{_size(os.path.join(root, name.strip()))}\n".encode()


def _named(path: Path, data: Mapping[str, Any]) -> Iterator[str]:
    if path.suffix.lower() in (".parquet", ".pq"):
        import pandas as pd  # takes longer than a finished run is found in

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
