"""The samples that a user's data lists: which can be used, by their labels, and which are for testing."""

import ast
import json
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lnl.datasets.copies import choose_pictures, not_alone
from lnl.datasets.userdata.remarks import some
from lnl.errors import UserError, many
from lnl.labels.classes import class_numbers, cleaned, no_class

SPLIT_OF = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
SPLIT_OF |= {split: split for split in ("train", "val", "test")}
LABELS = ("label", "true_label")


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
        holds: what makes :class:`~lnl.datasets.pictures.Pictures` of names; of arrays, the pixels.
    """

    table: pd.DataFrame
    holds: Any
    bad: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    named: bool = False
    classes: list[str] | None = None


def clean_labels(table: pd.DataFrame, named: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """The table with :func:`cleaned` labels, and remarks.

    Unless labels are ``named``, 1.0 becomes 1 and nan a missing label. True labels are dropped if some are missing.
    """
    remarks = []
    for key in (key for key in LABELS if key in table):
        before = table[key]
        kinds = {name: cleaned(name) for name in before.unique()}
        if changed := [name for name, stripped in kinds.items() if name != stripped]:
            count = many(int(before.isin(changed).sum()), "label", "labels")
            names = some([f"'{kinds[name]}'" for name in changed])
            remarks.append(f"{count} had spaces around, or accents stored in another form, and count as: {names}")
        if not named:
            kinds = {name: "" if stripped.lower() == "nan" else stripped for name, stripped in kinds.items()}
            if all(re.fullmatch(r"(-?[0-9]+(\.0*)?)?", name) for name in kinds.values()):
                kinds = {name: stripped.partition(".")[0] for name, stripped in kinds.items()}
        table = table.assign(**{key: before.map(kinds)})
    if "true_label" in table and (absent := int((table["true_label"] == "").sum())):
        table = table.drop(columns="true_label")
        if absent < len(table):
            remarks.append(f"true labels are missing in {absent:,} of {len(table):,} rows, and are not used")
    labels = set(table["label"].unique())
    joined = [label for label in labels if labels >= set(map(cleaned, re.split("[|;,]", label))) - {label} > set()]
    if joined and not named:
        count = many(int(table["label"].isin(joined).sum()), "label", "labels")
        written = some([f"'{label}'" for label in sorted(joined)])
        remarks.append(f"{count} may name several classes, and are read as one: {written}")
    alike: dict[str, list[str]] = {}
    for name in table["label"].unique():
        alike.setdefault(name.lower(), []).append(name)
    for group in (group for group in alike.values() if len(group) > 1):
        remarks.append(f"{' and '.join(group)} are different classes, though they differ only by case")
    return table, remarks


def class_names(table: pd.DataFrame, of_all: bool = False) -> list[str]:
    """The labels of the training samples, or ``of_all``: numbers in their order, then names.

    Raises:
        UserError: if there are fewer than two, or others among the samples that are not for training.
    """
    if not len(table):
        raise UserError("no sample can be used.")
    if of_all or "split" not in table:
        table = table.assign(split="train")
    trained = table[table["split"] == "train"]
    if not len(trained):
        raise UserError("no sample is for training: the only splits of the data are val and test.")
    labels = [key for key in LABELS if key in table]
    names = set(np.unique(trained[labels])) - {""}
    if len(names) < 2 and not of_all:
        raise UserError(f"there is only one class ({some(sorted(names))}): a classifier needs two.")
    for key in labels:
        others = table[(table["split"] != "train") & ~table[key].isin({"", *names})]
        if len(others):
            row = others.iloc[0]
            raise UserError(
                f"{row['split']} has the class '{row[key]}' ({len(others):,} samples, such as {row['name']}), "
                "which the training set lacks: move samples of it to training, or leave it out by data.min_per_class=1."
            )
    return sorted(names, key=lambda name: (0, int(name), name) if re.fullmatch(r"-?[0-9]+", name) else (1, 0, name))


def without_unusable(table: pd.DataFrame, named: bool, bad: list[tuple[str, str]]) -> pd.DataFrame:
    """The samples that can be used, before classes are known; the others go to ``bad``."""
    reasons = []
    for name, label in zip(table["name"], table["label"], strict=True):
        reason = "" if label else "it has no label"
        try:
            str(name).encode()
        except UnicodeEncodeError:
            reason = "its name is not UTF-8: rename it"
        reasons.append(reason)
    if not named:
        rows = zip(reasons, table.to_dict("records"), strict=True)
        reasons = [reason or no_single_label(row) for reason, row in rows]
    return _without(table, reasons, bad)


def number_labels(table: pd.DataFrame, classes: Sequence[str], bad: list[tuple[str, str]]) -> pd.DataFrame:
    """The samples whose labels have a class, with its number as label; the others go to ``bad``."""
    columns = [key for key in LABELS if key in table]
    numbers = class_numbers(np.unique(table[columns]), classes)
    reasons = [""] * len(table)
    for key in columns:
        wrong = f"its {key.replace('_', ' ')}"
        reasons = [
            reason or ("" if label in numbers else f"{wrong} {no_class(label, classes)}")
            for reason, label in zip(reasons, table[key], strict=True)
        ]
    table = _without(table, reasons, bad)
    return table.assign(**{key: table[key].map(numbers).astype(np.int64) for key in columns})


def _without(table: pd.DataFrame, reasons: Sequence[str], bad: list[tuple[str, str]]) -> pd.DataFrame:
    """The samples without a reason against them; the others go to ``bad``."""
    bad += [(name, reason) for name, reason in zip(table["name"], reasons, strict=True) if reason]
    return table[[not reason for reason in reasons]]


def without_small(
    table: pd.DataFrame, classes: Sequence[str], minimum: int
) -> tuple[pd.DataFrame, list[str], list[tuple[str, str]]]:
    """Leaves out the classes with fewer than ``minimum`` different pictures, not counting those for testing.

    A class stays if a true label of the remaining samples names it.

    Returns:
        The other samples, with labels renumbered; their classes; and name and reason of each sample left out.

    Raises:
        UserError: if no two classes are left.
    """
    tested = table["split"] == "test" if "split" in table else pd.Series(False, table.index)
    counted = table if tested.all() else table[~tested]
    counts = np.bincount(counted.drop_duplicates(["label", "picture"])["label"], minlength=len(classes))
    is_small = counts < minimum
    out = is_small[table["label"].to_numpy(np.int64)]
    kept = table[~out]
    if "true_label" in kept:
        is_small[kept["true_label"].unique().astype(np.int64)] = False
    names = [name for name, small in zip(classes, is_small, strict=True) if not small]
    if len(names) < 2:
        largest = [f"{classes[label]} ({counts[label]:,})" for label in np.argsort(-counts, kind="stable")]
        raise UserError(
            f"data.min_per_class={minimum} leaves {len(names)} of {len(classes)} classes, and a classifier needs two; "
            f"the largest are {some(largest)} (copies count once)."
        )
    numbers = np.cumsum(~is_small) - 1
    kept = kept.assign(**{key: numbers[kept[key].to_numpy(np.int64)] for key in LABELS if key in kept})
    reasons = [
        (name, f"its class '{classes[label]}' has {many(int(counts[label]), 'picture', 'pictures')}")
        for name, label in zip(table["name"][out], table["label"][out], strict=True)
    ]
    return kept, names, reasons


def divide(table: pd.DataFrame, fraction: float) -> tuple[pd.DataFrame, list[str]]:
    """The table with a split for every sample, test samples last, and remarks.

    If no sample is for testing, a ``fraction`` is held out: neither trusted samples nor the only picture of a class,
    and all copies of a picture or none.
    """
    if "split" not in table:
        table = table.assign(split="train")
    remarks = []
    if fraction and not (table["split"] == "test").any():
        trusted = table["trusted"] if "trusted" in table else pd.Series(False, index=table.index)
        is_free = (table["split"] == "train") & ~trusted
        free = table[is_free & ~table["picture"].isin(table["picture"][~is_free])]
        free = free[not_alone(free["label"].to_numpy(np.int64), free["picture"].to_numpy())]
        labels, pictures = free["label"].to_numpy(np.int64), free["picture"].to_numpy(np.int64)
        chosen = choose_pictures(labels, pictures, round(fraction * len(free)), np.random.default_rng(0))
        if not len(chosen):
            raise UserError(
                f"{len(free)} of {len(table)} samples are too few to hold out some for testing; the others are "
                "trusted, the only picture of their class, or copies of such.\n"
                f"data.test_fraction=0 (it is {fraction}) does without a test set."
            )
        table = table.assign(split=table["split"].mask(table.index.isin(free.index[chosen]), "test"))
        held_out = f"{len(chosen):,} of {len(table):,} samples are held out for testing"
        remarks.append(f"the data names no test set: {held_out}")
    return table.sort_values("split", key=lambda split: split == "test", kind="stable"), remarks


def no_single_label(row: Mapping[Hashable, Any]) -> str:
    """What is wrong if a label or true label is a list or an object, written in JSON or Python; else empty."""
    for key in LABELS:
        text = row.get(key, "").strip()
        if text[:1] in tuple("[{(") and isinstance(value := _parsed(text), list | tuple | dict | set):
            what = f"its {key.replace('_', ' ')} {text if len(text) <= 60 else text[:57] + '...'}"
            fault = "a list or an object, of several labels perhaps: write one label" if value else "empty"
            return f"{what} is {fault}"
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
