"""What the blocks of several pages have in common."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lnl.reporting import figures
from lnl.reporting.material import by_epoch
from lnl.reporting.results import read_metrics
from lnl.reporting.tables import Format, Summary, averages, cells, checked, markdown, seeds_note

Blocks = dict[str, Callable[["Study"], str]]

BEST, WORST = Format(best="max"), Format(best="min")
SECONDS, MILLISECONDS = Format(scale=1), Format(scale=1000, digits=3)


class Missing(Exception):
    """The runs of a block are not there."""


class Study:
    """The runs that a page's blocks are made of, and where its figures go."""

    name = ""  # of the block that is being made

    def __init__(self, runs: pd.DataFrame, folder: Path) -> None:
        self.all, self.folder = runs, folder

    def runs(self, *sweeps: str, **where: Any) -> pd.DataFrame:
        """The runs of experiments, last epoch, with these values."""
        chosen = self.all[self.all["sweep"].isin(sweeps) & (self.all["protocol"] == "last")] if len(self.all) else None
        for key, value in where.items():
            chosen = None if chosen is None else chosen[chosen[key] == value]
        if chosen is None or chosen.empty:
            wanted = "".join(f", {key} {value}" for key, value in where.items())
            raise Missing(f"there are no runs of {', '.join(sweeps)}{wanted}")
        return chosen

    def picture(self, figure: Any, text: str) -> str:
        """Saves a figure under the block's name and shows it."""
        path = self.folder / f"{self.name}.png"
        figures.save(figure, path)
        return f"![{text}](figures/{self.folder.name}/{path.name})"


def with_columns(runs: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The runs, if something in these columns is known."""
    if not all(column in runs and runs[column].notna().any() for column in columns):
        raise Missing(f"no run has {' and '.join(columns)}")
    return runs


def machine(runs: pd.DataFrame) -> str:
    """How long all the runs took to train, and where."""
    where = " and ".join(sorted(runs["device_name"].unique()))
    number = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return f"{number}, {runs['fit_seconds'].sum() / 60:.0f} minutes of training in all, on {where}."


def cost(runs: pd.DataFrame, accuracies: dict[str, str], corner: str) -> str:
    """Accuracy beside size, memory and time, by the column ``label``."""
    columns = accuracies | {
        "parameters": "parameters",
        "checkpoint MB": "checkpoint_bytes",
        "peak memory MB": "peak_memory_bytes",
        "training s": "fit_seconds",
        "inference ms an image": "seconds_per_image",
    }
    formats = dict.fromkeys(accuracies, BEST) | {
        "parameters": Format(1, 0, spread=False),
        "checkpoint MB": Format(1e-6, 1, spread=False),
        "peak memory MB": Format(1e-6, 0),
        "training s": SECONDS,
        "inference ms an image": MILLISECONDS,
    }
    ours = summary(runs, "label", {name: column for name, column in columns.items() if column in runs}, "runs")
    return f"{markdown(cells(ours, formats), corner)}\n\n{seeds_note(ours)} {machine(runs)}"


def summary(
    runs: pd.DataFrame, rows: str, metrics: Mapping[str, str], over: Literal["seeds", "runs"] = "seeds"
) -> Summary:
    """Several metrics by one column of ``runs``, as in :func:`lnl.reporting.tables.pivot`.

    Args:
        runs: of one protocol.
        rows: the column.
        metrics: the column of ``runs`` for each column of the table; missing ones are left out.
        over: ``runs`` averages over all runs of a row, whatever they differ in (times, sizes).
    """
    metrics = {name: column for name, column in metrics.items() if column in runs}
    chosen, text, repeated = list(dict.fromkeys(metrics.values())), "", 0
    if over == "seeds":
        text, repeated = checked(runs, [rows], chosen)
        table = averages(runs, [rows], chosen, observed=False)
    else:
        table = runs.groupby(rows, observed=False)[chosen].agg(["mean", "std", "count"])
    mean, std, count = (
        pd.DataFrame({name: table[column, part] for name, column in metrics.items()})
        for part in ("mean", "std", "count")
    )
    return Summary(mean, std, count, text or f"{count.max().max():g} runs", repeated)


def named(runs: pd.DataFrame, names: dict[str, dict[str, Any]], column: str = "label") -> pd.DataFrame:
    """The runs that ``names`` describes, with the name of each in ``column``, in the order of ``names``.

    Args:
        runs: as of :func:`lnl.reporting.results.read_runs` or ``published``.
        names: for each name, the values of columns that tell its runs.
        column: to be added.
    """
    parts = []
    for name, values in names.items():
        chosen = np.ones(len(runs), dtype=bool)
        for key, value in values.items():
            chosen &= (runs[key] == value).to_numpy() if key in runs else False
        parts.append(runs[chosen].assign(**{column: name}))
    together = pd.concat(parts) if parts else runs.iloc[:0].assign(**{column: ""})
    return together.assign(**{column: pd.Categorical(together[column], list(names), ordered=True)})


def epochs_until(run: Path | str, column: str, value: float) -> float:
    """After how many epochs a column of ``metrics.csv`` first reached ``value``; NaN if it never did."""
    reached = np.flatnonzero(read_metrics(run)[column] >= value)
    return float(reached[0] + 1) if len(reached) else np.nan


def curves(axes: Axes, runs: pd.DataFrame, group: str, column: str, scale: float = 1.0) -> None:
    """A column of ``metrics.csv`` against the epoch (from 1), a line for each ``group``, mean over its runs."""
    known = [group, "path"]
    tables = [read_metrics(path).assign(path=path) for path in runs["path"]]
    if any(column in table for table in tables):
        averaged = by_epoch(pd.concat(tables).merge(runs[known], on="path"), [group], [column])
        figures.epoch_curves(axes, averaged.droplevel(0, axis="columns"), scale)
    axes.set_xlabel("epoch")
