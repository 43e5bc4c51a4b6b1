"""Samples as a user's data lists them, with labels as text, and remarks on them."""

import ast
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

SPLIT_OF = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
SPLIT_OF |= {split: split for split in ("train", "val", "test")}


@dataclass
class Listing:
    """The samples of a user's data.

    Attributes:
        table: a row for each, with ``name`` (of the file, if there is one), ``label`` as text and, where the data has
            them, ``split`` (train, val or test), ``true_label`` as text and ``trusted`` (bool).
        bad: name and reason of each sample that cannot be used.
        remarks: messages to the user.
        named: labels are names of folders or classes: 1.0 is not the same as 1, and nan is a class.
        classes: names in label order, if the data has them.
        holds: the pictures, if they are not in files.
    """

    table: pd.DataFrame
    bad: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    named: bool = False
    classes: list[str] | None = None
    holds: Any = None


def no_single_label(row: Mapping[Hashable, Any]) -> str:
    """What is wrong if a label or true label is a list or an object, written in JSON or Python; else empty."""
    for key in ("label", "true_label"):
        text = row.get(key, "").strip()
        if text[:1] in tuple("[{(") and isinstance(value := _parsed(text), list | tuple | dict | set):
            what = f"its {key.replace('_', ' ')} {text if len(text) <= 60 else text[:57] + '...'}"
            return (
                f"{what} is a list or an object, of several labels perhaps: write one label"
                if value
                else f"{what} is empty"
            )
    return ""


def _parsed(text: str) -> Any:
    """The value of JSON or of a Python literal; None of other texts."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return None


def as_text(value: Any) -> str:
    """A cell as text; lists and objects in JSON if possible."""
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
    """A remark: ``line`` for the terminal, and one line for each entry for the log."""
    return "\n  ".join([line, *entries])


def described(bad: Sequence[tuple[str, str]]) -> list[str]:
    """Printable lines of names and reasons."""
    return [f"{printable(name)}: {reason}" for name, reason in bad]


def printable(name: str) -> str:
    """A file's name as text, whatever its bytes are."""
    return name.encode("utf-8", "backslashreplace").decode()


def left_out(bad: Sequence[tuple[str, str]], of: int | None = None) -> str:
    """How many samples are left out, out of how many if known, and the first one."""
    count = many(len(bad), "sample is", "samples are") if of is None else f"{len(bad):,} of {of:,} samples are"
    return f"{count} left out (data.on_error=skip), first {described(bad[:1])[0]}"


def about_classes(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Remarks on classes with too few samples."""
    counts = np.bincount(table.loc[table["split"] != "test", "label"], minlength=len(classes))
    remarks = []
    if none := [classes[label] for label in np.flatnonzero(counts == 0).tolist()]:
        remarks.append(f"{many(len(none), 'class has', 'classes have')} no training sample: {some(none)}")
    if single := [classes[label] for label in np.flatnonzero(counts == 1).tolist()]:
        line = f"{many(len(single), 'class has', 'classes have')} a single training sample: none to validate or test on"
        remarks.append(details(f"{line}: {some(single)}", single))
    return remarks


def about_trust(table: pd.DataFrame) -> list[str]:
    """Remarks on trusted samples whose label is not the true one."""
    if not {"trusted", "true_label"} <= set(table):
        return []
    of = table["trusted"] & (table["split"] != "test") & (table["label"] != table["true_label"])
    wrong = table.loc[of, "name"].tolist()
    said = many(len(wrong), "sample is", "samples are")
    return [details(f"{said} trusted with a label that is not the true one: {some(wrong)}", wrong)] if wrong else []


def about_copies(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Remarks on pictures that occur twice: with different labels, in training and test, or otherwise."""
    several = table[table.duplicated("picture", keep=False)]
    differ, leaked = [], []
    for _, group in several.groupby("picture"):
        rows = zip(group["name"], group["label"], strict=True)
        same = " = ".join(f"{name} ({classes[label]})" for name, label in rows)
        if group["label"].nunique() > 1:
            differ.append(same)
        if (group["split"] == "test").nunique() > 1:
            leaked.append(same)
    remarks = []
    for groups, where in ((differ, "there again with another label"), (leaked, "in training and in test")):
        if groups:
            line = f"{many(len(groups), 'picture is', 'pictures are')} {where}: {some(groups, 1)}"
            remarks.append(details(line, groups))
    if copies := len(several) - several["picture"].nunique():
        said = many(copies, "picture is a copy", "pictures are copies")
        told = "where the data does not say, copies are all in one split, and in one fold"
        remarks.append(f"{said} of another, byte by byte: {told}")
    return remarks
