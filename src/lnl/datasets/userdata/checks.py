"""Which samples can be used, by their labels; and which of them are for testing."""

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lnl.datasets.copies import choose_pictures, not_alone
from lnl.datasets.userdata.listing import many, no_single_label, some
from lnl.errors import UserError
from lnl.labels.classes import cleaned, no_class

LABELS = ("label", "true_label")


def clean_labels(table: pd.DataFrame, named: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """Labels :func:`cleaned`; true labels are gone unless all are there. Unless ``named``, 1.0 is 1 and nan is none."""
    remarks = []
    for key in (key for key in LABELS if key in table):
        before = table[key]
        kinds = {name: cleaned(name) for name in before.unique()}
        changed = [name for name, stripped in kinds.items() if name != stripped]
        if changed:
            count = int(before.isin(changed).sum())
            names = some([f"'{kinds[name]}'" for name in changed])
            remarks.append(f"{many(count, 'label', 'labels')} had spaces or accents of another form, now gone: {names}")
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
        count = int(table["label"].isin(joined).sum())
        written = some([f"'{label}'" for label in sorted(joined)])
        remarks.append(f"{many(count, 'label', 'labels')} may name several classes, and are read as one: {written}")
    alike: dict[str, list[str]] = {}
    for name in table["label"].unique():
        alike.setdefault(name.lower(), []).append(name)
    for group in (group for group in alike.values() if len(group) > 1):
        remarks.append(f"{' and '.join(group)} are different classes, by their case alone")
    return table, remarks


def class_names(table: pd.DataFrame, only_test: bool = False) -> list[str]:
    """The labels that there are for training, numbers in their order, names by the alphabet; or all, ``only_test``.

    Raises:
        UserError: if there is one alone, or another only among the samples that are not for training.
    """
    if not len(table):
        raise UserError("no sample can be used.")
    if only_test:
        table = table.assign(split="train")
    trained = table[table["split"] == "train"] if "split" in table else table
    if not len(trained):
        raise UserError("no sample is for training: the splits of the data are val and test alone.")
    used = pd.concat([trained[key] for key in LABELS if key in table])
    names = set(used.unique()) - {""}
    if len(names) < 2 and not only_test:
        raise UserError(f"there is one class alone ({some(sorted(names))}): a classifier needs two.")
    for key in [key for key in LABELS if key in table and "split" in table]:
        others = table[(table["split"] != "train") & ~table[key].isin({"", *names})]
        if len(others):
            row = others.iloc[0]
            raise UserError(
                f"{row['split']} has the class '{row[key]}' ({len(others):,} samples, such as {row['name']}), "
                "which training has not: move samples of it to training, or leave it out."
            )
    return sorted(names, key=lambda name: (0, int(name), name) if re.fullmatch(r"-?[0-9]+", name) else (1, 0, name))


def without(table: pd.DataFrame, reasons: Sequence[str], skipped: list[tuple[str, str]]) -> pd.DataFrame:
    """The samples that no reason speaks against; the others go to ``skipped``."""
    skipped += [(name, reason) for name, reason in zip(table["name"], reasons, strict=True) if reason]
    return table[[not reason for reason in reasons]]


def unusable(row: Mapping[Hashable, Any], named: bool) -> str:
    """Why a sample cannot be used, whatever the classes are; empty if it can."""
    try:
        str(row["name"]).encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8: rename it"
    if not row["label"]:
        return "it has no label"
    return "" if named else no_single_label(row)


def no_class_of(row: Mapping[Hashable, Any], numbers: Mapping[str, int], classes: Sequence[str]) -> str:
    """Why a sample cannot be used with these classes; empty if it can."""
    for key in LABELS:
        if key in row and row[key] not in numbers:
            return f"its {key.replace('_', ' ')} {no_class(row[key], classes)}"
    return ""


def divide(table: pd.DataFrame, fraction: float) -> tuple[pd.DataFrame, list[str]]:
    """Every sample gets its split, those for testing last. Where none is for testing, some are held out.

    Trusted samples are not held out, nor is the only one of its class. Of copies, all are or none.
    """
    if "split" not in table:
        table = table.assign(split="train")
    if (table["split"] == "test").any() or not fraction:
        return table.sort_values("split", key=lambda split: split == "test", kind="stable"), []
    trusted = table["trusted"] if "trusted" in table else pd.Series(False, index=table.index)
    is_free = (table["split"] == "train") & ~trusted
    free = table[is_free & ~table["picture"].isin(table["picture"][~is_free])]
    free = free[not_alone(free["label"].to_numpy(np.int64), free["picture"].to_numpy())]
    count = round(fraction * len(free))
    labels, pictures = free["label"].to_numpy(np.int64), free["picture"].to_numpy(np.int64)
    chosen = choose_pictures(labels, pictures, count, np.random.default_rng(0))
    if not len(chosen):
        raise UserError(
            f"{len(free)} of {len(table)} samples are too few to hold out some for testing; the others are trusted, "
            f"the only picture of their class, or copies of such.\n"
            f"data.test_fraction=0 (it is {fraction}) does without a test set."
        )
    table = table.assign(split=table["split"].mask(table.index.isin(free.index[chosen]), "test"))
    line = f"no sample is said to be for testing: {len(chosen):,} of {len(table):,} are held out, by their given labels"
    return table.sort_values("split", key=lambda split: split == "test", kind="stable"), [line]
