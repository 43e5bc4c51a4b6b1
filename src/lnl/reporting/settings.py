"""The configuration of runs as text, and the differences in it that the names of rows leave out."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from lnl.reporting.tables import column_text
from lnl.runs.identity import acting

CALLBACK = r"callbacks\.[^.]+\._target_"
UNKNOWN = "not given"
OPTIONS = ("data", "corruption", "noise", "model", "method", "loss", "callbacks")  # groups, with keys of their own
HASHES = ("sources", "files", "fingerprints")
FEW = 3  # if more rows have the most common value, they are "the others"


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, unless two keys share it; ``_target_`` is left out."""
    plain = {key: key.removesuffix("._target_") for key in keys}
    ends = {key: name.rsplit(".", 1)[-1] for key, name in plain.items()}
    return {key: end if list(ends.values()).count(end) == 1 else plain[key] for key, end in ends.items()}


def value_text(key: str, value: Any) -> str:
    """The text of a value; of a hash, a run's name or a class only the part that tells it from others."""
    text = UNKNOWN if pd.isna(value) else column_text(value)
    if pd.notna(value) and (key == "variant" or key.split(".")[0] in HASHES):
        return text[:8]
    return text.rsplit("-", 1)[-1] if key == "run" else text.rsplit(".", 1)[-1] if key.endswith("._target_") else text


def unnamed(runs: pd.DataFrame, named: Sequence[str], axis: str) -> str:
    """A sentence on the differences between runs that no name of a row or column tells; may be empty.

    A key of an option (a method's threshold) is compared between runs with that option.

    Args:
        runs: of one table and protocol, as of :func:`lnl.reporting.arrange.arrange`.
        named: the columns of ``runs`` in the names of rows and columns.
        axis: the name of the columns.
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
    watching = tuple(f"callbacks.{name}." for name in targets if name not in acting(nodes))
    if runs["epochs"].nunique() > 1:  # the number that was trained, which may be smaller
        config = [key for key in config if key != "trainer.max_epochs"]
    first = ["epochs", *OPTIONS, "init_from", "numbers_version", "precision"]
    return [key for key in first if key in runs] + [key for key in config if not key.startswith(watching)]


def _differs(runs: pd.DataFrame, key: str) -> bool:
    """Whether a key has several values among runs with that key."""
    part = key.partition(".")[0]
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


def _where(runs: pd.DataFrame, key: str, axis: str) -> Iterator[str]:
    """Each value with the rows that have it (``3 for ce``), or with the columns if each of these has one value."""
    cells = {place: _values(cell[key], key) for place, cell in runs.groupby(["column", "row"], observed=True)}
    columns = {column: {text for (one, _), text in cells.items() if one == column} for column, _ in cells}
    rows = {row: {text for (_, one), text in cells.items() if one == row} for _, row in cells}
    places: dict[str, list[str]] = {}
    if all(len(texts) == 1 for texts in columns.values()) and len(set(cells.values())) > 1 and len(columns) > 1:
        for column, (text,) in columns.items():
            places.setdefault(text, []).append(f"{axis} {column_text(column)}")
    else:
        for (column, row), text in cells.items():
            name = str(row) if len(rows[row]) == 1 else f"{row} at {axis} {column_text(column)}"
            if name not in places.setdefault(text, []):
                places[text].append(name)
    most = max(places, key=lambda text: len(places[text]))
    last = [most] if len(places[most]) > FEW else []
    for text in [text for text in places if text not in last]:
        yield f"{text} for {' and '.join(places[text])}"
    yield from (f"{text} for the others" for text in last)


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
