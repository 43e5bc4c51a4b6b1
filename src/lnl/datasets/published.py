"""Sets of pictures in the folders and lists of their owners, who do not let everybody download them."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from lnl.datasets.decoded import decode
from lnl.datasets.images import Form, Images
from lnl.datasets.pictures import Files, common_size
from lnl.datasets.source import Dataset, Source
from lnl.errors import UserError, many
from lnl.files import entries, is_picture
from lnl.labels import Integers, Labels, Trusted


@dataclass(frozen=True)
class Listed:
    """The pictures of a set, by file below its root.

    Attributes:
        classes: K names, in label order.
        train, test: the label of each file, in ``[0, K)``.
        clean_val: files of ``train`` to validate on, whose labels are known to be right; empty to hold out others.
        trusted: files of ``train`` to train on, whose labels are known to be right.
    """

    classes: Sequence[str]
    train: Mapping[str, int]
    test: Mapping[str, int]
    clean_val: Collection[str] = ()
    trusted: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class PublishedSet(Source):
    """A published set of pictures, which is in ``data_dir`` because the user has put it there.

    A subclass says where it is from and implements :meth:`listed`. Lists and files must be complete.

    Args:
        data_dir: contains ``folder``.
        cache_dir: folder of decoded pictures.
        cache_limit_gb: decoded pictures that take more are read from their files in each epoch.

    Attributes:
        folder: the root of the set in ``data_dir``, by the name that it is unpacked with.
        home: the page of its owners.
        counts: the number of entries in each list.
        noisy: whether training labels may be wrong, so that they are used as they are given.
    """

    folder: ClassVar[str]
    home: ClassVar[str]
    counts: ClassVar[Mapping[str, int]]
    noisy: ClassVar[bool] = True
    benchmark = True

    data_dir: str | Path = "data"
    cache_dir: str | Path = "cache"
    cache_limit_gb: float = 8.0

    @property
    def root(self) -> Path:
        return Path(self.data_dir).expanduser() / self.folder

    @abstractmethod
    def listed(self) -> Listed:
        """The pictures, from the owners' lists."""

    def read(self, form: Form, progress: bool = False) -> Dataset:
        found = self.listed()
        train, test = (self._files(part, found.classes) for part in (found.train, found.test))
        form = replace(form, image_size=form.image_size or common_size(train))
        images, test_images = (self._decoded(files, form, progress) for files in (train, test))
        given, test_labels = (np.fromiter(part.values(), np.int64) for part in (found.train, found.test))
        labels = (Labels.doubtful if self.noisy else Labels.true)(given, found.classes)
        trusted, val = (_places(train.names, chosen) for chosen in (found.trusted, found.clean_val))
        return Dataset(
            images,
            replace(labels, names=train.names, trusted=Trusted(trusted, given[trusted])),
            test_images,
            test_labels,
            test_names=test.names,
            originals=train,
            val=val if len(val) else None,
            clean_val=len(val) > 0,
        )

    def lines(self, name: str) -> list[str]:
        """The lines of a list, without empty ones; UserError if it cannot be read."""
        try:
            text = (self.root / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self.incomplete(f"{self.root / name} cannot be read: {reason(error)}") from error
        return [line for line in text.split("\n") if line.strip()]

    def rows(self, name: str, separator: str | None = None) -> list[list[str]]:
        """The fields of each line of a list, two or more; UserError for a line that has fewer."""
        found = [line.strip().split(separator) for line in self.lines(name)]
        if short := next((row for row in found if len(row) < 2), None):
            raise self.incomplete(f"{self.root / name} has a line with a single field: '{short[0][:80]}'")
        return found

    def labelled(self, name: str, below: int, folder: str = "") -> dict[str, int]:
        """The label of each file of a list ``file label``, if it is less than ``below``; files are in ``folder``."""
        found = {}
        for line in self.lines(name):  # one by one: a list may have millions
            file, _, label = line.strip().rpartition(" ")
            if not file or not label.isdecimal():
                raise self.incomplete(f"{self.root / name} has a line without file and label: '{line[:80]}'")
            if int(label) < below:
                found[folder + file] = int(label)
        return found

    def numbered(self, name: str, keys: Iterable[str], labels: Mapping[str, int]) -> list[int]:
        """The label of each key of a list; UserError names a key that has none."""
        try:
            return [labels[key] for key in keys]
        except KeyError as error:
            raise self.incomplete(f"{self.root / name} has {error}, which no other list knows") from error

    def pictures(self, folder: str) -> list[str]:
        """The pictures in a folder, below the root; UserError if it cannot be read."""
        try:
            return [f"{folder}/{entry.name}" for entry in entries(self.root / folder) if is_picture(entry.name)]
        except OSError as error:
            raise self.incomplete(f"{self.root / folder} cannot be read: {reason(error)}") from error

    def check_count(self, key: str, found: Collection[object], name: str, what: str = "entries") -> None:
        """UserError unless there are as many as :attr:`counts` says in the list or folder ``name``."""
        if len(found) != self.counts[key]:
            raise self.incomplete(f"{self.root / name} has {len(found):,} {what}, not {self.counts[key]:,}")

    def incomplete(self, cause: str) -> UserError:
        """The error for a set that is not there, or not whole, with the place to get it from."""
        place = f"{Path(self.data_dir).expanduser()} as {self.folder}"
        other = "LNL_DATA_DIR or paths.data_dir=... chooses another place."
        return UserError(f"{cause}.\nThe set is from {self.home} and belongs in {place}; {other}")

    def _files(self, part: Mapping[str, int], classes: Sequence[str]) -> Files:
        """The files of a part, all of them there, with labels of ``classes``."""
        for name, label in part.items():
            if label >= len(classes):
                raise self.incomplete(f"the label {label} of {name} is not in 0..{len(classes) - 1}")
            if name.startswith("/") or ".." in name.split("/"):
                raise UserError(f"a list names {name}, which is outside {self.root}: it is not that of the set.")
        files = Files(self.root, list(part))
        if len(missing := np.flatnonzero(files.states[:, 0] < 0)):
            first = self.root / files.names[missing[0]]
            raise self.incomplete(f"{len(missing):,} of {len(files):,} pictures are missing, first {first}")
        return files

    def _decoded(self, files: Files, form: Form, progress: bool) -> Images:
        cache_dir, limit = Path(self.cache_dir).expanduser(), self.cache_limit_gb * 1e9
        decoded = decode(files, form, cache_dir=cache_dir, limit=limit, show=progress)
        for place, cause in decoded.bad.items():
            count = many(len(decoded.bad), "picture", "pictures")
            raise self.incomplete(f"{count} cannot be read, first {self.root / files.names[place]}: {cause}")
        return decoded.images


def reason(error: OSError | UnicodeDecodeError) -> str:
    """Why a list or folder cannot be read."""
    return str((isinstance(error, OSError) and error.strerror) or error)


def first_names(descriptions: Sequence[str]) -> list[str]:
    """Class names from WordNet's lists of synonyms, separated by commas: the first one, or all if two are equal."""
    names = [description.partition(",")[0].strip() for description in descriptions]
    return [name if names.count(name) == 1 else whole for name, whole in zip(names, descriptions, strict=True)]


def _places(names: Sequence[str], chosen: Collection[str]) -> Integers:
    """Sorted places of the ``chosen`` ones among names."""
    chosen = frozenset(chosen)
    return np.array([place for place, name in enumerate(names) if name in chosen], dtype=np.int64)
