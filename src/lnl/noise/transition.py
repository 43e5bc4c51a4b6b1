"""Transition matrices: ``T[i, j]`` is the probability that a sample of true class i is labelled j. Rows sum to one."""

from collections.abc import Mapping

import numpy as np

from lnl.labels import Matrix


def check_rate(rate: float) -> float:
    if not 0 <= rate <= 1:
        raise ValueError(f"noise.rate must be between 0 and 1, got {rate}")
    return float(rate)


def symmetric(num_classes: int, rate: float) -> Matrix:
    """Symmetric noise, exclusive: a wrong label is any other class; ``1 - r`` on the diagonal, ``r / (K - 1)`` off it.

    The share of wrong labels is ``rate``. Used by APL, SCE and Co-teaching; the other convention is :func:`uniform`.
    """
    check_rate(rate)
    off_diagonal = rate / (num_classes - 1)
    return np.full((num_classes, num_classes), off_diagonal) + (1 - rate - off_diagonal) * np.eye(num_classes)


def uniform(num_classes: int, rate: float) -> Matrix:
    """Uniform noise, inclusive: a redrawn label may be the true one again, ``(1 - r) I + r / K``.

    The share of wrong labels is ``rate * (K - 1) / K``: "90 %" on ten classes is 81 %. Used by DivideMix, ELR and
    arXiv:1611.03530.
    """
    check_rate(rate)
    return (1 - rate) * np.eye(num_classes) + np.full((num_classes, num_classes), rate / num_classes)


def pairflip(num_classes: int, rate: float) -> Matrix:
    """Pair flipping: class i becomes ``i + 1 mod K`` with probability ``rate`` (Co-teaching, arXiv:1804.06872)."""
    return asymmetric({i: (i + 1) % num_classes for i in range(num_classes)}, num_classes, rate)


def asymmetric(mapping: Mapping[int, int], num_classes: int, rate: float) -> Matrix:
    """Class-dependent noise: class i becomes ``mapping[i]`` with probability ``rate``; unmapped classes stay.

    Raises:
        ValueError: if ``mapping`` names a class outside ``[0, num_classes)``, or ``rate`` is outside [0, 1].
    """
    check_rate(rate)
    matrix = np.eye(num_classes)
    for source, target in mapping.items():
        for label in (source, target):
            if not 0 <= label < num_classes:
                raise ValueError(f"the noise map names class {label}, but classes go from 0 to {num_classes - 1}")
        matrix[source, source] -= rate
        matrix[source, target] += rate
    return matrix
