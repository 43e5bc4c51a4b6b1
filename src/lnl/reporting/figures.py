"""Lines and points of many runs, drawn by Matplotlib."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype
from PIL import Image

from lnl.reporting.tables import Summary, column_text

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")  # Okabe and Ito
MARKERS = "osD^vPX*"
DASHES = ("-", "--", ":", "-.")  # where there are more lines than colours
DPI = 150

Numbers = Mapping[Any, int] | None


def panels(count: int = 1, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """A figure 1,200 pixels wide with ``count`` axes side by side."""
    figure = Figure(figsize=(1200 / DPI, height), dpi=DPI, layout="constrained")
    axes = [figure.add_subplot(1, count, i + 1) for i in range(count)]
    for one in axes:
        one.grid(alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG, the same bytes for the same figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    # A palette, because lines and text need few colours and repositories small files.
    Image.fromarray(pixels).quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def against(axes: Axes, values: Summary, scale: float = 100.0, numbers: Numbers = None, **style: Any) -> None:
    """A line for each row of a pivot, times ``scale``, with a band of one standard deviation over seeds.

    Columns that are numbers have their places by value, others are spread evenly. ``numbers`` are those of each row's
    colour and marker, by default its place; ``style`` is of Matplotlib's ``plot``.
    """
    columns = values.mean.columns
    x = np.asarray(columns if is_numeric_dtype(columns) else range(len(columns)), dtype=float)
    for i, row in enumerate(values.mean.index):
        number = i if numbers is None else numbers[row]
        _line(axes, x, scale * values.mean.iloc[i], scale * values.std.iloc[i], number, **{"label": str(row), **style})


def epoch_curves(axes: Axes, curve: pd.DataFrame, scale: float = 1.0, numbers: Numbers = None, **style: Any) -> None:
    """A line for each group of :func:`lnl.reporting.material.by_epoch`; further arguments as of :func:`against`."""
    for i, (name, values) in enumerate(curve.dropna(subset=["mean"]).groupby(level=0, observed=True)):
        number = i if numbers is None else numbers[name]
        x = np.asarray(values.index.get_level_values("epoch"), dtype=float)
        line = {"label": column_text(name), **style}
        _line(axes, x, scale * values["mean"], scale * values["std"], number, **line)


def scatter(
    axes: Axes, runs: pd.DataFrame, group: str, x: str, y: str, scale: float = 100.0, numbers: Numbers = None
) -> None:
    """A point for each run, ``y`` times ``scale`` against ``x``, coloured by ``group``."""
    for i, (name, members) in enumerate(runs.groupby(group, observed=True)):
        number = i if numbers is None else numbers[name]
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        axes.scatter(members[x], scale * members[y], label=str(name), alpha=0.8, color=color, marker=marker)


def _line(axes: Axes, x: np.ndarray, mean: pd.Series, std: pd.Series, number: int, **style: Any) -> None:
    center, width = mean.to_numpy(dtype=float), std.to_numpy(dtype=float)
    there, color = np.isfinite(center), COLORS[number % len(COLORS)]
    dashes, marker = DASHES[number // len(COLORS) % len(DASHES)], MARKERS[number % len(MARKERS)]
    options: dict[str, Any] = {"color": color, "linestyle": dashes, "marker": marker, "markersize": 4, "linewidth": 1.5}
    axes.plot(x[there], center[there], **options | style)
    if np.isfinite(width).any():
        x, center, width = x[there], center[there], np.nan_to_num(width)[there]
        axes.fill_between(x, center - width, center + width, color=color, alpha=0.15, linewidth=0)
