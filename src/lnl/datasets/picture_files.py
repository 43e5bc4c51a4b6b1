"""Pictures that are to be read: files in a folder, or whatever else holds them."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnl.datasets.images import natural_size
from lnl.datasets.pictures import PictureError, picture_size

LOOKED_AT = 1000  # pictures, to learn what size they have


class Pictures(ABC):
    """Pictures that are to be read.

    Args:
        origin: where they are from. Of the arrays of pictures of the same origin :data:`lnl.datasets.cache.KEPT` stay.
        names: what to call each.
    """

    def __init__(self, origin: str, names: Sequence[str]) -> None:
        self.prefix = hashlib.sha256(origin.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def __getitem__(self, place: int) -> Path | bytes:
        """A file or its content, for :func:`lnl.datasets.pictures.read_picture`."""

    @abstractmethod
    def key(self) -> str:
        """Changes with any of the pictures."""

    @abstractmethod
    def digest(self, place: int) -> str:
        """The same for pictures of the same content; empty where it is certain that there is no other."""


class Files(Pictures):
    """Picture files ``names`` in the folder ``root``."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        super().__init__(str(root.absolute()), names)
        self.root = root

    def __getitem__(self, place: int) -> Path:
        return self.root / self.names[place]

    @cached_property
    def states(self) -> NDArray[np.int64]:
        """``[n, 3]``, size and times of change of each file's content and of its inode (its name, who may read it).

        -1, 0 and 0 of one that is not there: reading it says so.
        """
        found = []
        for name in self.names:
            try:
                status = os.stat(os.path.join(self.root, name))  # a Path would take most of the time
                found.append((status.st_size, status.st_mtime_ns, status.st_ctime_ns))
            except (OSError, ValueError):
                found.append((-1, 0, 0))
        return np.array(found)

    @cached_property
    def sizes_of_several(self) -> set[int]:
        sizes, counts = np.unique(self.states[:, 0], return_counts=True)
        return set(sizes[counts > 1].tolist()) - {-1, 0}

    def key(self) -> str:
        names = "\0".join(self.names).encode("utf-8", "surrogateescape")
        return hashlib.sha256(names + self.states.tobytes()).hexdigest()

    def digest(self, place: int) -> str:
        if self.states[place, 0] not in self.sizes_of_several:
            return ""
        return hashlib.sha256(self[place].read_bytes()).hexdigest()


def common_size(pictures: Pictures) -> int:
    """What :func:`natural_size` says of pictures that are all alike; else 64. A thousand of them are looked at."""
    sizes = set()
    for place in np.unique(np.linspace(0, len(pictures) - 1, min(LOOKED_AT, len(pictures))).astype(int)).tolist():
        try:
            sizes.add(picture_size(pictures[place]))
        except PictureError:
            continue
        if len(sizes) > 1:
            break
    width, height = sizes.pop() if len(sizes) == 1 else (0, 1)
    return natural_size((len(pictures), height, width))
