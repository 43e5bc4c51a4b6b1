"""Labels from a file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lnl.labels.choice import check_labels
from lnl.labels.classes import class_numbers, cleaned, no_class
from lnl.labels.labels import Integers
from lnl.labels.tables import missing_column, read_csv


def read_labels(path: Path, classes: Sequence[str], files: Sequence[str] | None = None) -> tuple[Integers, Integers]:
    """Sample numbers and labels from a file.

    A ``.npy`` array ``[n]`` or ``[n, 1]`` of numbers or names, or a CSV: with a header, the columns ``label`` and,
    unless the labels are in the dataset's order, ``index`` (from 0) or ``file``; without one, a label a line. Labels
    are class names, or class numbers (:func:`lnl.labels.classes.class_numbers`).

    Args:
        path: of the file.
        classes: K names.
        files: of the samples, where they have names. A ``file`` that the table has then says which sample is meant.

    Returns:
        index ``[n]``, sorted, and labels ``[n]`` in ``[0, K)``.

    Raises:
        ValueError, UserError: naming the file, if it cannot be read so.
    """
    if not path.is_file():
        raise ValueError(f"there is no file of labels at {path}")
    try:
        if path.suffix.lower() == ".npy":
            table = pd.DataFrame({"label": label_texts(_load(path))})
        else:
            table = read_csv(path, reads="a CSV, or a .npy of labels,")
            if table.shape[1] == 1 and "label" not in table:  # the header is a label
                (first,) = table
                table = pd.DataFrame({"label": [first, *table[first]]})
        if "label" not in table:
            raise missing_column(path, table, "label", "rename the one of the labels to label", "index,label")
        labels = _numbers(table["label"].astype(str), classes)
        check_labels(labels, len(classes))
        index = pd.to_numeric(table["index"]).to_numpy() if "index" in table else np.arange(len(table))
        if len(np.unique(index)) != len(index) or not (index % 1 == 0).all() or (index < 0).any():
            raise ValueError("its `index` must be different whole numbers from 0")
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be used as labels: {error}") from error
    order = np.argsort(index)
    index, labels = index.astype(np.int64)[order], labels.astype(np.int64)[order]
    if files is not None and "file" in table and ((named := table["file"].iloc[order]) != "").any():
        index = _places(named.tolist(), files, path)
        order = np.argsort(index)
        index, labels = index[order], labels[order]
    return index, labels


def label_texts(labels: NDArray[Any]) -> NDArray[np.str_]:
    """Labels ``[N]`` or ``[N, 1]``, numbers or names, as text; the missing ones empty.

    Raises:
        ValueError: if they are of another form.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        hint = "; array.argmax(1) makes labels of probabilities" if labels.ndim == 2 and len(labels) > 1 else ""
        raise ValueError(f"it must be [N], got {list(labels.shape)}{hint}")
    if labels.dtype.kind not in "iufUSb":
        raise ValueError(f"it must be numbers or names, got {labels.dtype}")
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8")
    if labels.dtype.kind == "f":
        return np.where(np.isnan(labels), "", labels.astype(str))
    return labels.astype(str)


def _load(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError("it is no array of NumPy's, or several (.npz): np.save(path, labels) writes one")
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        what = "it holds Python objects, which could run code" if "allow_pickle" in str(error) else "it is damaged"
        raise ValueError(f"{what}: np.save(path, labels) writes numbers or names") from error


def _places(named: Sequence[str], files: Sequence[str], path: Path) -> Integers:
    """Where in ``files`` each is that a table names; those of one name follow one another."""
    place = {key: number for number, key in enumerate(_numbered([name.strip() for name in files]))}
    keys = _numbered([name.strip() for name in named])
    if unknown := [name for name, turn in keys if (name, turn) not in place]:
        raise ValueError(
            f"{path} is of other files: {len(unknown)} of {len(keys)} are not for training, first {unknown[0]}.\n"
            "Are they held out for testing? data.test_fraction=0 holds none out; "
            f"data=table data.path={path} trains on the files that it names."
        )
    return np.array([place[key] for key in keys], dtype=np.int64)


def _numbered(names: Sequence[str]) -> list[tuple[str, int]]:
    """Each name, and how often it was there before."""
    before: Counter[str] = Counter()
    keys = []
    for name in names:
        keys.append((name, before[name]))
        before[name] += 1
    return keys


def _numbers(written: "pd.Series[str]", classes: Sequence[str]) -> Integers:
    labels = [cleaned(label) for label in written]
    if "" in labels:
        raise ValueError(f"the label in row {labels.index('') + 1} is empty")
    numbers = class_numbers(dict.fromkeys(labels), classes)
    if unknown := next((label for label in labels if label not in numbers), None):
        raise ValueError(no_class(unknown, classes))
    return np.array([numbers[label] for label in labels], dtype=np.int64)
