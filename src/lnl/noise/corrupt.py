"""Drawing noisy labels from clean ones, all at once."""

import numpy as np
from numpy.typing import ArrayLike

from lnl.labels import Integers, Matrix
from lnl.labels.choice import apportion, check_labels


def corrupt(labels: ArrayLike, T: ArrayLike, seed: int, exact: bool = False) -> Integers:
    """Noisy labels, drawn from clean ``labels`` by the row-stochastic matrix ``T``.

    Every label is drawn once, from its clean value: a label that was changed is never read again.

    Args:
        labels: clean labels, integers in ``[0, K)`` of any shape.
        T: ``[K, K]``, ``T[i, j] = P(noisy j | clean i)``.
        seed: seeds the draw and nothing else.
        exact: if false, each sample is drawn independently. If true, exactly ``round((1 - T[i, i]) * n_i)`` of the
            ``n_i`` samples of class i change, shared among the other classes in proportion to ``T[i]``.

    Returns:
        int64 array of the shape of ``labels``.

    Raises:
        ValueError: if a label lies outside ``[0, K)`` or ``T`` is not row-stochastic.
    """
    clean, matrix = np.asarray(labels), np.asarray(T, dtype=np.float64)
    num_classes = len(matrix)
    if matrix.shape != (num_classes, num_classes) or (matrix < -1e-12).any() or not np.allclose(matrix.sum(axis=1), 1):
        raise ValueError(f"T must be square with rows that are probabilities, got shape {matrix.shape}")
    check_labels(clean, num_classes)
    flat = clean.astype(np.int64).ravel()
    rng = np.random.default_rng(seed)
    noisy = _exact(flat, matrix, rng) if exact else draw_rows(matrix[flat], rng)
    return noisy.reshape(clean.shape)


def draw_rows(probabilities: Matrix, rng: np.random.Generator) -> Integers:
    """One class per row of ``probabilities[N, K]``, each drawn independently."""
    cumulative = probabilities.cumsum(axis=1)
    threshold = rng.random((len(probabilities), 1)) * cumulative[:, -1:]
    return (threshold >= cumulative).sum(axis=1, dtype=np.int64)


def _exact(clean: Integers, matrix: Matrix, rng: np.random.Generator) -> Integers:
    noisy = clean.copy()
    for label, row in enumerate(matrix):
        members = rng.permutation(np.flatnonzero(clean == label))
        targets = np.delete(np.arange(len(row)), label)
        counts = apportion(row[targets], len(members), rng)
        noisy[members[: counts.sum()]] = np.repeat(targets, counts)
    return noisy
