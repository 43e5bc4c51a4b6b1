"""Pictures in a folder for each class."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lnl.datasets.userdata.listing import SPLIT_OF, Listing, details, many, some
from lnl.datasets.userdata.source import PictureSource
from lnl.errors import UserError
from lnl.files import entries, is_picture, walk

TABLES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True, kw_only=True)
class Folder(PictureSource):
    """Pictures in a folder for each class: ``path/<class>/*``, or ``path/{train,val,test}/<class>/*``.

    Args:
        path: of the folder.
    """

    path: str | Path

    @property
    def folder(self) -> Path:
        return Path(str(self.path)).expanduser()

    def listing(self) -> Listing:
        return list_folder(self.folder, self.class_names, self.only_test)


def list_folder(path: Path, classes: Sequence[str] | None = None, only_test: bool = False) -> Listing:
    """The pictures ``path/<class>/*``, or ``path/{train,val,test}/<class>/*``. The class is the folder's name.

    Folders that are called like splits are splits if one of them holds folders, and else classes.

    Args:
        path: of the folder.
        classes: their names, if they are known. Without them, several classes called like splits are refused.
        only_test: ``train`` need not be there.

    Raises:
        UserError: if there are none, or the folders are neither.
    """
    top = _names(path)
    folders = [name for name in top if os.path.isdir(path / name)]
    splits = {name: SPLIT_OF[name.lower()] for name in folders if name.lower() in SPLIT_OF}
    if not any(_has_folders(path / name) for name in splits):
        if classes is None:
            _check_no_splits(path, folders, splits)
        splits = {}
    if splits:
        if "train" not in splits.values() and not only_test:
            raise UserError(f"{path} has {', '.join(splits)}/, but no train/ beside it.")
        if others := [name for name in folders if name not in splits]:
            raise UserError(
                f"{path} has train/, and beside it {some(others)}: only train/, val/ and test/ are expected."
            )
    places = [(name, split, sub) for name, split in splits.items() for sub in _names(path / name)]
    places += [(".", "", name) for name in top if name not in splits]
    rows, empty, left_out, loose, deeper = [], [], Counter[str](), Counter[str](), Counter[str]()
    for parent, split, name in places:
        relative = Path(parent, name).as_posix()
        if not os.path.isdir(path / relative):
            loose[parent] += is_picture(name)
            continue
        files = _names(path / relative)
        pictures = [file for file in files if is_picture(file)]
        rows += [(f"{relative}/{file}", name, split) for file in pictures]
        for file in files:
            if os.path.isdir(inside := path / relative / file):
                if count := sum(is_picture(name) for name, _ in walk(inside)):
                    deeper[relative] += count
                else:
                    left_out["folders"] += 1
            elif not is_picture(file):
                left_out[Path(file).suffix or "no suffix"] += 1
        if not pictures:
            empty.append(relative)
    if not rows:
        raise UserError(_no_pictures(path, top, loose, deeper))
    if lost := [name for name in empty if deeper[name]]:
        raise UserError(
            f"{path / lost[0]} has no picture itself, but {deeper[lost[0]]:,} in folders inside it: "
            "move them up, or name them in a table (data=table)."
        )
    if splits and not only_test and not any(split == "train" for _, _, split in rows):
        (name, *_) = (name for name, split in splits.items() if split == "train")
        raise UserError(f"{path / name} has no class folders with pictures: expected are {path / name}/<class>/*.jpg")
    remarks = _left_out(path, empty, left_out, loose, deeper)
    table = pd.DataFrame(rows, columns=["name", "label", "split"], dtype=object)
    return Listing(table if splits else table.drop(columns="split"), remarks=remarks, named=True)


def _left_out(
    path: Path, empty: list[str], others: Counter[str], loose: Counter[str], deeper: Counter[str]
) -> list[str]:
    """Remarks on what of a folder is not read.

    Args:
        path: of the folder.
        empty: class folders without a picture.
        others: files of class folders that are no pictures, by kind.
        loose: pictures outside of class folders, by the folder that they are in.
        deeper: pictures in folders inside class folders, by class folder.
    """
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
        if count:
            said = many(count, "picture is", "pictures are")
            remarks.append(f"{said} left out of {path / parent}, being in no class's folder")
    return remarks


def _names(path: Path) -> list[str]:
    """Sorted names of what is in a folder, without what is hidden."""
    try:
        found = entries(path)
        for entry in found:
            if not is_picture(entry.name):
                entry.name.encode()  # a class is called so
                entry.is_dir()  # follows links, and fails for one in a circle
        return [entry.name for entry in found]
    except FileNotFoundError:
        raise UserError(f"there is no folder {path}: set data.path") from None
    except NotADirectoryError:
        raise UserError(f"{path} is a file; data=folder reads folders, data=table a CSV, data=arrays an .npz") from None
    except UnicodeEncodeError as error:
        name = error.object.encode("utf-8", "backslashreplace").decode()
        raise UserError(f"the name of {name} in {path} is not UTF-8: rename it") from None
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be read: {error.strerror}") from error


def _has_folders(path: Path) -> bool:
    """Whether it is a folder of classes, and no class that is called train."""
    entries = _names(path)
    return any(os.path.isdir(path / name) and not is_picture(name) for name in entries) or not entries


def _check_no_splits(path: Path, folders: list[str], splits: Mapping[str, str]) -> None:
    """Raises UserError if the folders with pictures are called like several splits, or only like splits."""
    pictured = [name for name in folders if any(map(is_picture, _names(path / name)))]
    named = [name for name in pictured if name in splits]
    if len({splits[name] for name in named}) < 2 and not (named and named == pictured):
        return
    tables = [str(Path(name, file)) for name in ("", *named) for file in _names(path / name) if file.endswith(TABLES)]
    hint = f", such as data.path={path / tables[0]}" if tables else ""
    first = next((name for name in named if splits[name] == "train"), named[0])
    raise UserError(
        f"{', '.join(named)} in {path} have pictures, but no class folders, and are called like splits: expected are "
        f"{path / first}/<class>/*.jpg.\nLabels in a table are read by data=table{hint}; "
        f"data.classes=[{','.join(pictured)}] says that these are classes."
    )


def _no_pictures(path: Path, top: list[str], loose: Counter[str], deeper: Counter[str]) -> str:
    expected = f"expected are {path}/<class>/*.jpg (or .png, .webp, .bmp, ...)"
    if loose.total():
        where, count = loose.most_common(1)[0]
        said = many(count, "picture is", "pictures are")
        return f"{said} in {path / where} itself, and have no class: {expected}, or data=table."
    if deeper:
        where, count = deeper.most_common(1)[0]
        said = many(count, "picture is", "pictures are")
        return f"{said} deeper in {path / where} than expected: {expected}, or data=table."
    tables = [name for name in top if name.endswith(TABLES)]
    hint = f"; data=table data.path={path / tables[0]} reads a table" if tables else ""
    return f"there are no pictures in the folders of {path}: {expected}{hint}."
