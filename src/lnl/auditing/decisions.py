"""Decisions about labels -> a corrected label file."""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lnl.errors import UserError, many
from lnl.files import write_atomically
from lnl.labels.tables import csv_text, read_csv

COLUMNS = ("index", "given_label", "decision", "label")  # of a file of decisions; it may have more
GIVEN = ("index", "file", "given_label")  # of a table of labels
DECISIONS = ("keep", "change", "unsure")


def corrected_labels(labels: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """The new label of every sample, in the form that ``noise=file`` reads.

    Args:
        labels: ``index``, ``file``, ``given_label`` of every sample.
        decisions: ``index`` (no duplicates) and ``label`` of samples with a decision.

    Returns:
        ``labels`` with ``label`` and ``changed``.
    """
    table = labels[list(GIVEN)]
    decided = table["index"].map(decisions.set_index("index")["label"])
    label = decided.astype(object).where(decided.notna(), table["given_label"])
    return table.assign(label=label, changed=label != table["given_label"])


def read_audit(output: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The given labels of an audit, and its estimate; raises UserError if there is none, or its table was changed."""
    for name in ("corrected_labels.csv", "estimate.json"):
        if not (output / name).is_file():
            raise UserError(f"there is no audit in {output}: {name} is missing; output= names the folder")
    path = output / "corrected_labels.csv"
    labels = read_csv(path)
    again = "repeat the audit's command, which writes it again."
    if missing := [name for name in GIVEN if name not in labels]:
        raise UserError(f"{path} was changed, and has no column {missing[0]}: {again}")
    index = pd.to_numeric(labels["index"], errors="coerce")
    if index.isna().any():
        raise UserError(f"{path} was changed, and some `index` is no number: {again}")
    return labels.assign(index=index), read_estimate(output)


def read_estimate(output: Path) -> dict[str, Any]:
    """An audit's ``estimate.json``; raises UserError if it is damaged."""
    path = output / "estimate.json"
    with contextlib.suppress(OSError, ValueError):
        estimate = json.loads(path.read_text())
        if isinstance(estimate, dict) and "classes" in estimate:
            return estimate
    raise UserError(f"{path} is not the estimate of an audit: repeat the audit with force=true.")


def read_decisions(
    path: Path, labels: pd.DataFrame, classes: Sequence[str], audited: str | None = None
) -> pd.DataFrame:
    """A CSV of decisions as the audit's page or Label Studio exports them, checked to be about these labels.

    Without a column ``decision``, labels other than the given one are changes.

    If ``audited``, the name of the audited data, is given, a column ``audited`` in the file must have the same.

    Raises:
        UserError: with the file and the mistake in it.
    """
    if not path.is_file():
        raise UserError(f"there is no file of decisions at {path}")
    table = read_csv(path)  # labels and files are text: a class may be called 1, or NA
    if "decision" not in table and {"label", "given_label"} <= set(table):
        table["decision"] = np.where(table["label"] == table["given_label"], "keep", "change")
    if missing := [name for name in COLUMNS if name not in table]:
        raise UserError(f"{path} is not a file of decisions: no column {missing[0]}; it needs {', '.join(COLUMNS)}")
    index = pd.to_numeric(table["index"], errors="coerce")
    if not np.isfinite(index).all() or (index % 1 != 0).any() or index.duplicated().any():
        raise UserError(f"{path}: `index` must be different whole numbers")
    table["index"] = index.astype("int64")
    _refuse(path, table, ~table["decision"].isin(DECISIONS), f"a decision is one of {', '.join(DECISIONS)}")
    if audited is not None and "audited" in table:
        other = ~table["audited"].isin(["", audited])
        _refuse(path, table, other, f"it is about other data: this audit is of {audited}, see the column audited")
    known = labels.set_index("index").reindex(table["index"])
    for column in {"given_label", "file"} & set(table):
        other = table[column] != known[column].to_numpy()
        _refuse(path, table, other, f"it is about other data: this audit has no such {column.replace('_', ' ')}")
    _refuse(path, table, ~table["label"].isin(list(classes)), f"the classes are {', '.join(classes)}")
    contrary = (table["decision"] != "change") & (table["label"] != table["given_label"])
    _refuse(path, table, contrary, "only the decision change can have a label other than the given one")
    return table


def _refuse(path: Path, table: pd.DataFrame, wrong: "pd.Series[bool]", reason: str) -> None:
    if wrong.any():
        row = table[wrong].iloc[0]
        what = f"sample {row['index']}, given '{row['given_label']}', {row['decision']}, label '{row['label']}'"
        raise UserError(f"{path}: {reason}; the first of {int(wrong.sum())} such rows: {what}")


def apply_decisions(path: Path, output: Path) -> str:
    """Writes ``decided_labels.csv``, by the decisions that the page of an audit has exported; returns a summary.

    Raises:
        UserError: if there is no audit in ``output``, or the decisions are about other samples.
    """
    labels, estimate = read_audit(output)
    decisions = read_decisions(path, labels, estimate["classes"], estimate.get("audited"))
    table = corrected_labels(labels, decisions)
    write_table(output / "decided_labels.csv", table)
    counts = decisions["decision"].value_counts()
    decided = ", ".join(f"{counts.get(name, 0):,} {name}" for name in ("change", "keep", "unsure"))
    changed = f"{table['changed'].sum():,} of {len(table):,} labels changed"
    written = os.path.relpath(output / "decided_labels.csv")
    return f"  {many(len(decisions), 'decision', 'decisions')} ({decided}): {changed}\n  {written}"


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Writes a CSV, with ``true`` and ``false``."""
    flags = table.select_dtypes(bool).replace({True: "true", False: "false"})
    write_atomically(path, csv_text(table.assign(**flags)))
