"""The figures of a report. A row of its tables has the same colour in all of them."""

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
from lnl.reporting.arrange import partial_note
from lnl.reporting.comparison import PROTOCOLS, Comparison, metric_format, metric_text, slug
from lnl.reporting.material import CURVES, Material, Setting, shares
from lnl.reporting.tables import column_text, pivot

Grid = list[list[Axes]]
MOST_COLUMNS, MOST_ROWS = 6, 8  # of panels side by side, and one below the other
LEGEND_ROWS = 24  # a longer legend is left out
SIDES = {"train/error": "training error (given labels), %", "test/error": "test error, %"}


@dataclass(frozen=True)
class Drawn:
    """A figure, the name of its file, and its caption."""

    name: str
    text: str
    figure: Figure


def write_figures(material: Material, folder: Path, formats: Sequence[str]) -> dict[str, str]:
    """Writes all figures that the runs have numbers for; returns their names and captions."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for drawn in draw_all(material):
        if "png" in formats:
            figures.save(drawn.figure, folder / f"{drawn.name}.png")
            drawn.figure.set_layout_engine("none")  # the layout is done, and takes longest
        if "svg" in formats:
            with mpl.rc_context({"svg.hashsalt": drawn.name}):  # the same bytes for the same figure
                drawn.figure.savefig(folder / f"{drawn.name}.svg", metadata={"Date": None})
        written[drawn.name] = drawn.text
    return written


def draw_all(material: Material) -> Iterator[Drawn]:
    """Every figure of every setting."""
    for table in material.tables:
        if table.values.mean.shape[1] > 1 and table.values.mean.notna().any(axis=None):
            yield _against(material, table)
    for setting in material.settings:
        of = SettingFigures(material, setting)
        drawn = (of.epochs(), of.errors(), of.memorisation(), of.transition(), of.confusion(), of.time())
        yield from filter(None, drawn)


def _against(material: Material, table: Comparison) -> Drawn:
    figure, (axes,) = figures.panels()
    figures.against(axes, table.values, table.form.scale, numbers=material.numbers)
    _label_columns(axes, table.values.mean.columns, material.columns)
    protocol = PROTOCOLS.get(table.protocol, table.protocol)
    axes.set_ylabel(metric_text(table.metric))
    axes.set_title(f"{table.setting}, {protocol}", fontsize=9)
    _legend(axes, len(table.values.mean))
    text = f"{_capital(metric_text(table.metric))} against {material.columns}: {table.setting}, {protocol}. "
    runs = material.runs[(material.runs["setting"] == table.setting) & (material.runs["protocol"] == table.protocol)]
    text += f"Bands: one sample standard deviation over seeds.{partial_note(runs, table.metric)}"
    return Drawn(slug("against", material.columns, table.slug), text, figure)


def _legend(axes: Axes, rows: int) -> None:
    if rows <= LEGEND_ROWS:
        axes.legend(fontsize=8 if rows <= 8 else 6, ncols=1 if rows <= 8 else 2)


def _label_columns(axes: Axes, columns: pd.Index, name: str) -> None:
    axes.set_xlabel("noise rate" if name == "rate" else name)
    if not is_numeric_dtype(columns):
        axes.set_xticks(range(len(columns)), [column_text(column) for column in columns], rotation=20, ha="right")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class SettingFigures:
    """The figures of one setting, of the last epoch (or the first protocol there is)."""

    def __init__(self, material: Material, setting: Setting) -> None:
        self.material, self.setting, self.name = material, setting, setting.name
        protocols = list(setting.runs["protocol"])
        self.protocol = "last" if "last" in protocols else protocols[0]
        self.runs = setting.runs[setting.runs["protocol"] == self.protocol]
        self.shown = _spread(setting.columns, MOST_COLUMNS)

    def epochs(self) -> Drawn | None:
        """Validation loss above training accuracy, a panel for each column of the tables."""
        lines = {"val/loss": "validation loss\n(noisy labels)"}
        lines["train/accuracy"] = "training accuracy\n(noisy labels), %"
        text = f"Validation loss and training accuracy, both on noisy labels, against epoch: {self.name}."
        here = self.setting.epochs[self.setting.epochs["column"].isin(self.shown)]
        return self._by_epoch("epochs", text + partial_note(here), lines)

    def memorisation(self) -> Drawn | None:
        """The numbers of correctly and of wrongly labelled training samples that the model fits."""
        lines = {"fitted_correct": "correct labels\nfitted", "fitted_wrong": "wrong labels\nfitted"}
        text = "Training samples whose given label the model predicts, against epoch: correctly and wrongly labelled"
        return self._by_epoch("memorisation", f"{text} ones: {self.name}.", lines)

    def _by_epoch(self, name: str, text: str, labels: dict[str, str]) -> Drawn | None:
        curves = self.setting.curves
        if curves.empty:
            return None
        curves = curves[curves.index.get_level_values("column").isin(self.shown)]
        there = [curve for curve in labels if curve in curves and curves[curve, "mean"].notna().any()]
        if not there or curves.index.get_level_values("epoch").max() < 2:  # one epoch makes no curve
            return None
        figure, axes = _grid(len(there), len(self.shown), sharex=True, sharey="row")
        for i, curve in enumerate(there):
            scale, places = CURVES[curve][1], curves.index.get_level_values("column")
            for j, value in enumerate(self.shown):
                here = curves.loc[places == value, curve].droplevel("column")
                if here["mean"].notna().any():
                    figures.epoch_curves(axes[i][j], here, scale, self.material.numbers, marker="", linewidth=1.2)
                else:  # the axis stays, for the panels beside it
                    axes[i][j].text(0.5, 0.5, "none", transform=axes[i][j].transAxes, ha="center", fontsize=8)
            axes[i][0].set_ylabel(labels[curve])
        self._titles(axes, "epoch")
        _shared_legend(figure, axes)
        return Drawn(slug(name, self.name), text, figure)

    def errors(self) -> Drawn | None:
        """Train and test error side by side, against the columns of the tables."""
        if len(self.shown) < 2 or not all(side in self.runs and self.runs[side].notna().any() for side in SIDES):
            return None
        figure, axes = figures.panels(2, 3.6)
        here = self.runs.assign(row=self.runs["row"].cat.remove_unused_categories())
        for one, (side, label) in zip(axes, SIDES.items(), strict=True):
            values = pivot(here, "row", "column", side)
            figures.against(one, values, numbers=self.material.numbers)
            _label_columns(one, values.mean.columns, self.material.columns)
            one.set_ylabel(label)
        _legend(axes[0], here["row"].nunique())
        text = f"Train and test error against {self.material.columns}: {self.name}, {PROTOCOLS.get(self.protocol, '')}."
        return Drawn(slug("errors", self.name), text + partial_note(here), figure)

    def transition(self) -> Drawn | None:
        """The matrix that wrong labels were drawn by, for each column of the tables."""
        shown = {value: self.setting.transitions[value] for value in self.shown if value in self.setting.transitions}
        if not shown:
            return None
        figure, axes = self._matrices([shown], list(shown), 2.0, "probability")
        axes[0][0].set_ylabel("true class")
        for one in axes[0]:
            one.set_xlabel("given label")
        return Drawn(slug("transition", self.name), f"Noise transition matrix: {self.name}.", figure)

    def confusion(self) -> Drawn | None:
        """Confusion matrices, summed over seeds, by row and column of the tables."""
        found: dict[str, dict[Any, np.ndarray]] = {row: {} for row in self.material.order}
        for (protocol, row, column), counts in self.setting.confusions.items():
            if protocol == self.protocol and column in self.shown:
                found[row][column] = shares(counts)
        rows = [row for row in found if found[row]]
        if not rows:
            return None
        kept = rows[:MOST_ROWS]
        figure, axes = self._matrices([found[row] for row in kept], self.shown, 1.9, "share of the true class")
        for line, row in zip(axes, kept, strict=True):
            line[0].set_ylabel(row.replace(", ", ",\n"), fontsize=8)
        few = f" The first {MOST_ROWS} of {len(rows)} rows." if len(rows) > len(kept) else ""
        text = f"Confusion matrices on the test set, true class by row, summed over seeds: {self.name}, "
        return Drawn(slug("confusion", self.name), f"{text}{PROTOCOLS.get(self.protocol, '')}.{few}", figure)

    def _matrices(
        self, rows: list[dict[Any, np.ndarray]], columns: list[Any], height: float, label: str
    ) -> tuple[Figure, Grid]:
        """Heat maps of the matrices of each row, by column, and a bar with their scale."""
        figure, axes = _grid(len(rows), len(columns), height=height, bar=True)
        for i, matrices in enumerate(rows):
            for j, value in enumerate(columns):
                one = axes[i][j]
                if value not in matrices:
                    one.axis("off")
                    continue
                one.grid(False)
                shading = one.imshow(matrices[value], cmap="Blues", vmin=0, vmax=1)
                one.set(xticks=[], yticks=[])
                if j == 0 and len(self.setting.classes) == len(matrices[value]) <= 12:
                    one.set_yticks(range(len(self.setting.classes)), self.setting.classes, fontsize=6)
        self._titles(axes, values=columns)
        width, total = figure.get_size_inches()
        place = figure.add_axes((1 - 0.75 / width, 0.8 / total, 0.12 / width, min(1.8, total - 1.2) / total))
        figure.colorbar(shading, cax=place, label=label).ax.tick_params(labelsize=7)
        return figure, axes

    def time(self) -> Drawn | None:
        """The first metric against training time, a point for each run."""
        metric = self.material.metrics[0]
        if metric == "fit_seconds" or self.runs[metric].isna().all():
            return None
        figure, axes = _grid(1, len(self.shown), height=2.8, sharey="row")
        scale, numbers = metric_format(metric).scale, self.material.numbers
        for j, value in enumerate(self.shown):
            here = self.runs[self.runs["column"] == value]
            figures.scatter(axes[0][j], here, "row", "fit_seconds", metric, scale, numbers)
        self._titles(axes, "training time, s")
        axes[0][0].set_ylabel(metric_text(metric))
        _shared_legend(figure, axes)
        text = f"{_capital(metric_text(metric))} against training time: {self.name}.{partial_note(self.runs, metric)}"
        return Drawn(slug("time", self.name), text, figure)

    def _titles(self, axes: Grid, below: str = "", values: Sequence[Any] | None = None) -> None:
        for j, value in enumerate(self.shown if values is None else values):
            axes[0][j].set_title(f"{self.material.columns} {column_text(value)}", fontsize=9)
            axes[-1][j].set_xlabel(below)


def _spread(values: list[Any], most: int) -> list[Any]:
    """At most ``most`` of the values, evenly, with both ends."""
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [values[place] for place in places]


def _grid(
    rows: int, columns: int, height: float = 1.9, sharex: bool = False, sharey: Any = False, bar: bool = False
) -> tuple[Figure, Grid]:
    """Panels with margins in inches; Matplotlib's own layouts take seconds for this many."""
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


def _shared_legend(figure: Figure, axes: Grid) -> None:
    named: dict[Any, Any] = {}
    for one in (one for line in axes for one in line):
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if len(named) <= LEGEND_ROWS:
        columns = max(2, int(figure.get_size_inches()[0] / 2))
        style: dict[str, Any] = {"ncols": columns, "fontsize": 7, "frameon": False, "borderpad": 0}
        figure.legend(list(named.values()), list(named), loc="lower center", **style)
