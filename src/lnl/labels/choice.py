"""Stratified draws, and the check of labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnl.labels.labels import Integers


def check_labels(labels: NDArray[Any], num_classes: int) -> None:
    """Raises ValueError unless labels are whole numbers in ``[0, num_classes)``."""
    if not np.array_equal(labels, labels.astype(np.int64)):
        raise ValueError("labels must be whole numbers")
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(f"labels must be in 0..{num_classes - 1}, got {labels.min()}..{labels.max()}")


def round_half_up(value: float) -> int:
    """The nearest whole number, halves upwards, with a tolerance of 1e-9."""
    return int(np.floor(value + 0.5 + 1e-9))


def apportion(shares: NDArray[np.float64], total: int, rng: np.random.Generator) -> Integers:
    """Whole counts that add up to ``round(shares.sum() * total)``, by largest remainder; ties in random order."""
    ideal = shares * total
    counts = np.floor(ideal + 1e-9).astype(np.int64)
    missing = round_half_up(ideal.sum()) - int(counts.sum())
    order = np.lexsort((rng.random(len(shares)), -(ideal - counts).round(9)))
    counts[order[:missing]] += 1
    return counts


def stratified_choice(labels: Integers, count: int, rng: np.random.Generator) -> Integers:
    """Sorted places of ``count`` samples in which every class keeps its share to within one sample."""
    if count == 0:
        return np.arange(0)
    classes, sizes = np.unique(labels, return_counts=True)
    counts = apportion(sizes / len(labels), count, rng)
    members = (rng.permutation(np.flatnonzero(labels == label)) for label in classes)
    return np.sort(np.concatenate([some[:wanted] for some, wanted in zip(members, counts, strict=True)]))
