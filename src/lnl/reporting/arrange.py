"""Which runs stand in one table, and in which of its rows: no cell holds runs that differ in more than their seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lnl.errors import UserError, nearest
from lnl.reporting.settings import short_names, value_text
from lnl.reporting.tables import what_differs

SETTING = ("data", "corruption", "noise", "model")  # what makes a table of its own, unless it is a row or column
WITHOUT = {"none": "no noise", "given": "labels as given"}  # kinds that add none


def arrange(
    runs: pd.DataFrame, rows: Sequence[str], columns: str, names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Adds to each run its ``setting`` (the table it belongs to), and the ``row`` and ``column`` in that table.

    A row is named by its values and its callbacks: ``ce + mixup``. Runs of one cell that differ in more than their
    seeds get rows of their own, named by the difference: ``dynamic_weight + ce, threshold=0.4``.

    Args:
        runs: of one protocol or several, as of :func:`lnl.reporting.results.read_runs`.
        rows: columns of ``runs`` that make a row.
        columns: the column of ``runs`` that makes a column.
        names: the name to show for the name that a row would have.

    Returns:
        ``runs`` with ``setting`` (text), ``row`` (an ordered categorical, in the order of tables and colours) and
        ``column`` (object: numbers in the tables that have only numbers).

    Raises:
        UserError: for a column that no run has, or names of rows that do not exist.
    """
    for key, given in [("rows", name) for name in rows] + [("columns", columns)]:
        check_column(runs, key, given)
    parts = [*rows, *({"callbacks"} - {*rows, columns})]
    runs = runs.assign(
        setting=[_setting(run, {*rows, columns}) for _, run in runs.iterrows()],
        row=[_row(run, parts) for _, run in runs[parts].iterrows()],
    )
    runs["column"] = runs.groupby("setting")[columns].transform(column_values) if len(runs) else runs[columns]
    runs["row"] = _split(runs)
    order = _order(runs)
    unknown = [name for name in names or {} if name not in order]
    if unknown:
        raise UserError(f"names: there is no row '{unknown[0]}'{nearest(unknown[0], order)}")
    shown = {row: str((names or {}).get(row, row)) for row in order}
    if len(set(shown.values())) < len(shown):
        raise UserError("names: two rows cannot have the same name")
    named_first = [shown[row] for row in names or {}]
    ordered = list(dict.fromkeys([*named_first, *shown.values()]))
    return runs.assign(row=pd.Categorical(runs["row"].map(shown), ordered, ordered=True))


def check_column(runs: pd.DataFrame, key: str, given: str, known: Sequence[str] | None = None) -> None:
    """Raises UserError if no run has this column."""
    there = list(known) if known is not None else [str(name) for name in runs]
    if not isinstance(given, str):
        raise UserError(f"{key} must be the name of a column, got {given}")
    if given.startswith("test/") and known is not None and not any(name.startswith("test/") for name in there):
        raise UserError(
            f"{key}={given}: none of these runs has a test set; {key}=val/accuracy is measured on the given labels "
            "of samples that were held out of training."
        )
    if given not in there:
        parts = ("method", "loss", "model", "rate", "noise", "data", "seed") if known is None else there
        more = " and every key of the configuration" if known is None else ", …" if len(parts) > 12 else ""
        raise UserError(
            f"{key}={given}: no run has such a column{nearest(given, there)}\nThere are {', '.join(parts[:12])}{more}."
        )


def _setting(run: pd.Series, taken: set[str]) -> str:
    parts = {name: str(run[name]) for name in SETTING if name not in taken}
    if parts.get("corruption") == "none":
        del parts["corruption"]
    if "noise" in parts:
        parts["noise"] = WITHOUT.get(parts["noise"], f"{parts['noise']} noise")
    return ", ".join(parts.values())


def _row(run: pd.Series, parts: Sequence[str]) -> str:
    """The values joined; of method and loss only what is needed to know both."""
    values = {name: value_text(name, run[name]) for name in parts}
    method, loss = values.get("method"), values.get("loss")
    if method and loss and loss == "none":
        del values["loss"]
    elif method and loss and (method == "baseline" or loss.startswith(f"{method}_")):
        del values["method"]
    return " + ".join(filter(None, values.values())) or "none"


def column_values(values: pd.Series) -> pd.Series:
    """Numbers if all values are numbers; else text, because "not given" is a column too."""
    text = values.map(lambda value: value_text(str(values.name), value))
    return (text if values.isna().any() else values).astype(object)


def _split(runs: pd.DataFrame) -> pd.Series:
    """The rows, each split until no cell mixes runs."""
    split = runs["row"].astype(object)
    for _, row in runs.groupby(["setting", "row"]):
        # All protocols of a run have the same configuration.
        cells = [cell.drop_duplicates("path") for _, cell in row.groupby("column")]
        keys = _needed(row, list(dict.fromkeys(key for cell in cells for key in what_differs(cell))))
        if keys:
            short = short_names(keys)
            split[row.index] = [
                ", ".join([run["row"], *(f"{short[key]}={value_text(key, run[key])}" for key in keys)])
                for _, run in row[["row", *keys]].iterrows()
            ]
    return split if split.equals(runs["row"]) else _split(runs.assign(row=split))


def _needed(runs: pd.DataFrame, keys: list[str]) -> list[str]:
    """The keys that tell apart runs which the keys before them do not."""
    needed: list[str] = []
    for key in keys:
        groups = runs.groupby(needed, dropna=False).ngroups if needed else 1
        if runs.groupby([*needed, key], dropna=False).ngroups > groups:
            needed.append(key)
    return needed


def _order(runs: pd.DataFrame) -> list[str]:
    """Plain cross entropy first, then numbers by size and names by alphabet."""

    def rank(row: Any) -> tuple[bool, float, str]:
        members = runs[runs["row"] == row]
        plain = ((members["method"] == "baseline") & (members["loss"] == "ce")).all()
        number = pd.to_numeric(row, errors="coerce")
        return not plain, float(number) if pd.notna(number) else np.inf, str(row)

    return sorted(runs["row"].unique(), key=rank)
