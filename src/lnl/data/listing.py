"""Which samples there are, with the labels that somebody gave them: from a folder of folders, or from a table."""

import ast
import json
import os
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lnl.csv_files import missing_column, read_csv
from lnl.errors import UserError
from lnl.files import PICTURES

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}
TABLES = (".csv", ".tsv", ".parquet")
YES, NO = ("true", "1", "1.0", "yes", "y", "t"), ("false", "0", "0.0", "no", "n", "f", "")


@dataclass
class Listing:
    """Samples as they were given.

    Attributes:
        table: a row for each, with ``name`` (its file, or what else to call it), ``label``, and, where they were said,
            ``split`` (train, val or test), ``true_label`` and ``trusted`` (bool). Labels are text.
        bad: name and reason of each that cannot be used.
        remarks: what the user is to hear.
        named: labels are the names of folders or of classes: 1.0 is not 1 then, and nan is a class.
    """

    table: pd.DataFrame
    bad: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    named: bool = False


def some(names: list[str], most: int = 3) -> str:
    """The first few of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def many(count: int, one: str, several: str) -> str:
    """``1 <one>``, or ``<count> <several>``."""
    return f"{count:,} {one if count == 1 else several}"


def details(line: str, entries: list[str]) -> str:
    """A remark: a line for the terminal, and an entry a line for the log."""
    return "\n  ".join([line, *entries])


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
    top = _entries(path)
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
    places = [(name, split, sub) for name, split in splits.items() for sub in _entries(path / name)]
    places += [(".", "", name) for name in top if name not in splits]
    rows, empty, left_out, loose, deeper = [], [], Counter[str](), Counter[str](), Counter[str]()
    for parent, split, name in places:
        relative = Path(parent, name).as_posix()
        if not os.path.isdir(path / relative):
            loose[parent] += _is_picture(name)
            continue
        files = _entries(path / relative)
        pictures = [file for file in files if _is_picture(file)]
        rows += [(f"{relative}/{file}", name, split) for file in pictures]
        for file in files:
            if os.path.isdir(inside := path / relative / file):
                if count := _count_pictures(inside):
                    deeper[relative] += count
                else:
                    left_out["folders"] += 1
            elif not _is_picture(file):
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


def _entries(path: Path) -> list[str]:
    """Sorted names of what is in a folder, without what is hidden."""
    try:
        entries = [entry for entry in os.scandir(path) if not entry.name.startswith(".")]
        for entry in entries:
            if not _is_picture(entry.name):
                entry.name.encode()  # a class is called so
                entry.is_dir()  # follows links, and fails for one in a circle
        return sorted(entry.name for entry in entries)
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
    entries = _entries(path)
    return any(os.path.isdir(path / name) and not _is_picture(name) for name in entries) or not entries


def _is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURES)


def _count_pictures(path: Path) -> int:
    """In a folder and all inside it. Links to folders, which may lead in a circle, are not followed."""
    return sum(_is_picture(name) and name[0] != "." for _, _, names in os.walk(path) for name in names)


def _check_no_splits(path: Path, folders: list[str], splits: Mapping[str, str]) -> None:
    """Raises UserError if the folders with pictures are called like several splits, or only like splits."""
    pictured = [name for name in folders if any(map(_is_picture, _entries(path / name)))]
    named = [name for name in pictured if name in splits]
    if len({splits[name] for name in named}) < 2 and not (named and named == pictured):
        return
    tables = [str(Path(name, file)) for name in ("", *named) for file in _entries(path / name) if file.endswith(TABLES)]
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


def read_table(path: Path, root: Path, columns: Mapping[str, str], encoding: str = "utf-8") -> Listing:
    """The rows of a CSV or Parquet file.

    Args:
        path: of the file; its delimiter is a comma, semicolon or tab.
        root: the folder that file names are relative to, and that no file may lie outside of.
        columns: what the columns ``file``, ``label``, ``split``, ``trusted`` and ``true_label`` are called. The last
            three need not be there.
        encoding: of a CSV.

    Raises:
        UserError: if it is no such table.
    """
    if not path.is_file():
        raise UserError(
            f"there is no file {path}: set data.path" if not path.exists() else f"{path} is a folder, no table"
        )
    parquet = path.suffix.lower() in (".parquet", ".pq")
    raw = _read_parquet(path) if parquet else read_csv(path, encoding, "data.encoding", reads="CSV or Parquet")
    raw.columns = raw.columns.map(lambda name: str(name).strip())
    if not raw.columns.is_unique:
        raise UserError(f"{path} has two columns '{raw.columns[raw.columns.duplicated()][0]}'.")
    for key, name in columns.items():
        needed = key in ("file", "label") or name != key
        if needed and name not in raw:
            mend = f"data.columns.{key}=NAME says which is the {key}"
            raise missing_column(path, raw, name, mend, "" if parquet else "file,label")
    if raw.empty:
        raise UserError(f"{path} has a header and no rows.")
    raw = raw[[name for name in columns.values() if name in raw]]
    raw.columns = pd.Index([key for key, name in columns.items() if name in raw])
    table = raw.astype(object).drop_duplicates()
    remarks = []
    if copies := len(raw) - len(table):
        said = many(copies, "row", "rows")
        remarks.append(f"{said} of {path.name} repeat another and do not count")
    table["name"] = [_relative(name, root) for name in table.pop("file")]
    for key in ("split", "trusted"):
        if key in table:
            table[key] = table[key].str.strip().str.lower()
    reasons = [_reason(row, root) for row in table.to_dict("records")]
    bad = [
        (f"{path.name}, row {place + 1}" + (f", {name}" if name else ""), reason)
        for place, name, reason in zip(table.index, table["name"], reasons, strict=True)
        if reason
    ]
    table = table[[not reason for reason in reasons]].reset_index(drop=True)
    if "split" in table:
        table["split"] = table["split"].map(SPLIT_OF)
    if "trusted" in table:
        table["trusted"] = table["trusted"].isin(YES)
    return Listing(table, bad, remarks)


def _relative(name: str, root: Path) -> str:
    """The name relative to the root; one that leads out of it starts with two dots."""
    return os.path.relpath(os.path.join(root, name.strip()), root).replace(os.sep, "/") if name.strip() else ""


def _reason(row: Mapping[Any, str], root: Path) -> str:
    """Why a row cannot be used; empty if it can."""
    if not row["name"] or row["name"] == ".":
        return "it names no file"
    if row["name"].startswith('{"bytes"'):
        return "its file is a picture itself, as Hugging Face stores them: data=huggingface reads their folder"
    if re.match("[a-z]{2,}:/", row["name"], re.IGNORECASE):
        return "it is a URL: download the pictures, and name their files"
    if "\\" in row["name"] and not os.path.exists(root / row["name"]):
        return "there is no such file: write / in place of \\"
    if re.fullmatch(r"sample [0-9]+|[^/]+/[0-9]+", row["name"]) and not os.path.exists(root / row["name"]):
        return "it is no file, but a sample of arrays or of Hugging Face: their labels are for noise=file"
    if row["name"].split("/")[0] == "..":
        return "it leaves the folder that files are relative to: set data.root to one that holds them all"
    if row.get("split", "train") not in SPLIT_OF:
        return f"its split '{row['split']}' is none of train, val and test"
    if row.get("trusted", "") not in YES + NO:
        return f"trusted is '{row['trusted']}', and not true or false"
    return no_single_label(row)


def no_single_label(row: Mapping[Hashable, Any]) -> str:
    """What is wrong with a label, or a true label, that is a list or an object, as JSON or Python write them."""
    for key in ("label", "true_label"):
        text = row.get(key, "").strip()
        if text[:1] in tuple("[{(") and isinstance(value := _parsed(text), list | tuple | dict | set):
            what = f"its {key.replace('_', ' ')} {text if len(text) <= 60 else text[:57] + '...'}"
            if not value:
                return f"{what} is empty"
            return f"{what} is a list or an object, of several labels perhaps: write one label"
    return ""


def _parsed(text: str) -> Any:
    """The value of JSON, or of a Python literal; the text if it is neither."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return text


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except ImportError:
        raise UserError("reading Parquet needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # whatever pyarrow has to say of a file that is none
        raise UserError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    missing = table.isna()
    return table.astype(object).map(as_text).mask(missing, "").reset_index(drop=True)


def as_text(value: Any) -> str:
    """A cell as text; lists and objects as JSON, what is not in JSON as Python writes it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return json.dumps(value, default=str) if isinstance(value, list | tuple | dict | set) else str(value)
