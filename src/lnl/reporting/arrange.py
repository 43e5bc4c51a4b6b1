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
    """The runs with a ``setting`` (the table each belongs to), a ``row`` and a ``column`` of that table.

    A row is called by its values and its callbacks, ``ce + mixup``. Runs that would share a cell and differ in more
    than their seeds get rows of their own, named by what they differ in: ``dynamic_weight + ce, threshold=0.4``.

    Args:
        runs: of one protocol or several, as of :func:`lnl.reporting.results.read_runs`.
        rows: columns of ``runs`` that make a row.
        columns: the one that makes a column.
        names: what to call rows: the name that a row would have -> the one to show.

    Returns:
        ``runs`` with ``setting`` (text), ``row`` (an ordered categorical, in the order of tables and colours) and
        ``column`` (object: numbers in the tables that have only numbers).

    Raises:
        UserError: for a column that no run has, or a name for a row that is not there.
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
        raise UserError("names: two rows cannot have the same name, they would be one line")
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
            f"{key}={given}: none of these runs has a test set; {key}=val/accuracy is on the given labels of samples "
            "that were held out of training."
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
    """The values, one after the other; of method and loss what is needed to know both."""
    values = {name: value_text(name, run[name]) for name in parts}
    method, loss = values.get("method"), values.get("loss")
    if method and loss and loss == "none":
        del values["loss"]
    elif method and loss and (method == "baseline" or loss.startswith(f"{method}_")):
        del values["method"]
    return " + ".join(filter(None, values.values())) or "none"


def column_values(values: pd.Series) -> pd.Series:
    """Numbers where all of a table's are; else text, for what is not given has a column too."""
    text = values.map(lambda value: value_text(str(values.name), value))
    return (text if values.isna().any() else values).astype(object)


def _split(runs: pd.DataFrame) -> pd.Series:
    """Rows, each split as long as one of its cells would mix runs."""
    split = runs["row"].astype(object)
    for _, row in runs.groupby(["setting", "row"]):
        # Each protocol of a run is alike, so that one of them shows what differs.
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
    """Those of the keys that tell runs apart which those before them do not."""
    needed: list[str] = []
    groups = 1
    for key in keys:
        finer = runs.groupby([*needed, key], dropna=False).ngroups
        if finer > groups:
            needed, groups = [*needed, key], finer
    return needed


def _order(runs: pd.DataFrame) -> list[str]:
    """Rows without a robust method first, then by name, numbers by size."""

    def rank(row: Any) -> tuple[bool, float, str]:
        members = runs[runs["row"] == row]
        plain = ((members["method"] == "baseline") & (members["loss"] == "ce")).all()
        try:
            number = float(str(row))
        except ValueError:
            number = np.inf
        return not plain, number, str(row)

    return sorted(runs["row"].unique(), key=rank)
