"""Labels from a file, and trusted samples."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lnl.labels.classes import class_numbers, cleaned, no_class
from lnl.labels.labels import Integers, Labels, Trusted, stratified_choice
from lnl.labels.tables import missing_column, read_csv


def read_labels(path: Path, classes: Sequence[str], files: Sequence[str] | None = None) -> tuple[Integers, Integers]:
    """Sample numbers and labels from a file.

    The file is a ``.npy`` array ``[n]`` or ``[n, 1]`` of numbers or names, or a CSV. A CSV has the columns ``label``
    and, unless labels are in the dataset's order, ``index`` (from 0) or ``file``; or no header and one label per line.
    Labels are class names or numbers (:func:`lnl.labels.classes.class_numbers`).

    Args:
        path: of the file.
        classes: K names.
        files: names of the samples, if they have names: a column ``file`` then identifies them.

    Returns:
        Sorted index ``[n]``, and labels ``[n]`` in ``[0, K)``. A ValueError or UserError names a file without them.
    """
    table = label_table(path)
    try:
        written = [cleaned(label) for label in table["label"].astype(str)]
        if "" in written:
            raise ValueError(f"the label in row {written.index('') + 1} is empty")
        numbers = class_numbers(dict.fromkeys(written), classes)
        if unknown := next((label for label in written if label not in numbers), None):
            raise ValueError(no_class(unknown, classes))
        labels = np.array([numbers[label] for label in written], dtype=np.int64)
        index = pd.to_numeric(table["index"]).to_numpy() if "index" in table else np.arange(len(table))
        if len(np.unique(index)) != len(index) or not (index % 1 == 0).all() or (index < 0).any():
            raise ValueError("its `index` must be different whole numbers from 0")
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be used as labels: {error}") from error
    order = np.argsort(index)
    index, labels = index.astype(np.int64)[order], labels[order]
    if files is not None and "file" in table and ((named := table["file"].iloc[order]) != "").any():
        index = _places(named.tolist(), files, path)
        order = np.argsort(index)
        index, labels = index[order], labels[order]
    return index, labels


def label_table(path: Path) -> pd.DataFrame:
    """The content of a file of labels, with a column ``label``; raises as :func:`read_labels`."""
    if not path.is_file():
        raise ValueError(f"there is no file of labels at {path}")
    try:
        if path.suffix.lower() == ".npy":
            return pd.DataFrame({"label": label_texts(_load(path))})
        table = read_csv(path, reads="a CSV, or a .npy of labels,")
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be used as labels: {error}") from error
    if table.shape[1] == 1 and "label" not in table:  # the header is a label
        (first,) = table
        table = pd.DataFrame({"label": [first, *table[first]]})
    if "label" not in table:
        raise missing_column(path, table, "label", "rename the one of the labels to label", "index,label")
    return table


def label_texts(labels: NDArray[Any]) -> NDArray[np.str_]:
    """Labels ``[N]`` or ``[N, 1]``, numbers or names, as text, NaN as empty text; ValueError for other arrays."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        hint = "; array.argmax(1) makes labels of probabilities" if labels.ndim == 2 and len(labels) > 1 else ""
        raise ValueError(f"it must be [N], got {list(labels.shape)}{hint}")
    if labels.dtype.kind not in "iufUSb":
        raise ValueError(f"it must be numbers or names, got {labels.dtype}")
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8")
    missing = np.isnan(labels) if labels.dtype.kind == "f" else False
    return np.where(missing, "", labels.astype(str))


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
    """The places of ``named`` files in ``files``; repeated names are matched in order."""
    keys = _numbered(named)
    places = _numbered(files).get_indexer(keys)
    if len(unknown := keys[places < 0]):
        raise ValueError(
            f"{path} is of other files: {len(unknown)} of {len(keys)} are not for training, first {unknown[0][0]}.\n"
            "Are they held out for testing? data.test_fraction=0 holds none out; "
            f"data=table data.path={path} trains on the files that it names."
        )
    return places


def _numbered(names: Sequence[str]) -> pd.MultiIndex:
    """Each name, stripped, and how often it occurred before."""
    stripped = pd.Series(names, dtype=object).str.strip()
    return pd.MultiIndex.from_arrays([stripped, stripped.groupby(stripped).cumcount()])


def as_mask(chosen: ArrayLike | None, count: int) -> NDArray[np.bool_] | None:
    """``[count]`` bool of samples given as such or by numbers in ``[0, count)``, else ValueError; None for None."""
    if chosen is None:
        return None
    trusted = np.asarray(chosen)
    if trusted.dtype == bool and trusted.shape == (count,):
        return trusted
    if trusted.dtype == bool or trusted.ndim != 1 or (trusted.size and not np.issubdtype(trusted.dtype, np.integer)):
        raise ValueError(
            f"trusted must be {count} booleans or numbers of samples, got {trusted.dtype} of shape {trusted.shape}"
        )
    if trusted.size and not 0 <= trusted.min() <= trusted.max() < count:
        raise ValueError(f"trusted names sample {trusted.max()} or {trusted.min()}, but samples are 0..{count - 1}")
    return np.isin(np.arange(count), trusted)


def trusted_file(spec: int | str | None) -> Path | None:
    """The file that ``data.trusted`` names, if it names one."""
    return Path(spec).expanduser() if isinstance(spec, str) and Path(spec).suffix in (".csv", ".npy") else None


def check_trusted(trusted: Trusted) -> None:
    """Raises ValueError if there are no trusted samples, for a method that needs some."""
    if not len(trusted):
        raise ValueError(
            "this method needs samples with trusted labels: a column trusted (true or false) in the table, or "
            "data.trusted=, a number or a CSV.\nFrom Python, fit(images, labels, trusted=...)."
        )


def with_trusted(labels: Labels, spec: int | str | None, seed: int) -> Labels:
    """The labels with the trusted samples that ``data.trusted`` names.

    Args:
        labels: of the training set, before noise. Their truth is read only to draw a number of samples.
        spec: null for the samples that the data itself calls trusted; a number of samples, drawn with ``seed`` and
            stratified; ``first-n`` for the first n samples, whose given labels are right; or a file of right labels
            (:func:`read_labels`).

    Raises:
        ValueError: for samples outside the training set, or a draw from labels whose truth is not known.
    """
    if spec is None:
        return labels
    first, total, right = str(spec).removeprefix("first-"), len(labels), labels.given
    if type(spec) is int or str(spec).isdecimal():
        if not 0 <= int(spec) <= total:
            raise ValueError(f"data.trusted must be between 0 and the {total} training samples, got {spec}")
        if labels.truth is None:
            raise ValueError(
                f"data.trusted={spec} would be drawn from labels that may all be wrong: name those that are right, "
                "in a .csv (index,label), as first-<n>, or in a table's column `trusted`."
            )
        right = labels.truth
        index = stratified_choice(right, int(spec), np.random.default_rng([seed, *b"trusted"]))
    elif str(spec).startswith("first-") and first.isdecimal():
        if int(first) > total:
            raise ValueError(f"data.trusted={spec}, but there are {total} training samples")
        index = np.arange(int(first))
    elif path := trusted_file(spec):
        index, written = read_labels(path, labels.classes, labels.names)
        if len(index) and index.max() >= total:
            raise ValueError(f"{spec} names sample {index.max()}, but there are {total} training samples from 0")
        return replace(labels, trusted=Trusted(index, written))
    else:
        raise ValueError(f"data.trusted must be a number, first-<n>, or a .csv or .npy file, got '{spec}'")
    return replace(labels, trusted=Trusted(index, right[index]))
