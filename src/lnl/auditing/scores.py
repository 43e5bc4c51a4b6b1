"""Scores of doubt that compare between classes and between scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from cleanlab.count import get_confident_thresholds
from numpy.typing import NDArray
from scipy.stats import rankdata

from lnl.labels import Integers

Floats = NDArray[np.floating[Any]]
TINY = float(np.finfo(np.float32).tiny)


def mean_rank(suspicions: Sequence[Floats]) -> Floats:
    """The mean rank of samples over several scores ``[n]``, in [0, 1]; 1 is first in all of them.

    Ranks, because scores have scales of their own, and no data could tell their weights.
    """
    ranks = [(rankdata(suspicion) - 0.5) / len(suspicion) for suspicion in suspicions]
    return np.mean(ranks, axis=0)


def relative(labels: Integers, probabilities: Floats) -> Floats:
    """Log probabilities ``[n, K]``, each minus the log of its class's confident threshold (cleanlab).

    They compare a class with its average where it is given, so that hard and rare classes are not doubted as a whole.
    """
    thresholds = get_confident_thresholds(labels, probabilities)
    return np.log(np.maximum(probabilities, TINY)) - np.log(np.maximum(thresholds, TINY))


def within_class(labels: Integers, score: Floats) -> Floats:
    """The score ``[n]`` minus the median of its given class."""
    return score - pd.Series(score).groupby(labels).transform("median").to_numpy()


def margins(values: Floats) -> Floats:
    """Each of the values ``[n, K]`` minus the largest other one of its row."""
    rows, order = np.arange(len(values)), values.argsort(axis=1)
    first, second = values[rows, order[:, -1]], values[rows, order[:, -2]]
    result: Floats = values - first[:, None]
    result[rows, order[:, -1]] = first - second
    return result
