"""How many labels are wrong, and which class is taken for which: confident learning, by cleanlab."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from cleanlab.count import compute_confident_joint, estimate_joint
from numpy.typing import NDArray
from scipy.stats import binomtest

from lnl.noise.corrupt import Labels

Probabilities = NDArray[np.floating[Any]]


def estimate_noise(
    labels: Labels, probabilities: Probabilities, classes: Sequence[str], confidence: float = 0.95
) -> dict[str, Any]:
    """Confident learning (arXiv:1911.00068): the joint of given and true labels, and what follows from it.

    The interval of a class pair is Wilson's, of the confident samples labelled ``given``; that of the noise rate
    is Wilson's too, with the number of samples that gives the variance of the sum over the classes. Both say how much the
    estimate would differ for other samples, and nothing of a model that errs: where it takes one class for
    another, the joint has wrong labels that are none.

    Args:
        labels: given, ``[n]`` in ``[0, K)``.
        probabilities: out of sample, ``[n, K]``.
        classes: K names.
        confidence: of the intervals, in (0, 1).

    Returns:
        ``noise_rate``, ``noise_rate_interval``; ``joint[i][j]``, the share of samples that are labelled i and are
        truly j; ``transition[j][i]``, P(labelled i | truly j); ``pairs``, by ``given`` and ``suggested`` class, of
        ``rate``, the share of samples labelled ``given`` that are truly ``suggested``, and ``interval``.
    """
    counts = compute_confident_joint(labels, probabilities, calibrate=False)
    joint = estimate_joint(labels, probabilities)
    trials, weights = counts.sum(axis=1), np.bincount(labels, minlength=len(classes)) / len(labels)
    wrong = 1 - counts.diagonal() / trials
    rate = float(weights @ wrong)
    variance = float(weights**2 @ (wrong * (1 - wrong) / trials))
    # Of a rate of 0 or 1 there is no variance to count by.
    effective = round(rate * (1 - rate) / variance) if variance else int(trials.sum())
    pairs = [
        {
            "given": classes[given],
            "suggested": classes[true],
            "rate": float(counts[given, true] / trials[given]),
            "interval": _wilson(counts[given, true], trials[given], confidence),
        }
        for given, true in np.argwhere(counts)
        if given != true
    ]
    return {
        "noise_rate": rate,
        "noise_rate_interval": _wilson(rate * effective, effective, confidence),
        "joint": joint.tolist(),
        "transition": _rows(joint.T).tolist(),
        "pairs": sorted(pairs, key=lambda pair: -pair["rate"]),
    }


def _wilson(successes: float, trials: int, confidence: float) -> list[float]:
    interval = binomtest(round(successes), int(trials)).proportion_ci(confidence, method="wilson")
    return [float(interval.low), float(interval.high)]


def _rows(matrix: Probabilities) -> Probabilities:
    """Rows that sum to 1; of a class that nobody has, the identity's."""
    sums = matrix.sum(axis=1, keepdims=True)
    return np.where(sums > 0, matrix / np.where(sums > 0, sums, 1), np.eye(len(matrix)))


def count_pairs(issues: pd.DataFrame, estimate: dict[str, Any]) -> list[dict[str, Any]]:
    """The estimate's ``pairs`` with the ``count`` of issues that each of them has, most issues first."""
    flagged = issues[issues["issue"]].groupby(["given_label", "suggested_label"]).size()
    pairs = {(pair["given"], pair["suggested"]): {**pair, "count": 0} for pair in estimate["pairs"]}
    for (given, suggested), count in flagged.items():
        pair = pairs.setdefault(
            (given, suggested), {"given": given, "suggested": suggested, "rate": 0.0, "interval": None}
        )
        pair["count"] = int(count)
    return sorted(pairs.values(), key=lambda pair: (-pair["count"], -pair["rate"]))
