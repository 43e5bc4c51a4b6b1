"""Samples as they were given, with their labels as text."""

import ast
import json
from collections.abc import Hashable, Mapping
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
