"""Pictures and labels that a table names."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from lnl.datasets.pictures import Files
from lnl.datasets.userdata.listing import SPLIT_OF, Listing, as_text, no_single_label
from lnl.datasets.userdata.source import Usable, UserSource
from lnl.errors import UserError, many
from lnl.files import PARQUET, entries
from lnl.labels.tables import check_columns, missing_column, read_csv

YES, NO = ("true", "1", "1.0", "yes", "y", "t"), ("false", "0", "0.0", "no", "n", "f", "")
COLUMNS = ("file", "label", "split", "trusted", "true_label")


@dataclass(frozen=True, kw_only=True)
class Table(UserSource):
    """Pictures and labels that a CSV or Parquet file names.

    Args:
        path: of the file; the delimiter of a CSV is a comma, semicolon or tab.
        root: the folder that file names are relative to, and that contains all files; null for the table's own.
        columns: names of the columns ``file``, ``label``, ``split``, ``trusted`` and ``true_label``; the last three are
            optional.
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
        given = self._given()
        table = given.astype(object).drop_duplicates()
        copies, remarks = len(given) - len(table), []
        if copies:
            remarks.append(f"{many(copies, 'row', 'rows')} of {self.file.name} repeat another and do not count")
        names, root = table.pop("file").str.strip(), self.folder
        relative = (name and os.path.relpath(os.path.join(root, name), root) for name in names)
        table["name"] = [name.replace(os.sep, "/") for name in relative]  # "../..." if it leads out of the root
        for key in {"split", "trusted"} & set(table):
            table[key] = table[key].str.strip().str.lower()
        reasons = pd.Series([self._reason(row) for row in table.to_dict("records")], table.index, dtype=object)
        bad = [
            (f"{self.file.name}, row {place + 1}" + (name and f", {name}"), reason)
            for place, name, reason in zip(table.index, table["name"], reasons, strict=True)
            if reason
        ]
        table = table[reasons == ""].reset_index(drop=True)
        if "split" in table:
            table["split"] = table["split"].map(SPLIT_OF)
        if "trusted" in table:
            table["trusted"] = table["trusted"].isin(YES)
        return Listing(table, partial(Files, self.folder), bad, remarks)

    def usable(self) -> Usable:
        found = super().usable()
        names = found.table["name"]
        if len(names) and not any(os.path.lexists(os.path.join(self.folder, name)) for name in names):
            raise UserError(self._elsewhere(names.iloc[0], len(names)))
        return found

    def _elsewhere(self, name: str, count: int) -> str:
        """The error if none of the files is there, with the folder of the first one if it is near."""
        folder, here = self.folder, self.file.parent
        near = [Path(), here.parent, *(path for path in (here, folder) if path.is_dir())]
        for path in tuple(near):
            with suppress(OSError):
                near += [Path(entry.path) for entry in entries(path) if entry.is_dir()]
        root = next((path for path in near if (path / name).is_file()), None)
        hint = f"data.root={'FOLDER' if root is None else os.path.relpath(root)}"
        none = f"{self.file} names {many(count, 'file', 'files')}, and none of them is in {folder}"
        return f"{none}: {name} is the first.\n{hint} says what names are relative to."

    def _given(self) -> pd.DataFrame:
        """All rows, with the columns by the names of COLUMNS."""
        path, columns = self.file, {key: str((self.columns or {}).get(key, key)) for key in COLUMNS}
        if not path.is_file():
            missing = f"there is no file {path}: set data.path"
            raise UserError(f"{path} is a folder, no table" if path.exists() else missing)
        parquet = path.suffix.lower() in PARQUET
        raw = _read_parquet(path) if parquet else read_csv(path, self.encoding, "data.encoding", "CSV or Parquet")
        raw.columns = raw.columns.map(lambda name: str(name).strip())
        check_columns(path, raw)
        if {"given_label", "decision"} <= set(raw):  # labels of the few that were looked at
            turned = f"lnl audit apply={path} output=FOLDER, with the audit's folder, turns them into labels"
            raise UserError(f"{path} has the decisions of an audit: {turned}.")
        for key, name in columns.items():
            if (key in ("file", "label") or name != key) and name not in raw:
                mend = f"data.columns.{key}=NAME says which is the {key}"
                raise missing_column(path, raw, name, mend, "" if parquet else "file,label")
        if raw.empty:
            raise UserError(f"{path} has a header and no rows.")
        keys = [key for key, name in columns.items() if name in raw]
        return raw[[columns[key] for key in keys]].set_axis(keys, axis="columns")

    def _reason(self, row: Mapping[Any, str]) -> str:
        """Why a row cannot be used; empty if it can."""
        name = row["name"]
        if not name or name == ".":
            return "it names no file"
        if name.startswith('{"bytes"'):
            return "its file is a picture itself, as Hugging Face stores them: data=huggingface reads their folder"
        if re.match("[a-z]{2,}:/", name, re.IGNORECASE):
            return "it is a URL: download the pictures, and name their files"
        if "\\" in name and not os.path.exists(self.folder / name):
            return "there is no such file: write / in place of \\"
        if re.fullmatch(r"sample [0-9]+|[^/]+/[0-9]+", name) and not os.path.exists(self.folder / name):
            return "it is no file, but a sample of arrays or of Hugging Face: their labels are for noise=file"
        if name.split("/")[0] == "..":
            return "it leaves the folder that files are relative to: set data.root to one that holds them all"
        if row.get("split", "train") not in SPLIT_OF:
            return f"its split '{row['split']}' is not train, val or test"
        if row.get("trusted", "") not in YES + NO:
            return f"trusted is '{row['trusted']}', and not true or false"
        return no_single_label(row)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except ImportError:
        raise UserError("reading Parquet needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # pyarrow raises many kinds
        raise UserError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    return table.astype(object).map(as_text).mask(table.isna(), "").reset_index(drop=True)
