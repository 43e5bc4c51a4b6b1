"""The numbers of figures, computed once for the pictures and for the page: means, spreads, shares and counts."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lnl.reporting.arrange import visits_part
from lnl.reporting.results import read_confusions, read_transition
from lnl.reporting.tables import averages

CURVES = {  # of metrics.csv and of `fitted`: name and scale
    "val/loss": ("validation loss (noisy labels)", 1.0),
    "val/accuracy": ("validation accuracy (noisy labels), %", 100.0),
    "train/loss": ("training loss", 1.0),
    "train/accuracy": ("training accuracy (given labels), %", 100.0),
    "fitted_correct": ("correctly labelled samples fitted", 1.0),
    "fitted_wrong": ("wrongly labelled samples fitted", 1.0),
}


class Setting:
    """The runs of one setting, and the numbers that its figures show.

    Args:
        name: of the setting.
        runs: as of :func:`lnl.reporting.arrange.arrange`, with ``repeated``.
        epochs: ``metrics.csv`` of these runs, one row for each epoch.
        metrics: columns of numbers to average.
    """

    def __init__(self, name: str, runs: pd.DataFrame, epochs: pd.DataFrame, metrics: Sequence[str]) -> None:
        self.name, self._metrics = name, list(metrics)
        self.runs = runs.assign(column=runs["column"].infer_objects())
        self.epochs = fitted(epochs.assign(column=epochs["column"].infer_objects()))
        self.columns: list[Any] = sorted(self.runs["column"].unique())

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Every metric by protocol, row and column, as of :func:`lnl.reporting.tables.averages`."""
        return averages(self.runs, ["protocol", "row", "column"], self._metrics)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Every curve by row, column and epoch, as of :func:`by_epoch`."""
        return by_epoch(self.epochs, ["row", "column"])

    @cached_property
    def classes(self) -> list[str]:
        """The classes of the first run."""
        return read_confusions(self.runs["path"].iloc[0])[0]

    @cached_property
    def confusions(self) -> dict[tuple[str, str, Any], np.ndarray]:
        """Confusion matrices, true class by row, by protocol, row and column: counts summed over runs."""
        summed: dict[tuple[str, str, Any], np.ndarray] = {}
        runs = self.runs.loc[~self.runs["repeated"], ["path", "protocol", "row", "column"]]
        for path, entries in runs.groupby("path", sort=False):
            classes, matrices = read_confusions(str(path))
            for _, protocol, row, column in entries.itertuples(index=False):
                if classes == self.classes and protocol in matrices:
                    key = (str(protocol), str(row), column)
                    summed[key] = summed.get(key, 0) + matrices[protocol]
        return summed

    @cached_property
    def transitions(self) -> dict[Any, np.ndarray]:
        """The matrix that wrong labels were drawn by, true class by row, of the first run of each column."""
        first = self.runs.drop_duplicates("column").set_index("column")["path"]
        found = {column: read_transition(first[column]) for column in self.columns}
        return {column: matrix for column, matrix in found.items() if matrix is not None and matrix.ndim == 2}


def fitted(epochs: pd.DataFrame) -> pd.DataFrame:
    """Adds ``fitted_correct`` and ``fitted_wrong``: how many correctly and wrongly labelled samples the model fits.

    Both are NaN if the number of wrong labels is unknown, and for epochs that visited a part of the samples.
    """
    size, rate = epochs["train_samples"].astype(float).mask(visits_part(epochs)), epochs["train_rate"].astype(float)
    nothing = pd.Series(np.nan, index=epochs.index)
    return epochs.assign(
        fitted_correct=(size * (1 - rate)).round() * epochs.get("train/accuracy_correct", nothing),
        fitted_wrong=(size * rate).round() * epochs.get("train/memorised", nothing),
    )


def by_epoch(epochs: pd.DataFrame, by: Sequence[str], curves: Sequence[str] = tuple(CURVES)) -> pd.DataFrame:
    """``mean``, ``std`` and ``count`` of each curve at each epoch, over the runs of each group.

    Args:
        epochs: a row for each run and epoch (from 0).
        by: the columns that make a group.
        curves: columns of numbers; those without a number are left out.

    Returns:
        A row for each group and epoch (from 1), with columns ``(curve, statistic)``.
    """
    there = [name for name in curves if name in epochs and epochs[name].notna().any()]
    groups = epochs.assign(epoch=epochs["epoch"] + 1).groupby([*by, "epoch"], observed=True)
    return groups[there].agg(["mean", "std", "count"]) if there else pd.DataFrame()


def shares(counts: np.ndarray) -> np.ndarray:
    """Each row of ``counts[K, K]`` divided by its sum; zeros stay zeros."""
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
