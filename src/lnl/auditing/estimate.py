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
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    issues: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Confident learning (arXiv:1911.00068): the joint of given and true labels, and what follows from it.

    The interval of a class pair is Wilson's, of the confident samples labelled ``given``; that of the noise rate is
    Wilson's too, with the number of samples that gives the variance of the sum over the classes. Both say how much
    the estimate would differ for other samples, and nothing of a model that errs: where it takes one class for
    another, the joint has wrong labels that are none.

    Args:
        labels: given, ``[n]`` in ``[0, K)``.
        probabilities: out of sample, ``[n, K]``.
        classes: K names.
        issues: of :func:`lnl.auditing.find_issues`, to be counted.
        confidence: of the intervals, in (0, 1).

    Returns:
        ``classes``; ``samples`` and ``issues``, how many; ``noise_rate``, ``noise_rate_interval``; ``joint[i][j]``, the
        share of samples that are labelled i and are truly j; ``transition[j][i]``, P(labelled i | truly j); ``pairs``,
        by ``given`` and ``suggested`` class, of ``rate``, the share of samples labelled ``given`` that are truly
        ``suggested``, its ``interval``, and ``count``, how many issues are of that pair; most issues first.
    """
    flagged = _count(issues, classes)
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
            "count": int(flagged[given, true]),
            "rate": float(counts[given, true] / trials[given]),
            "interval": _wilson(counts[given, true], trials[given], confidence),
        }
        for given, true in np.argwhere(counts + flagged)
        if given != true
    ]
    return {
        "samples": len(labels),
        "issues": int(flagged.sum()),
        "classes": list(classes),
        "noise_rate": rate,
        "noise_rate_interval": _wilson(rate * effective, effective, confidence),
        "joint": joint.tolist(),
        "transition": _rows(joint.T).tolist(),
        "pairs": sorted(pairs, key=lambda pair: (-pair["count"], -pair["rate"])),
    }


def _count(issues: pd.DataFrame | None, classes: Sequence[str]) -> NDArray[np.int64]:
    """How many issues there are of each given class (row) and suggested class."""
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    if issues is not None:
        place = {name: i for i, name in enumerate(classes)}
        pairs = issues.loc[issues["issue"], ["given_label", "suggested_label"]]
        np.add.at(counts, (pairs["given_label"].map(place), pairs["suggested_label"].map(place)), 1)
    return counts


def _wilson(successes: float, trials: int, confidence: float) -> list[float]:
    interval = binomtest(round(successes), int(trials)).proportion_ci(confidence, method="wilson")
    return [float(interval.low), float(interval.high)]


def _rows(matrix: Probabilities) -> Probabilities:
    """Rows that sum to 1; of a class that nobody has, the identity's."""
    sums = matrix.sum(axis=1, keepdims=True)
    return np.where(sums > 0, matrix / np.where(sums > 0, sums, 1), np.eye(len(matrix)))
