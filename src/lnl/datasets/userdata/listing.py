"""Samples as they were given, with their labels as text; and what a user is to hear of them."""

import ast
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}


@dataclass
class Listing:
    """Samples as they were given.

    Attributes:
        table: a row for each, with ``name`` (its file, or what else to call it), ``label``, and, where they were said,
            ``split`` (train, val or test), ``true_label`` and ``trusted`` (bool). Labels are text.
        bad: name and reason of each that cannot be used.
        remarks: what the user is to hear.
        named: labels are the names of folders or of classes: 1.0 is not 1 then, and nan is a class.
        classes: their names in label order, where the data has them.
        holds: what has the pictures, if they are not in files.
    """

    table: pd.DataFrame
    bad: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    named: bool = False
    classes: list[str] | None = None
    holds: Any = None


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


def as_text(value: Any) -> str:
    """A cell as text; lists and objects as JSON, what is not in JSON as Python writes it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return json.dumps(value, default=str) if isinstance(value, list | tuple | dict | set) else str(value)


def some(names: list[str], most: int = 3) -> str:
    """The first few of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def many(count: int, one: str, several: str) -> str:
    """``1 <one>``, or ``<count> <several>``."""
    return f"{count:,} {one if count == 1 else several}"


def details(line: str, entries: list[str]) -> str:
    """A remark: a line for the terminal, and an entry a line for the log."""
    return "\n  ".join([line, *entries])


def described(bad: Sequence[tuple[str, str]]) -> list[str]:
    """Names and reasons, to be printed."""
    return [f"{printable(name)}: {reason}" for name, reason in bad]


def printable(name: str) -> str:
    """A file's name as text, whatever its bytes are."""
    return name.encode("utf-8", "backslashreplace").decode()


def left_out(bad: Sequence[tuple[str, str]], of: int | None = None) -> str:
    """How many samples are left out, of how many if that is known, and the first of them."""
    count = many(len(bad), "sample is", "samples are") if of is None else f"{len(bad):,} of {of:,} samples are"
    return f"{count} left out (data.on_error=skip), first {described(bad[:1])[0]}"


def about_classes(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Remarks on classes that have too few samples."""
    counts = np.bincount(table.loc[table["split"] != "test", "label"], minlength=len(classes))
    remarks = []
    if none := [classes[label] for label in np.flatnonzero(counts == 0).tolist()]:
        remarks.append(f"{many(len(none), 'class has', 'classes have')} no training sample: {some(none)}")
    if single := [classes[label] for label in np.flatnonzero(counts == 1).tolist()]:
        line = f"{many(len(single), 'class has', 'classes have')} a single training sample: none to validate or test on"
        remarks.append(details(f"{line}: {some(single)}", single))
    return remarks


def about_trust(table: pd.DataFrame) -> list[str]:
    """Remarks on samples that are trusted, though their true label is another."""
    if not {"trusted", "true_label"} <= set(table):
        return []
    wrong = table.loc[table["trusted"] & (table["split"] != "test") & (table["label"] != table["true_label"]), "name"]
    said = many(len(wrong), "sample is", "samples are")
    line = f"{said} trusted with a label that is not the true one: {some(wrong.tolist())}"
    return [details(line, wrong.tolist())] if len(wrong) else []


def about_copies(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Remarks on pictures that are there twice: with different labels, in training and test, and for no reason."""
    several = table[table.duplicated("picture", keep=False)]
    differ, leaked = [], []
    for _, group in several.groupby("picture"):
        rows = zip(group["name"], group["label"], strict=True)
        same = " = ".join(f"{name} ({classes[label]})" for name, label in rows)
        if group["label"].nunique() > 1:
            differ.append(same)
        if (group["split"] == "test").nunique() > 1:
            leaked.append(same)
    copies = len(several) - several["picture"].nunique()
    remarks = []
    for groups, where in ((differ, "there again with another label"), (leaked, "in training and in test")):
        if groups:
            line = f"{many(len(groups), 'picture is', 'pictures are')} {where}: {some(groups, 1)}"
            remarks.append(details(line, groups))
    if copies:
        said = many(copies, "picture is a copy", "pictures are copies")
        told = "where the data does not say, copies are all in one split, and in one fold"
        remarks.append(f"{said} of another, byte by byte: {told}")
    return remarks
