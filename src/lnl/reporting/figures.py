"""Figures of many runs, for pages and reports."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype
from PIL import Image

from lnl.reporting.tables import Summary
from lnl.tracking.pictures import render

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")  # Okabe and Ito
MARKERS = "osD^vPX*"
DASHES = ("-", "--", ":", "-.")  # where there are more lines than colours
DPI = 150


def panels(count: int = 1, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """A figure 1,200 pixels wide with ``count`` axes side by side."""
    figure = Figure(figsize=(1200 / DPI, height), dpi=DPI, layout="constrained")
    axes = [figure.add_subplot(1, count, i + 1) for i in range(count)]
    for one in axes:
        one.grid(alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG that is the same for the same figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A palette, because lines and text need few colours and repositories small files.
    Image.fromarray(render(figure)).quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def against(
    axes: Axes, values: Summary, scale: float = 100.0, numbers: Mapping[Any, int] | None = None, **style: Any
) -> None:
    """A line for each row of a pivot over its columns, with a band of one standard deviation over seeds.

    Args:
        axes: to draw on.
        values: numbers as columns are drawn where they lie, others one after the other.
        scale: of the values.
        numbers: which colour and marker each row has; by default its place.
        style: of the lines.
    """
    x = positions(values.mean.columns)
    for i, row in enumerate(values.mean.index):
        number = i if numbers is None else numbers[row]
        _line(axes, x, scale * values.mean.iloc[i], scale * values.std.iloc[i], number, **{"label": str(row), **style})


def positions(columns: pd.Index) -> np.ndarray:
    """Where columns lie on an axis: numbers at their value, others evenly."""
    return np.asarray(columns, dtype=float) if is_numeric_dtype(columns) else np.arange(len(columns), dtype=float)


def epoch_curves(
    axes: Axes,
    epochs: pd.DataFrame,
    group: str,
    column: str,
    scale: float = 1.0,
    numbers: Mapping[Any, int] | None = None,
    **style: Any,
) -> None:
    """A column of ``metrics.csv`` against the epoch (from 1), a line for each ``group``, mean over its runs.

    Args:
        axes: to draw on.
        epochs: rows of ``metrics.csv`` of several runs, with ``epoch`` (from 0) and ``group``.
        group, column: names of columns of ``epochs``.
        scale: what values are multiplied by.
        numbers: of the groups' colours; None: in their order.
        style: of the lines, as of Matplotlib's ``plot``.
    """
    for i, (name, members) in enumerate(epochs.groupby(group, observed=True)):
        values = members.groupby("epoch")[column].agg(["mean", "std"])
        label = f"{name:g}" if isinstance(name, float) else str(name)
        number = i if numbers is None else numbers[name]
        x = np.asarray(values.index, dtype=float) + 1
        _line(axes, x, scale * values["mean"], scale * values["std"], number, **{"label": label, **style})


def scatter(
    axes: Axes,
    runs: pd.DataFrame,
    group: str,
    x: str,
    y: str,
    scale: float = 100.0,
    numbers: Mapping[Any, int] | None = None,
) -> None:
    """A point for each run, ``y`` times ``scale`` against ``x``, coloured by ``group``; accuracy against time, say."""
    for i, (name, members) in enumerate(runs.groupby(group, observed=True)):
        number = i if numbers is None else numbers[name]
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        axes.scatter(members[x], scale * members[y], label=str(name), alpha=0.8, color=color, marker=marker)


def _line(axes: Axes, x: np.ndarray, mean: pd.Series, std: pd.Series, number: int, **style: Any) -> None:
    color = COLORS[number % len(COLORS)]
    center, width = mean.to_numpy(dtype=float), std.to_numpy(dtype=float)
    there = np.isfinite(center)
    options: dict[str, Any] = {
        "color": color,
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4,
        "linewidth": 1.5,
        "linestyle": DASHES[number // len(COLORS) % len(DASHES)],
        **style,
    }
    axes.plot(x[there], center[there], **options)
    if np.isfinite(width).any():
        width = np.nan_to_num(width)
        axes.fill_between(
            x[there], (center - width)[there], (center + width)[there], color=color, alpha=0.15, linewidth=0
        )
