"""The table, row and column of each run: the runs of a cell differ in their seeds only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lnl.errors import UserError, nearest
from lnl.reporting.settings import short_names, value_text
from lnl.reporting.tables import what_differs

SETTING = ("data", "corruption", "noise", "model")  # a table has one of each, unless it is a row or column
WITHOUT = {"none": "no noise", "given": "labels as given"}  # kinds without added noise


def arrange(
    runs: pd.DataFrame, rows: Sequence[str], columns: str, names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Adds to each run its ``setting`` (the table that it belongs to), and its ``row`` and ``column`` in that table.

    The name of a row has its values and its callbacks: ``ce + mixup``. Runs of one cell that differ in more than their
    seeds get rows of their own, with the difference in their names: ``dynamic_weight + ce, threshold=0.4``.

    Args:
        runs: of one protocol or several, as of :func:`lnl.reporting.results.read_runs`.
        rows: columns of ``runs`` that make a row.
        columns: the column of ``runs`` that makes a column.
        names: other names for rows, by the names that they would have.

    Returns:
        ``runs`` with ``setting`` (text), ``row`` (an ordered categorical, in the order of tables and colours) and
        ``column`` (object: numbers in the tables that have only numbers).

    Raises:
        UserError: for a column that no run has, or names of rows that do not exist.
    """
    for name in rows:
        check_column(runs, "rows", name)
    check_column(runs, "columns", columns)
    parts = [*rows, *({"callbacks"} - {*rows, columns})]
    runs = runs.assign(
        setting=[_setting(run, {*rows, columns}) for _, run in runs.iterrows()],
        row=[_row(run, parts) for _, run in runs[parts].iterrows()],
    )
    runs["column"] = runs.groupby("setting")[columns].transform(column_values) if len(runs) else runs[columns]
    runs["row"] = _split(runs)
    order = _order(runs)
    names = names or {}
    if unknown := [name for name in names if name not in order]:
        raise UserError(f"names: there is no row '{unknown[0]}'{nearest(unknown[0], order)}")
    shown = {row: str(names.get(row, row)) for row in [*names, *order]}
    ordered = list(dict.fromkeys(shown.values()))
    if len(ordered) < len(shown):
        raise UserError("names: two rows cannot have the same name")
    return runs.assign(row=pd.Categorical(runs["row"].map(shown), ordered, ordered=True))


def check_column(runs: pd.DataFrame, key: str, given: str, known: Sequence[str] | None = None) -> None:
    """Raises UserError if no run has this column, or if it is not one of ``known``."""
    there = [str(name) for name in runs] if known is None else known
    if not isinstance(given, str):
        raise UserError(f"{key} must be the name of a column, got {given}")
    if given.startswith("test/") and not any(name.startswith("test/") for name in there):
        raise UserError(
            f"{key}={given}: none of these runs has a test set; {key}=val/accuracy is measured on the given labels "
            "of samples that were held out of training."
        )
    if given not in there:
        some = "method, loss, model, rate, noise, data, seed and every key of the configuration"
        if known is not None:
            some = ", ".join([*known[:12], *(["…"] if len(known) > 12 else [])])
        raise UserError(f"{key}={given}: no run has such a column{nearest(given, there)}\nThere are {some}.")


def _setting(run: pd.Series, taken: set[str]) -> str:
    parts = {name: str(run[name]) for name in SETTING if name not in taken}
    if parts.get("corruption") == "none":
        del parts["corruption"]
    if "noise" in parts:
        parts["noise"] = WITHOUT.get(parts["noise"], f"{parts['noise']} noise")
    return ", ".join(parts.values())


def _row(run: pd.Series, parts: Sequence[str]) -> str:
    """The values joined; of method and loss one, if that says both."""
    values = {name: value_text(name, run[name]) for name in parts}
    method, loss = values.get("method"), values.get("loss")
    if method and loss == "none":
        del values["loss"]
    elif method and loss and (method == "baseline" or loss.startswith(f"{method}_")):
        del values["method"]
    return " + ".join(filter(None, values.values())) or "none"


def column_values(values: pd.Series) -> pd.Series:
    """The values; as text if some are missing, because "not given" is a column too."""
    text = values.map(lambda value: value_text(str(values.name), value))
    return (text if values.isna().any() else values).astype(object)


def _split(runs: pd.DataFrame) -> pd.Series:
    """The rows, each split until no cell mixes runs."""
    split = runs["row"].astype(object)
    for _, row in runs.groupby(["setting", "row"]):
        # All protocols of a run have the same configuration.
        cells = [cell.drop_duplicates("path") for _, cell in row.groupby("column")]
        if keys := _needed(row, dict.fromkeys(key for cell in cells for key in what_differs(cell))):
            short = short_names(keys)
            split[row.index] = [
                ", ".join([run["row"], *(f"{short[key]}={value_text(key, run[key])}" for key in keys)])
                for _, run in row[["row", *keys]].iterrows()
            ]
    return split if split.equals(runs["row"]) else _split(runs.assign(row=split))


def _needed(runs: pd.DataFrame, keys: Iterable[str]) -> list[str]:
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
