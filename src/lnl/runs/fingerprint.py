"""What stands for a user's own data in a run's identity: what is in it, wherever it lies."""

import contextlib
import csv
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

WHOLE = 64 * 2**20  # bytes of a file that is hashed whole; of a larger one, parts
PARTS, PART = 256, 2**16


def fingerprints(data: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes in place of the names of files and folders that exist, among ``path``, ``labels``, ``root``, ``name``.

    Of a folder, the names and sizes of the files in it: they are the labels. Of a table, its content, and the sizes of
    the files that it names. Of arrays their content, if they are large in 256 places (an .npz has checksums at its
    end). A picture that another of the same size takes the place of is not noticed.
    """
    found = {}
    for key in ("path", "labels", "name"):
        if data.get(key) is None:
            continue
        path = Path(str(data[key])).expanduser()
        # What is wrong with it, the data says when it is loaded.
        with contextlib.suppress(OSError, csv.Error, LookupError):
            if path.is_dir():
                found[key] = _hash(_listing(path))
            elif path.is_file():
                found[key] = _hash(chain(_content(path), _sizes(path, data)))
    return found | ({"root": None} if "root" in data else {})


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _listing(folder: Path) -> Iterator[bytes]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        relative = os.path.relpath(parent, folder)
        linked = [name for name in folders if os.path.islink(os.path.join(parent, name))]  # a class may lie elsewhere
        for name in sorted([*files, *linked]):
            yield f"{relative}/{name} {_size(os.path.join(parent, name))}\n".encode("utf-8", "surrogateescape")
        for name in linked:
            yield _hash(_linked(Path(parent, name))).encode()


def _linked(folder: Path) -> Iterator[bytes]:
    """The files in a folder that is a link; not what is in folders in it, which may lead in a circle."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        yield f"{entry.name} {_size(entry.path)}\n".encode("utf-8", "surrogateescape")


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
        if size <= WHOLE:
            yield file.read()
            return
        for number in range(PARTS):
            file.seek(number * (size - PART) // (PARTS - 1))
            yield file.read(PART)


def _sizes(path: Path, data: Mapping[str, Any]) -> Iterator[bytes]:
    """Of the files that a CSV names; of Parquet, and of what is no table, none."""
    if "columns" not in data or path.suffix.lower() in (".parquet", ".pq"):
        return
    root = data.get("root") or path.parent
    with path.open(encoding=data.get("encoding") or "utf-8", errors="replace", newline="") as file:
        header = file.readline().lstrip("\ufeff")
        delimiter = max(",;\t", key=header.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        column = names.index(data["columns"]["file"]) if data["columns"]["file"] in names else 0
        for row in csv.reader(file, delimiter=delimiter):
            if column < len(row):
                yield f"{_size(os.path.join(Path(root).expanduser(), row[column].strip()))}\n".encode()
