"""Figures as pixels, and the confusion matrix among them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def render(figure: Figure) -> Picture:
    """A figure's pixels, uint8 ``[H, W, 3]``."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def confusion_picture(matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Picture:
    """A confusion matrix, true class by row, shaded by share of the true class; with counts for up to 25 classes."""
    counts = np.asarray(matrix)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.5, 0.55 * min(len(classes), 40))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    shading = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shading, label="share of the true class")
    axes.set(title=title, xlabel="predicted", ylabel="true")
    if len(classes) <= 25:
        axes.set_xticks(range(len(classes)), classes, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(classes)), classes)
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    return render(figure)
