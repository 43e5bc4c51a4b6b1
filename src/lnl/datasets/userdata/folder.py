"""Pictures in a folder for each class."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from lnl.datasets.pictures import Files
from lnl.datasets.userdata.layout import nested_classes, no_classes
from lnl.datasets.userdata.listing import SPLIT_OF, Listing
from lnl.datasets.userdata.remarks import details, some
from lnl.datasets.userdata.source import UserSource
from lnl.errors import UserError, many, nearest, typed_list
from lnl.files import TABLES, about_unread, entries, is_picture, unread_format, walk

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")


@dataclass(frozen=True, kw_only=True)
class Folder(UserSource):
    """Pictures ``path/<class>/*`` or ``path/{train,val,test}/<class>/*``: a folder's name is the class.

    Folders with the names of splits are splits if one of them contains folders. Otherwise they are classes, which
    ``classes`` must confirm if they stand for several splits.
    """

    path: str | Path

    @property
    def folder(self) -> Path:
        return Path(str(self.path)).expanduser()

    def listing(self) -> Listing:
        path, top = self.folder, _names(self.folder)
        splits = self._splits(top)
        places = [(name, split, sub) for name, split in splits.items() for sub in _names(path / name)]
        places += [(".", "", name) for name in top if name not in splits]
        rows: list[tuple[str, str, str]] = []
        empty: list[str] = []
        # Loose pictures by folder, those deeper inside by class folder, and other entries of class folders by kind.
        loose, deeper, others = Counter[str](), Counter[str](), Counter[str]()
        unread: dict[str, Counter[str]] = defaultdict(Counter)  # formats that are not read, by class folder
        for parent, split, name in places:
            relative = Path(parent, name).as_posix()
            if not os.path.isdir(path / relative):
                loose[parent] += is_picture(name)
                continue
            before = len(rows)
            for entry in _entries(path / relative):
                if is_picture(entry.name):
                    rows.append((f"{relative}/{entry.name}", name, split))
                if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                    count = sum(is_picture(name) for name, _ in walk(entry.path))
                    deeper[relative] += count
                    others["folders"] += not count
                elif is_picture(entry.name):
                    continue
                elif kind := unread_format(entry.name):
                    unread[relative][kind] += 1
                else:
                    others[Path(entry.name).suffix or "no suffix"] += 1
            if len(rows) == before:
                empty.append(relative)
        loose, deeper, others = +loose, +deeper, +others  # without zeros
        if not rows:
            raise UserError(no_classes(path))
        self._check_lost(empty, deeper, unread)
        if splits and not self.only_test and not any(split == "train" for _, _, split in rows):
            train = path / next(name for name, split in splits.items() if split == "train")
            raise UserError(f"{train} has no class folders with pictures: lnl expects {train}/<class>/*.jpg")
        table = pd.DataFrame(rows, columns=["name", "label", "split"], dtype=object)
        remarks = self._left_out(empty, loose, deeper, others)
        if left := sum(unread.values(), Counter[str]()):
            remarks.append(f"left out of class folders: {about_unread(left)}")
        table = table if splits else table.drop(columns="split")
        return Listing(table, partial(Files, path), remarks=remarks, named=True)

    def _check_lost(self, empty: list[str], deeper: Mapping[str, int], unread: Mapping[str, Counter[str]]) -> None:
        """Raises UserError if all pictures of a class are in folders inside its folder, or in formats not read here."""
        if nested := next((self.folder / name for name in empty if deeper[name]), None):
            held = Counter(place.rpartition("/")[0] for place, _ in walk(nested) if is_picture(place))
            inside = {f"{nested.name}/{place}": count for place, count in held.items()}
            reading = nested_classes(nested.parent, inside).partition("\n")[2]
            raise UserError(
                f"{nested} has no picture itself, but {held.total():,} in folders inside it: move them up, or name "
                f"them in a table (data=table).{reading and chr(10)}{reading}"
            )
        if self.on_error == "fail" and (name := next((name for name in empty if unread[name]), None)):
            raise UserError(
                f"no picture of the class in {self.folder / name} can be read: {about_unread(unread[name])}.\n"
                "data.on_error=skip leaves out such classes."
            )

    def _splits(self, top: list[str]) -> dict[str, str]:
        """The split of each folder, if folders are splits."""
        folders = [name for name in top if os.path.isdir(self.folder / name)]
        splits = {name: SPLIT_OF[name.lower()] for name in folders if name.lower() in SPLIT_OF}
        if not any(_has_folders(self.folder / name) for name in splits):
            if self.classes is None:
                self._check_no_splits(folders, splits)
            return {}
        if "train" not in splits.values() and not self.only_test:
            raise UserError(f"{self.folder} has {', '.join(splits)}/, but no train/ beside it.")
        if others := [name for name in folders if name not in splits]:
            raise UserError(
                f"{self.folder} has train/, and beside it {some(others)}: only train/, val/ and test/ are expected."
            )
        return splits

    def _check_no_splits(self, folders: list[str], splits: Mapping[str, str]) -> None:
        """Raises UserError if the folders with pictures have the names of several splits, or only of splits."""
        path = self.folder
        pictured = [name for name in folders if any(map(is_picture, _names(path / name)))]
        named = [name for name in pictured if name in splits]
        if len({splits[name] for name in named}) < 2 and not (named and named == pictured):
            return
        first = next((name for name in named if splits[name] == "train"), named[0])
        hint = _first_table(path, [Path(name, file) for name in ("", first, *named) for file in _names(path / name)])
        raise UserError(
            f"{', '.join(named)} in {path} have pictures, but no class folders, and the names of splits: lnl expects "
            f"{path / first}/<class>/*.jpg.\nLabels in a table are read by data=table{hint and f', such as {hint}'}"
            f'; "data.classes={typed_list(pictured)}" says that these are classes.'
        )

    def _left_out(self, empty: list[str], loose: Counter[str], deeper: Counter[str], others: Counter[str]) -> list[str]:
        """Remarks on what is not read: ``empty`` class folders, and entries as counted by :meth:`listing`."""
        remarks = []
        if deeper:
            said = many(deeper.total(), "picture is", "pictures are")
            where = some([f"{name} ({count:,})" for name, count in deeper.items()])
            remarks.append(f"{said} left out, being in folders inside class folders: {where}")
        if empty:
            said = many(len(empty), "class folder has no pictures and is", "class folders have no pictures and are")
            remarks.append(details(f"{said} left out: {some(empty)}", empty))
        if others:
            kinds = ", ".join(f"{count:,} ({kind})" for kind, count in others.most_common())
            remarks.append(f"left out of class folders, because their names are not those of pictures: {kinds}")
        for parent, count in loose.items():
            said = many(count, "picture is", "pictures are")
            remarks.append(f"{said} left out of {self.folder / parent}, being in no class's folder")
        return remarks


def _names(path: Path) -> list[str]:
    return [entry.name for entry in _entries(path)]


def _entries(path: Path) -> list[os.DirEntry[str]]:
    """The visible entries of a folder, sorted by name."""
    try:
        found = entries(path)
        for entry in found:
            if not is_picture(entry.name):
                entry.name.encode()  # may be a class's name
                entry.is_dir()  # fails for a link in a circle
        return found
    except FileNotFoundError:
        with suppress(OSError):
            if (near := nearest(path.name, [entry.name for entry in entries(path.parent)])) != ".":
                raise UserError(f"there is no folder {path}{near} Set data.path.") from None
        raise UserError(f"there is no folder {path}: set data.path") from None
    except NotADirectoryError:
        if path.suffix.lower() in ARCHIVES:
            raise UserError(f"{path} is an archive: unpack it, and name the folder in data.path") from None
        raise UserError(f"{path} is a file; data=folder reads folders, data=table a CSV, data=arrays an .npz") from None
    except UnicodeEncodeError as error:
        name = error.object.encode("utf-8", "backslashreplace").decode()
        raise UserError(f"the name of {name} in {path} is not UTF-8: rename it") from None
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be read: {error.strerror}") from error


def _has_folders(path: Path) -> bool:
    """Whether a folder contains class folders, or nothing."""
    names = _names(path)
    return any(os.path.isdir(path / name) and not is_picture(name) for name in names) or not names


def _first_table(root: Path, files: list[Path]) -> str:
    """What to type to read the first table among ``files``, if there is one."""
    return next((f"data.path={root / file}" for file in files if file.suffix.lower() in TABLES), "")
