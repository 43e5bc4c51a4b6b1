"""Pictures of a run, as pixels: its training images with their labels, and its confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lnl.data import NoisyDataModule

Labels = NDArray[np.int64]
Picture = NDArray[np.uint8]

IMAGES = 32
COLUMNS = 8
LONGEST_NAME = 17  # characters that fit over an image
CELL, GAP, CAPTION, HEADING = 1.5, 0.1, 0.32, 0.35  # inches


def contact_sheet(data: NoisyDataModule) -> Picture:
    """32 training images, evenly spread over the dataset, so that all noises show the same ones."""
    index = data.splits["train"]
    places = np.linspace(0, len(index) - 1, min(IMAGES, len(index))).round().astype(np.int64)
    shown, labels = index[places], data.labels.noise
    assert labels is not None
    clean = None if labels.truth is None else labels.truth[shown]
    rate = labels.actual_rate(index)
    wrong = "unknown how many are wrong" if rate is None else f"{rate:.1%} are wrong"
    marked = " (\u2717, with the true class below)" if rate else ""
    asked = "" if labels.rate is None else f" of {labels.rate:g}"
    kinds = {"none": "no noise drawn", "given": "as they were given"}
    noise = kinds.get(labels.kind, f"{labels.kind} noise{asked}")
    heading = f"{len(index):,} training labels, {noise}: {wrong}{marked}"
    return labels_picture(data.images("train", places), captions(labels.labels[shown], clean, data.classes), heading)


def captions(given: Labels, clean: Labels | None, classes: Sequence[str]) -> list[tuple[str, bool]]:
    """The text over each image, and whether its label is known to be wrong: then the true class follows."""
    names = [short(name) for name in classes]
    pairs = zip(given, given if clean is None else clean, strict=True)
    return [
        (names[label], False) if label == truth else (f"\u2717 {names[label]}\nis {names[truth]}", True)
        for label, truth in pairs
    ]


def short(name: str) -> str:
    """Cuts a long name in the middle, because ends tell similar names apart as well as beginnings do."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}\u2026{name[-half:]}"


def labels_picture(images: NDArray[np.uint8], captions: Sequence[tuple[str, bool]], heading: str) -> Picture:
    """Images ``[n, H, W, C]`` in rows of eight; those with a wrong label framed, and captioned bold, in red."""
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    # Room for the heading, which is as wide as four images.
    width, height = CELL * max(columns, 4) + GAP, (CELL + CAPTION) * rows + HEADING
    figure = Figure(figsize=(width, height))
    figure.text(GAP / width, 1 - HEADING / 2 / height, heading, fontsize=9, va="center")
    for i, (image, (caption, wrong)) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(i, columns)
        left, bottom = CELL * column + GAP, height - HEADING - (CELL + CAPTION) * (row + 1) + GAP
        side = CELL - GAP
        axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
        axes.imshow(image[..., 0] if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=255, aspect="auto")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=wrong, color="firebrick", linewidth=4)
        style: dict[str, Any] = {"color": "firebrick", "fontweight": "bold"} if wrong else {}
        axes.set_title(caption, fontsize=8, loc="left", pad=5, linespacing=1.1, **style)
    return render(figure)


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
