"""Pictures and labels that a table names."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lnl.datasets.userdata.listing import SPLIT_OF, Listing, as_text, many, no_single_label
from lnl.datasets.userdata.source import PictureSource
from lnl.errors import UserError
from lnl.labels.tables import missing_column, read_csv

YES, NO = ("true", "1", "1.0", "yes", "y", "t"), ("false", "0", "0.0", "no", "n", "f", "")
COLUMNS = ("file", "label", "split", "trusted", "true_label")


@dataclass(frozen=True, kw_only=True)
class Table(PictureSource):
    """Pictures and labels that a CSV or Parquet file names (:func:`read_table`).

    Args:
        path: of the file.
        root: the folder that file names are relative to; null: the table's own.
        columns: what the columns are called.
        encoding: of a CSV.
    """

    path: str | Path
    root: str | Path | None = None
    columns: Mapping[str, str] | None = None
    encoding: str = "utf-8"

    @property
    def file(self) -> Path:
        return Path(str(self.path)).expanduser()

    @property
    def folder(self) -> Path:
        return self.file.parent if self.root is None else Path(str(self.root)).expanduser()

    def listing(self) -> Listing:
        called = {key: str(name) for key, name in (self.columns or {}).items()}
        return read_table(self.file, self.folder, {name: name for name in COLUMNS} | called, self.encoding)


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


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except ImportError:
        raise UserError("reading Parquet needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # whatever pyarrow has to say of a file that is none
        raise UserError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    missing = table.isna()
    return table.astype(object).map(as_text).mask(missing, "").reset_index(drop=True)
