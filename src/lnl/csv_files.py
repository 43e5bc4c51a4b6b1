"""CSV files as spreadsheets and people write them, read as text; and tables that name files, as CSV."""

import csv
import io
from itertools import chain
from pathlib import Path
from typing import Literal

import pandas as pd

from lnl.errors import UserError


def read_csv(path: Path, encoding: str = "utf-8", option: str = "") -> pd.DataFrame:
    """All values as text. Rows without a value do not count, nor do columns without a name.

    Args:
        path: of the file; its delimiter is a comma, semicolon or tab.
        encoding: of the file, with or without a byte order mark.
        option: what sets the encoding, if something does: for messages.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        content = path.read_bytes()
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
    if not table.columns.is_unique:
        raise UserError(f"{path} has two columns '{table.columns[table.columns.duplicated()][0]}'.")
    return table


def csv_text(table: pd.DataFrame, header: bool = True) -> str:
    """A table as CSV, numbers with six digits.

    Texts are quoted if one has a carriage return, which Python before 3.13 takes for no end of a line; readers do.
    """
    texts = chain(table.columns, *(column for _, column in table.items() if not pd.api.types.is_numeric_dtype(column)))
    quoting: Literal[0, 2] = 2 if any("\r" in str(text) for text in texts) else 0  # csv.QUOTE_NONNUMERIC, QUOTE_MINIMAL
    return table.to_csv(index=False, header=header, float_format="%.6g", quoting=quoting)
