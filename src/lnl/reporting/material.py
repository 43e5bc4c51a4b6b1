"""The options of a report, and the runs, tables and numbers that they ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lnl.errors import UserError, nearest
from lnl.reporting.arrange import arrange, check_column, visits_part
from lnl.reporting.comparison import ORACLE, PROTOCOLS, Comparison, compare, metrics_of
from lnl.reporting.published import published_beside
from lnl.reporting.results import read_confusions, read_folders, read_metrics, read_transition
from lnl.reporting.significance import copies
from lnl.runs.find import find_others, find_runs, named_folders
from lnl.runs.folder import RunFolder

CURVES = {  # of metrics.csv and of `fitted`: name and scale
    "val/loss": ("validation loss (noisy labels)", 1.0),
    "val/accuracy": ("validation accuracy (noisy labels), %", 100.0),
    "train/loss": ("training loss", 1.0),
    "train/accuracy": ("training accuracy (given labels), %", 100.0),
    "fitted_correct": ("correctly labelled samples fitted", 1.0),
    "fitted_wrong": ("wrongly labelled samples fitted", 1.0),
}


@dataclass(frozen=True)
class Options:
    """Those of ``conf/report.yaml``."""

    runs: str | Sequence[str] | None
    name: str | None
    output_dir: str
    rows: str | Sequence[str]
    columns: str
    metric: str | Sequence[str]
    protocol: str | Sequence[str] | None
    oracle: bool
    baseline: str | None
    against: str | None
    names: Mapping[str, str] | None
    tables: Sequence[str]
    figures: Sequence[str]
    page: bool


class Setting:
    """The runs of one setting, and the numbers that its figures show; arguments as in :class:`Material`."""

    def __init__(self, name: str, runs: pd.DataFrame, epochs: pd.DataFrame) -> None:
        self.name, self.runs = name, runs.assign(column=runs["column"].infer_objects())
        self.epochs = epochs.assign(column=epochs["column"].infer_objects())
        self.columns: list[Any] = sorted(self.runs["column"].unique())

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


@dataclass(frozen=True)
class Material:
    """The material of the tables, figures and page of a report."""

    name: str
    runs: pd.DataFrame  # of `arrange`, of the protocols asked for; `repeated` marks runs that count with another one
    rows: str  # the name of that axis
    columns: str
    metrics: list[str]
    tables: list[Comparison]  # of each metric, setting and protocol
    settings: list[Setting]
    epochs: pd.DataFrame  # `metrics.csv` of all runs, with a row for each epoch
    skipped: dict[Path, str]  # folders that are left out, with the reason

    @property
    def single(self) -> pd.DataFrame:
        """Each run once."""
        return self.runs.drop_duplicates("path")

    @property
    def order(self) -> list[str]:
        """The rows, in the order that gives them their colours."""
        return [str(row) for row in self.runs["row"].cat.categories]

    @property
    def numbers(self) -> dict[str, int]:
        """The place of each row in :attr:`order`."""
        return {row: number for number, row in enumerate(self.order)}


def gather(options: Options) -> Material:
    """Reads and arranges the runs; raises UserError as :func:`lnl.reporting.report.write_report`."""
    given = named_folders(options.runs)
    name = _name(options.name, given)
    runs, skipped = read_folders(find_runs(given))
    skipped |= find_others(given, Path(options.output_dir).expanduser())
    if runs.empty:
        first = "".join(f"\n{folder}: {reason}" for folder, reason in list(skipped.items())[:1])
        raise UserError(f"there is no finished run in {', '.join(map(str, given))}{first}")
    runs = _with_errors(runs.drop_duplicates(["identity", "protocol"], ignore_index=True))
    runs = _of_protocols(runs, options.protocol, options.oracle)
    rows = _listed("rows", options.rows)
    runs = arrange(runs, rows, options.columns, options.names)
    runs = runs.assign(repeated=copies(runs, ["protocol", "setting", "row", "column"]))
    metrics = _listed("metric", options.metric)
    for metric in metrics:
        check_column(runs, "metric", metric, metrics_of(runs))
    order = [str(row) for row in runs["row"].cat.categories]
    baseline = _baseline(options.baseline, order, runs)
    shown_rows = ", ".join(rows) if rows != ["method", "loss"] else "method"
    named = [*rows, options.columns, "callbacks"]
    tables = []
    for metric in metrics:
        others = published_beside(runs, options.against, metric) if options.against else None
        tables += compare(runs, shown_rows, options.columns, metric, others, baseline, named)
    epochs = fitted(_epochs(runs, skipped))
    settings = [
        Setting(str(setting), members, epochs[epochs["setting"] == setting])
        for setting, members in runs.groupby("setting", sort=False)
    ]
    return Material(name, runs, shown_rows, options.columns, metrics, tables, settings, epochs, skipped)


def _epochs(runs: pd.DataFrame, skipped: dict[Path, str]) -> pd.DataFrame:
    """``metrics.csv`` of the runs, with a row for each epoch; adds files that cannot be read to ``skipped``."""
    facts = ["path", "setting", "row", "column", "train_samples", "train_rate"]
    parts = []
    for path, run in runs[~runs["repeated"]].drop_duplicates("path")[facts].groupby("path"):
        try:
            parts.append(read_metrics(str(path)).merge(run, how="cross"))
        except (OSError, ValueError) as error:
            skipped[RunFolder(str(path)).metrics] = f"no curves of this run: {type(error).__name__}"
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["epoch", *facts])


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

    Returns a row for each group, which the columns ``by`` make, and epoch (from 1, in ``epochs`` from 0), and columns
    ``(curve, statistic)``; curves without a number are left out.
    """
    there = [name for name in curves if name in epochs and epochs[name].notna().any()]
    groups = epochs.assign(epoch=epochs["epoch"] + 1).groupby([*by, "epoch"], observed=True)
    return groups[there].agg(["mean", "std", "count"]) if there else pd.DataFrame()


def shares(counts: np.ndarray) -> np.ndarray:
    """Each row of ``counts[K, K]`` divided by its sum; zeros stay zeros."""
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def facts(material: Material) -> str:
    """Counts and settings: ``60 runs, 4 methods, 5 rates, 2 seeds × 3 draws of the wrong labels: cifar10, cnn``."""
    runs = material.single

    def number(count: int, name: str) -> str:
        return f"{count} {name}{'s' * (count != 1)}" if name.isalpha() else f"{count} values of {name}"

    parts = {material.rows: "row", material.columns: "column", "seed": "seed"}
    counts = [number(runs[key].nunique(), name) for name, key in parts.items()]
    seeds, draws, both = (len(runs.drop_duplicates(keys)) for keys in ("seed", "noise_seed", ["seed", "noise_seed"]))
    if seeds < both:
        counts[-1] += f"{' ×' if both == seeds * draws else ','} {draws} draws of the wrong labels"
    return f"{', '.join([number(len(runs), 'run'), *counts])}: {'; '.join(dict.fromkeys(runs['setting']))}"


def _listed(key: str, value: str | Sequence[str] | None) -> list[str]:
    if not isinstance(value, Sequence) or not value:
        raise UserError(f"{key} must be a name or a list of names, got {value}")
    return [value] if isinstance(value, str) else list(dict.fromkeys(value))


def _name(given: str | None, folders: Sequence[Path]) -> str:
    name = given or "+".join([*dict.fromkeys(folder.resolve().name for folder in folders)][:3])
    if Path(name).name != name or name in (".", ".."):
        raise UserError(f"name must be the name of a folder in output_dir, got '{name}'")
    return name


def _with_errors(runs: pd.DataFrame) -> pd.DataFrame:
    """Adds ``<split>/error`` for every ``<split>/accuracy``."""
    accuracies = [str(column) for column in runs if str(column).endswith("/accuracy")]
    return runs.assign(**{column.replace("/accuracy", "/error"): 1 - runs[column] for column in accuracies})


def _of_protocols(runs: pd.DataFrame, given: str | Sequence[str] | None, oracle: bool) -> pd.DataFrame:
    there = list(dict.fromkeys(runs["protocol"]))
    usual = [name for name in PROTOCOLS if name in there and name != ORACLE]
    wanted = usual if given is None else _listed("protocol", given)
    if ORACLE in wanted and not oracle:
        raise UserError(f"{ORACLE} is selected on the test set: oracle=true adds it, marked as such")
    for protocol in wanted:
        if protocol not in there:
            have = ", ".join(name for name in there if name != ORACLE or oracle)
            raise UserError(f"protocol={protocol}: no run has it{nearest(protocol, there)}\nThere are {have}.")
    if oracle and ORACLE not in there:
        raise UserError(f"oracle=true: no run has {ORACLE}; train with oracle=true to have it.")
    return runs[runs["protocol"].isin([*wanted, *([ORACLE] if oracle else [])])].reset_index(drop=True)


def _baseline(given: str | None, order: list[str], runs: pd.DataFrame) -> str | None:
    """The row to test against: the one that was asked for, else plain cross entropy if it is one row of several."""
    if given is not None and given not in [*order, "none"]:
        raise UserError(f"baseline={given}: there is no such row{nearest(given, order)}\nThere are {', '.join(order)}.")
    if given is not None:
        return None if given == "none" else given
    ce = runs[(runs["method"] == "baseline") & (runs["loss"] == "ce")]
    plain = (ce[ce["callbacks"] == ""] if (ce["callbacks"] == "").any() else ce)["row"].unique()
    return str(plain[0]) if len(plain) == 1 and len(order) > 1 else None
