"""The table, row and column of each run, and the differences between runs that these leave out.

The runs of a cell differ in their seeds only.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lnl.errors import UserError, nearest
from lnl.reporting.tables import column_text, what_differs
from lnl.runs.identity import acting

SETTING = ("data", "corruption", "noise", "model")  # a table has one of each, unless it is a row or column
WITHOUT = {"none": "no noise", "given": "labels as given"}  # kinds without added noise
CALLBACK = r"callbacks\.[^.]+\._target_"
OPTIONS = (*SETTING, "method", "loss", "callbacks", "augment")  # groups, with keys of their own
BESIDE = {"mix": "callbacks", "average": "callbacks", "loss.label_smoothing": "callbacks"}  # told as these are: acting
HASHES = ("sources", "files", "fingerprints")
FEW = 3  # if more rows have the most common value, they are "the others"


def arrange(
    runs: pd.DataFrame, rows: Sequence[str], columns: str, names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Adds to each run its ``setting`` (the table that it belongs to), and its ``row`` and ``column`` in that table.

    The name of a row has the values of the columns ``rows``, and the callbacks: ``ce + mixup``. ``names`` replaces it.
    Runs of one cell that differ in more than their seeds get rows of their own, with the difference in their names:
    ``dynamic_weight + ce, threshold=0.4``. ``row`` is an ordered categorical, in the order of tables and colours;
    ``column`` has numbers in the tables that have only numbers.

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
    named = [name for name in SETTING if name not in taken and (name, run[name]) != ("corruption", "none")]
    parts = {name: str(run[name]) for name in named}
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
                ", ".join([run["row"], *(f"{short[key]}={value_text(key, run[key])}" for key in _had(run, keys))])
                for _, run in row[["row", *keys]].iterrows()
            ]
    return split if split.equals(runs["row"]) else _split(runs.assign(row=split))


def _had(run: pd.Series, keys: Sequence[str]) -> list[str]:
    """The keys without those that a run lacks because of its option, which another one of them names."""
    return [key for key in keys if pd.notna(run[key]) or key.partition(".")[0] not in {*keys} - {key}]


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


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, unless two keys share it; ``_target_`` is left out."""
    plain = {key: key.removesuffix("._target_") for key in keys}
    ends = {key: name.rsplit(".", 1)[-1] for key, name in plain.items()}
    return {key: end if list(ends.values()).count(end) == 1 else plain[key] for key, end in ends.items()}


def value_text(key: str, value: Any) -> str:
    """The text of a value; of a hash, a run's name or a class only the part that tells it from others."""
    text = column_text(value)
    if pd.notna(value) and (key == "variant" or key.split(".")[0] in HASHES):
        return text[:8]
    return text.rsplit("-", 1)[-1] if key == "run" else text.rsplit(".", 1)[-1] if key.endswith("._target_") else text


def unnamed(runs: pd.DataFrame, named: Sequence[str], axis: str) -> str:
    """A sentence on the differences between runs that no name of a row or column tells; may be empty.

    A key of an option (a method's threshold) is compared between runs with that option. The ``runs`` are of one table
    and protocol; ``named`` are the keys in the names of rows and columns, ``axis`` is the name of the columns.
    """
    said, told, keys = [key for key in named if key in runs], [], _keys(runs)
    short = short_names(keys)
    for key in keys:
        if key in said or not _differs(runs, key):
            said.append(key)
        elif not any(_same(runs, key, other) for other in said):
            said.append(key)
            there = runs[runs[key].notna()]
            if not all(f"{short[key]}={value_text(key, run[key])}" in str(run["row"]) for _, run in there.iterrows()):
                told.append(f"{short[key]} ({'; '.join(_where(runs, key, axis))})")
    return f"Runs also differ in {', '.join(told)}." if told else ""


def _keys(runs: pd.DataFrame) -> list[str]:
    """The keys to compare, in order of importance."""
    config = [str(key) for key in runs if "." in str(key) and "/" not in str(key) and not str(key).endswith("seed")]
    targets = {str(key).split(".")[1]: runs[key].dropna() for key in runs if re.fullmatch(CALLBACK, str(key))}
    nodes = {name: {"_target_": target} for name, found in targets.items() for target in found.unique()}
    watching = tuple(f"callbacks.{name}." for name in targets if name not in acting({"callbacks": nodes}))
    if runs["epochs"].nunique() > 1:  # the number that was trained, which may be smaller
        config = [key for key in config if key != "trainer.max_epochs"]
    first = ["epochs", *OPTIONS, "init_from", "numbers_version", "precision"]
    return [key for key in first if key in runs] + [key for key in config if not key.startswith(watching)]


def _differs(runs: pd.DataFrame, key: str) -> bool:
    """Whether a key has several values among runs with that key."""
    part = key.partition(".")[0]
    part = BESIDE.get(key, BESIDE.get(part, part))
    if part in OPTIONS and part != key:
        return bool(runs.groupby(part)[key].nunique(dropna=False).gt(1).any())
    if part in HASHES:  # of files with the same name
        name = {"files": "", "fingerprints": "data."}.get(part, "sources.") + key.partition(".")[2]
        groups = runs.groupby(name, dropna=False)[key] if name in runs and name != key else runs[[key]]
        return bool(groups.nunique().gt(1).any())
    target = f"{key.rpartition('.')[0]}._target_"
    # A key that only one of two optimizers has goes with its name.
    absent = target != key and target in runs and runs[target].nunique(dropna=False) > 1
    return int(runs[key].nunique(dropna=absent)) > 1


def _same(runs: pd.DataFrame, key: str, other: str) -> bool:
    """Whether a key has the same values as another one, in the runs with that key."""
    there = runs[runs[key].notna()]
    return there[key].nunique() > 1 and bool((there[key].astype(str) == there[other].astype(str)).all())


def _where(runs: pd.DataFrame, key: str, axis: str) -> list[str]:
    """Each value with the rows that have it (``3 for ce``), or with the columns if each of these has one value."""
    cells = {place: _values(cell[key], key) for place, cell in runs.groupby(["column", "row"], observed=True)}
    columns = {column: {text for (one, _), text in cells.items() if one == column} for column, _ in cells}
    rows = {row: {text for (_, one), text in cells.items() if one == row} for _, row in cells}
    by_column = len(columns) > 1 and len(set(cells.values())) > 1 and all(len(texts) == 1 for texts in columns.values())
    places: dict[str, dict[str, None]] = {}  # the names are keys, so that each stands once
    for (column, row), text in cells.items():
        at = f"{axis} {column_text(column)}"
        name = at if by_column else str(row) if len(rows[row]) == 1 else f"{row} at {at}"
        places.setdefault(text, {})[name] = None
    most = max(places, key=lambda text: len(places[text]))
    if len(places[most]) > FEW:
        del places[most]
        places[most] = {"the others": None}  # the last
    return [f"{text} for {' and '.join(names)}" for text, names in places.items()]


def _values(values: pd.Series, key: str) -> str:
    """The value, or the range of several numbers."""
    texts = list(dict.fromkeys(value_text(key, value) for value in values))
    if len(texts) > 1 and pd.api.types.is_numeric_dtype(values):
        return f"{column_text(values.min())} to {column_text(values.max())}"
    return " or ".join(texts)


VISITED = "(of n %): measured on the n % of the training samples that the epoch visited; not tested."


def visits_part(runs: pd.DataFrame) -> pd.Series:
    """Marks runs, or epochs, with training metrics of a part of the samples."""
    return runs.get("train/visited", pd.Series(1.0, index=runs.index)).fillna(1.0) < 0.995  # up to a few samples


def share_text(shares: pd.Series) -> str:
    """``12 %``, or ``7 to 35 %``."""
    low, high = (f"{100 * share:.3g}" for share in (shares.min(), shares.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"


def shares_visited(runs: pd.DataFrame, like: pd.DataFrame, partial: pd.Series) -> pd.DataFrame:
    """``of 12 %`` for each cell of ``like`` that has ``partial`` runs, else an empty text."""
    shown = pd.DataFrame("", index=like.index, columns=like.columns)
    for (row, column), cell in runs.groupby(["row", "column"], observed=True):
        if partial[cell.index].any():
            shown.at[row, column] = f"of {share_text(cell['train/visited'])}"
    return shown


def partial_note(runs: pd.DataFrame, metric: str = "train/accuracy") -> str:
    """A sentence on the rows of runs, or epochs, whose training metric is of a part of the samples; may be empty."""
    partial = runs[visits_part(runs) & metric.startswith("train/")]
    rows = [f"{row}, {share_text(part['train/visited'])}" for row, part in partial.groupby("row", observed=True)]
    return f" Measured on the training samples that an epoch visited: {'; '.join(rows)}." if rows else ""
