"""What is said to the user of a data set: names, counts, and remarks on what may not be intended."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lnl.errors import many


def some(names: list[str], most: int = 3) -> str:
    """The first few of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def details(line: str, entries: list[str]) -> str:
    """A remark: ``line`` for the terminal, and one line for each entry for the log."""
    return "\n  ".join([line, *entries])


def described(bad: Sequence[tuple[str, str]]) -> list[str]:
    """Printable lines of names and reasons."""
    return [f"{printable(name)}: {reason}" for name, reason in bad]


def printable(name: str) -> str:
    """A file's name as text, with bytes that are not UTF-8 escaped."""
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
        remarks.append(details(f"{line} (data.min_per_class=5 leaves out small classes): {some(single)}", single))
    return remarks


def about_small(small: Sequence[tuple[str, str]], minimum: int | None) -> list[str]:
    """A remark on the samples of classes that are left out, because they have fewer than ``minimum`` pictures."""
    if not small:
        return []
    reasons = list(dict.fromkeys(reason.removeprefix("its class ") for _, reason in small))
    classes = f"{many(len(reasons), 'class', 'classes')} with fewer than {minimum} pictures"
    count = many(len(small), "sample is", "samples are")
    return [details(f"{count} left out, of {classes} (data.min_per_class): {some(reasons)}", described(small))]


def about_trust(table: pd.DataFrame) -> list[str]:
    """Remarks on trusted samples whose label is not the true one."""
    if not {"trusted", "true_label"} <= set(table):
        return []
    of = table["trusted"] & (table["split"] != "test") & (table["label"] != table["true_label"])
    wrong = table.loc[of, "name"].tolist()
    said = many(len(wrong), "sample is", "samples are")
    return [details(f"{said} trusted with a label that is not the true one: {some(wrong)}", wrong)] if wrong else []


def about_copies(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Remarks on pictures that occur twice: with different labels, in several splits, or otherwise."""
    several = table[table.duplicated("picture", keep=False)]
    differ, leaked = [], []
    for _, group in several.groupby("picture"):
        rows = zip(group["name"], group["label"], strict=True)
        same = " = ".join(f"{name} ({classes[label]})" for name, label in rows)
        if group["label"].nunique() > 1:
            differ.append(same)
        if group["split"].nunique() > 1:
            leaked.append(same)
    remarks = []
    for groups, where in ((differ, "there again with another label"), (leaked, "in several splits")):
        if groups:
            line = f"{many(len(groups), 'picture is', 'pictures are')} {where}: {some(groups, 1)}"
            remarks.append(details(line, groups))
    if copies := len(several) - several["picture"].nunique():
        said = many(copies, "picture is a copy", "pictures are copies")
        told = "copies of a picture are all in one split and one fold, unless the data names the splits"
        remarks.append(f"{said} of another, byte by byte: {told}")
    return remarks
