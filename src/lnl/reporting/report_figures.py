"""The figures of a report. Each row of its tables has one colour in all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype

from lnl.reporting import figures
from lnl.reporting.comparison import PROTOCOLS, Comparison, metric_format, metric_text, slug
from lnl.reporting.material import Material
from lnl.reporting.results import read_transition
from lnl.reporting.settings import partial_note, visits_part
from lnl.reporting.tables import column_text, pivot

MOST_COLUMNS, MOST_ROWS = 6, 8  # of panels side by side, and below one another
LEGEND_ROWS = 24  # more names than these are no legend


@dataclass(frozen=True)
class Drawn:
    """A figure, the name of its file, and what it shows."""

    name: str
    text: str
    figure: Figure


def write_figures(material: Material, folder: Path, formats: Sequence[str]) -> dict[str, str]:
    """Writes all figures that the runs have something for; returns their names and what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for drawn in draw_all(material):
        if "png" in formats:
            figures.save(drawn.figure, folder / f"{drawn.name}.png")
            drawn.figure.set_layout_engine("none")  # everything has its place now, which takes longest to find
        if "svg" in formats:
            with mpl.rc_context({"svg.hashsalt": drawn.name}):  # the same file for the same figure
                drawn.figure.savefig(folder / f"{drawn.name}.svg", metadata={"Date": None})
        written[drawn.name] = drawn.text
    return written


def draw_all(material: Material) -> Iterator[Drawn]:
    """Every figure of every setting."""
    for table in material.tables:
        if table.values.mean.shape[1] > 1 and table.values.mean.notna().any(axis=None):
            yield _against(material, table)
    for setting, runs in material.runs.groupby("setting", sort=False):
        one = Setting(material, str(setting), runs)
        yield from filter(None, (draw() for draw in (one.epochs, one.errors, one.memorisation)))
        yield from filter(None, (draw() for draw in (one.transition, one.confusion, one.time)))


def _against(material: Material, table: Comparison) -> Drawn:
    figure, (axes,) = figures.panels()
    figures.against(axes, table.values, table.form.scale, numbers=_numbers(material))
    _label_columns(axes, table.values.mean.columns, material.columns)
    axes.set_ylabel(metric_text(table.metric))
    axes.set_title(f"{table.setting}, {PROTOCOLS.get(table.protocol, table.protocol)}", fontsize=9)
    _legend(axes, len(table.values.mean))
    text = f"{_capital(metric_text(table.metric))} against {material.columns}: {table.setting}, "
    text += f"{PROTOCOLS.get(table.protocol, table.protocol)}. Bands: one sample standard deviation over seeds."
    runs = material.runs[material.runs["setting"] == table.setting]
    text += partial_note(runs[runs["protocol"] == table.protocol], table.metric)
    return Drawn(slug("against", material.columns, table.slug), text, figure)


def _numbers(material: Material) -> dict[Any, int]:
    return {row: number for number, row in enumerate(material.order)}


def _legend(axes: Axes, rows: int) -> None:
    if rows <= LEGEND_ROWS:
        axes.legend(fontsize=8 if rows <= 8 else 6, ncols=1 if rows <= 8 else 2)


def _label_columns(axes: Axes, columns: pd.Index, name: str) -> None:
    axes.set_xlabel("noise rate" if name == "rate" else name)
    if not is_numeric_dtype(columns):
        axes.set_xticks(range(len(columns)), [column_text(column) for column in columns], rotation=20, ha="right")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class Setting:
    """The figures of the runs of one setting, by the last epoch (or the first protocol there is)."""

    def __init__(self, material: Material, name: str, runs: pd.DataFrame) -> None:
        self.material, self.name, self.numbers = material, name, _numbers(material)
        protocols = list(dict.fromkeys(runs["protocol"]))
        self.protocol = "last" if "last" in protocols else protocols[0]
        self.runs = runs[runs["protocol"] == self.protocol].assign(column=runs["column"].infer_objects())
        self.shown = _spread(sorted(self.runs["column"].unique()), MOST_COLUMNS)

    def epochs(self) -> Drawn | None:
        """Validation loss above training accuracy, a panel for each column of the tables."""
        lines = {
            "val/loss": ("validation loss\n(noisy labels)", 1.0),
            "train/accuracy": ("training accuracy\n(noisy labels), %", 100.0),
        }
        text = "Validation loss and training accuracy, both on noisy labels, against epoch"
        return self._by_epoch("epochs", text, lines, self.material.epochs, remark=True)

    def memorisation(self) -> Drawn | None:
        """How many training samples are fitted: of those labelled correctly, and of those labelled wrongly."""
        table = fitted(self.material.epochs)
        lines = {"fitted_correct": ("correct labels\nfitted", 1.0), "fitted_wrong": ("wrong labels\nfitted", 1.0)}
        text = (
            "Training samples whose given label the model predicts, against epoch: correctly and wrongly labelled ones"
        )
        return self._by_epoch("memorisation", text, lines, table)

    def _by_epoch(
        self, name: str, text: str, lines: dict[str, tuple[str, float]], table: pd.DataFrame, remark: bool = False
    ) -> Drawn | None:
        here = table[(table["setting"] == self.name) & table["column"].isin(self.shown)]
        lines = {column: line for column, line in lines.items() if column in here and here[column].notna().any()}
        if not lines or here["epoch"].max() < 1:  # one epoch is no curve
            return None
        figure, axes = _grid(len(lines), len(self.shown), sharex=True, sharey="row")
        for i, (column, (label, scale)) in enumerate(lines.items()):
            for j, value in enumerate(self.shown):
                there = here[(here["column"] == value) & here[column].notna()]
                if len(there):
                    figures.epoch_curves(
                        axes[i][j], there, "row", column, scale, self.numbers, marker="", linewidth=1.2
                    )
                else:  # the axis stays, for the panels beside it
                    axes[i][j].text(0.5, 0.5, "none", transform=axes[i][j].transAxes, ha="center", fontsize=8)
            axes[i][0].set_ylabel(label)
        for j, value in enumerate(self.shown):
            axes[0][j].set_title(self._column(value), fontsize=9)
            axes[-1][j].set_xlabel("epoch")
        _shared_legend(figure, axes)
        return Drawn(slug(name, self.name), f"{text}: {self.name}.{partial_note(here) if remark else ''}", figure)

    def errors(self) -> Drawn | None:
        """Train and test error side by side, against the tables' columns."""
        sides = {"train/error": "training error (given labels), %", "test/error": "test error, %"}
        if len(self.shown) < 2 or not all(side in self.runs and self.runs[side].notna().any() for side in sides):
            return None
        figure, axes = figures.panels(2, 3.6)
        here = self.runs.assign(row=self.runs["row"].cat.remove_unused_categories())
        for one, (side, label) in zip(axes, sides.items(), strict=True):
            values = pivot(here, "row", "column", side)
            figures.against(one, values, numbers=self.numbers)
            _label_columns(one, values.mean.columns, self.material.columns)
            one.set_ylabel(label)
        _legend(axes[0], here["row"].nunique())
        text = f"Train and test error against {self.material.columns}: {self.name}, {PROTOCOLS.get(self.protocol, '')}."
        return Drawn(slug("errors", self.name), text + partial_note(here), figure)

    def transition(self) -> Drawn | None:
        """The matrix that wrong labels were drawn by, for each column of the tables: of its first run."""
        matrices = []
        for value in self.shown:
            first = self.runs.loc[self.runs["column"] == value, "path"].iloc[0]
            matrix = read_transition(first)
            if matrix is not None and matrix.ndim == 2:
                matrices.append((self._column(value), matrix, first))
        if not matrices:
            return None
        classes = self.material.confusions[matrices[0][2]][0]
        figure, axes = _grid(1, len(matrices), height=2.0, bar=True)
        for j, (title, matrix, _) in enumerate(matrices):
            shading = _heatmap(axes[0][j], matrix, classes, names=j == 0)
            axes[0][j].set_title(title, fontsize=9)
            axes[0][j].set_xlabel("given label")
        axes[0][0].set_ylabel("true class")
        _bar(figure, shading, "probability")
        return Drawn(slug("transition", self.name), f"Noise transition matrix: {self.name}.", figure)

    def confusion(self) -> Drawn | None:
        """Confusion matrices, summed over seeds, rows of the tables by columns."""
        summed: dict[tuple[str, Any], np.ndarray] = {}
        classes: list[str] = []
        for run in self.runs[~self.runs["repeated"]].itertuples():
            names, matrices = self.material.confusions[str(run.path)]
            matrix = matrices.get(self.protocol)
            if run.column in self.shown and matrix is not None and (not classes or names == classes):
                classes = names
                key = (str(run.row), run.column)
                summed[key] = summed.get(key, 0) + matrix
        rows = [row for row in self.material.order if any(key[0] == row for key in summed)]
        if not rows:
            return None
        kept = rows[:MOST_ROWS]
        figure, axes = _grid(len(kept), len(self.shown), height=1.9, bar=True)
        for i, row in enumerate(kept):
            for j, value in enumerate(self.shown):
                axis = axes[i][j]
                if (row, value) in summed:
                    counts = summed[row, value]
                    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
                    shading = _heatmap(axis, share, classes, names=j == 0)
                else:
                    axis.axis("off")
                axis.set_title(self._column(value) if i == 0 else "", fontsize=9)
            axes[i][0].set_ylabel(_wrapped(row), fontsize=8)
        _bar(figure, shading, "share of the true class")
        few = f" The first {MOST_ROWS} of {len(rows)} rows." if len(rows) > len(kept) else ""
        text = f"Confusion matrices on the test set, true class by row, summed over seeds: {self.name}, "
        return Drawn(slug("confusion", self.name), f"{text}{PROTOCOLS.get(self.protocol, '')}.{few}", figure)

    def time(self) -> Drawn | None:
        """The first metric against training time, a point for each run."""
        metric = self.material.metrics[0]
        if metric == "fit_seconds" or self.runs[metric].isna().all():
            return None
        figure, axes = _grid(1, len(self.shown), height=2.8, sharey="row")
        for j, value in enumerate(self.shown):
            here = self.runs[self.runs["column"] == value]
            figures.scatter(axes[0][j], here, "row", "fit_seconds", metric, metric_format(metric).scale, self.numbers)
            axes[0][j].set_title(self._column(value), fontsize=9)
            axes[0][j].set_xlabel("training time, s")
        axes[0][0].set_ylabel(metric_text(metric))
        _shared_legend(figure, axes)
        text = f"{_capital(metric_text(metric))} against training time: {self.name}.{partial_note(self.runs, metric)}"
        return Drawn(slug("time", self.name), text, figure)

    def _column(self, value: Any) -> str:
        return f"{self.material.columns} {column_text(value)}"


def fitted(epochs: pd.DataFrame) -> pd.DataFrame:
    """``metrics.csv`` with counts of training samples whose given label the model predicts.

    ``fitted_correct`` of those labelled correctly, ``fitted_wrong`` of those labelled wrongly; NaN where the number of
    wrong labels is not known, and of an epoch that visited a part of the samples.
    """
    size, rate = epochs["train_samples"].astype(float), epochs["train_rate"].astype(float)
    size = size.mask(visits_part(epochs))
    nothing = pd.Series(np.nan, index=epochs.index)
    return epochs.assign(
        fitted_correct=(size * (1 - rate)).round() * epochs.get("train/accuracy_correct", nothing),
        fitted_wrong=(size * rate).round() * epochs.get("train/memorised", nothing),
    )


def _spread(values: list[Any], most: int) -> list[Any]:
    """At most so many of the values, evenly, with both ends."""
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [values[place] for place in places]


def _grid(
    rows: int, columns: int, height: float = 1.9, sharex: bool = False, sharey: Any = False, bar: bool = False
) -> tuple[Figure, list[list[Axes]]]:
    """Panels with margins in inches: matplotlib's own layouts take seconds for as many."""
    width, total = max(2.1 * columns + 1.2, 5), height * rows + 1.1
    room = {"left": 0.95 / width, "right": 1 - (0.95 if bar else 0.2) / width}
    room |= {"bottom": 0.8 / total, "top": 1 - 0.35 / total, "wspace": 0.12 if sharey else 0.2, "hspace": 0.2}
    figure = Figure(figsize=(width, total), dpi=figures.DPI)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey, gridspec_kw=room)
    for one in axes.flat:
        one.tick_params(labelsize=7)
        one.locator_params(nbins=4)
        one.grid(alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes.tolist()


def _bar(figure: Figure, shading: Any, label: str) -> None:
    width, total = figure.get_size_inches()
    place = figure.add_axes((1 - 0.75 / width, 0.8 / total, 0.12 / width, min(1.8, total - 1.2) / total))
    figure.colorbar(shading, cax=place, label=label).ax.tick_params(labelsize=7)


def _shared_legend(figure: Figure, axes: list[list[Axes]]) -> None:
    named: dict[Any, Any] = {}
    for one in (one for line in axes for one in line):
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if len(named) <= LEGEND_ROWS:
        columns = max(2, int(figure.get_size_inches()[0] / 2))
        figure.legend(
            list(named.values()), list(named), loc="lower center", ncols=columns, fontsize=7, frameon=False, borderpad=0
        )


def _heatmap(axes: Axes, matrix: np.ndarray, classes: Sequence[str], names: bool) -> Any:
    axes.grid(False)
    shading = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks([])
    if names and len(classes) == len(matrix) <= 12:
        axes.set_yticks(range(len(classes)), classes, fontsize=6)
    else:
        axes.set_yticks([])
    return shading


def _wrapped(text: str) -> str:
    return text.replace(", ", ",\n")
