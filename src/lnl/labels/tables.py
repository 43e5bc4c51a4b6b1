"""CSV files of spreadsheets and people, read as text; and tables written as CSV."""

import csv
import io
import json
import re
import zipfile
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Literal

import pandas as pd

from lnl.errors import UserError, nearest

# How files that are no CSV begin.
KINDS = {
    rb"PAR1": "a Parquet file (its name must end in .parquet)",
    rb"\x93NUMPY": "a NumPy array (its name must end in .npy)",
    rb"\xd0\xcf\x11\xe0": "an Excel workbook (save it as CSV)",
    rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd": "compressed (decompress it)",
    rb"\x89HDF|ARROW1|SQLite format 3|MATLAB 5": "a file of another program (save it as CSV)",
    rb"%PDF|\x89PNG|\xff\xd8\xff": "a PDF or a picture",
    rb"version https://git-lfs": "a pointer of Git LFS (git lfs pull fetches the file)",
    rb"\x80[\x02-\x05]": "a pickle, which could run code",
    rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype|html|\?xml|svg)": "a page of HTML or XML",
}


def read_csv(path: Path, encoding: str = "utf-8", option: str = "", reads: str = "CSV") -> pd.DataFrame:
    """All values of a CSV, delimited by commas, semicolons or tabs, as text, without empty rows and unnamed columns.

    Messages name the ``option`` that sets the encoding, if there is one, and what the caller ``reads``.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        content = path.read_bytes()
        if kind := _kind(content):
            raise UserError(f"{path} is {kind}; {reads} is read here.")
        text = content.decode(encoding)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except LookupError:
        raise UserError(f"{option}={encoding} is no encoding; utf-8, latin-1, cp1252 and utf-16 are") from None
    except UnicodeError as error:
        line = content[: getattr(error, "start", 0)].count(b"\n") + 1
        guess = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252 or latin-1"
        hint = f"save it so, or set {option} to what it is" if option else "save it so"
        raise UserError(
            f"{path} is not {encoding.removesuffix('-sig').upper()} in line {line}: {hint} "
            f"(it is perhaps {guess}; all lines must have the same)."
        ) from None
    if "\0" in text:
        guess = f"; if it is UTF-16, set {option}=utf-16" if option and content[1::2][:1] == b"\0" else ""
        raise UserError(f"{path} is not text, but has bytes of 0; {reads} is read here{guess}.")
    header = text.split("\n", 1)[0]
    if not header.strip():
        raise UserError(f"{path} is empty: a header such as file,label is expected, and rows below it.")
    delimiter = max(",;\t", key=header.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise UserError(f"{path} cannot be read as CSV: {error}") from error
    names, *rows = ([name.strip() for name in rows[0]], *(row for row in rows[1:] if any(map(str.strip, row))))
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise UserError(f"{path} has {len(row)} values in row {number}, and {len(names)} columns.")
    table = pd.DataFrame(rows, columns=names, dtype=str).loc[:, [name != "" for name in names]]
    check_columns(path, table)
    return table


def check_columns(path: Path, table: pd.DataFrame) -> None:
    """Raises UserError if two columns have the same name."""
    if not table.columns.is_unique:
        raise UserError(f"{path} has two columns '{table.columns[table.columns.duplicated()][0]}'.")


def missing_column(path: Path, table: pd.DataFrame, name: str, mend: str, header: str) -> UserError:
    """The error for a table without the column ``name``.

    Args:
        mend: what to type if the column has another name.
        header: an example of one; empty if the table certainly has a header.
    """
    columns = [str(column) for column in table.columns]
    near = nearest(name, columns).rstrip(".")
    shown = ", ".join(columns[:20]) + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")
    shown = shown if len(shown) <= 150 else f"{shown[:147]}..."
    if near or not header or set(header.split(",")) & set(columns):
        return UserError(f"{path} has no column '{name}'{near}\n{mend}; its columns are {shown}.")
    return UserError(
        f"{path} has no column '{name}', or no header: its first line must name the columns, such as {header}, "
        f"with commas, semicolons or tabs between them.\n{mend}; its columns are {shown}."
    )


def _kind(content: bytes) -> str:
    """What a file is that is no CSV; empty if it may be one."""
    if content.startswith(b"PK\x03\x04"):
        return _zip_kind(content)
    if kind := next((kind for start, kind in KINDS.items() if re.match(start, content)), ""):
        return kind
    start = content[:2000].removeprefix(b"\xef\xbb\xbf").lstrip()
    is_json = re.match(rb'[{\[]\s*["{\[\]}]', start) is not None
    if start[:1] in (b"{", b"[") and not is_json:
        with suppress(ValueError):
            is_json = isinstance(json.loads(content), dict | list)
    return "JSON (pandas.read_json(...).to_csv(..., index=False) makes a CSV of it)" if is_json else ""


def _zip_kind(content: bytes) -> str:
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile:
        return "a damaged zip archive"
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook (save it as CSV)"
    if "content.xml" in names:
        return "a workbook of LibreOffice (save it as CSV)"
    if any(name.endswith("data.pkl") for name in names):
        return "a file of torch.save"
    if names and all(name.endswith(".npy") for name in names):
        return f"an .npz of NumPy's with the arrays {', '.join(name.removesuffix('.npy') for name in names[:5])}"
    return "a zip archive"


def csv_text(table: pd.DataFrame, header: bool = True) -> str:
    """A table as CSV, numbers with six digits.

    Texts are quoted if one contains a carriage return: Python before 3.13 writes it without quotes, but readers take it
    for the end of a line.
    """
    texts = chain(table.columns, *(column for _, column in table.items() if not pd.api.types.is_numeric_dtype(column)))
    quoting: Literal[0, 2] = 2 if any("\r" in str(text) for text in texts) else 0  # csv.QUOTE_NONNUMERIC, QUOTE_MINIMAL
    return table.to_csv(index=False, header=header, float_format="%.6g", quoting=quoting)
