"""Whether one method is better than another at the same seeds and the same wrong labels."""

import warnings

import numpy as np
import pandas as pd
from scipy import stats

from lnl.reporting.draws import FACTORS, copies, independent, with_labels

FEWEST_PAIRS = 3  # below this a test says nothing


def against_baseline(runs: pd.DataFrame, baseline: str, metric: str) -> pd.DataFrame:
    """Each row's difference from the baseline's, pair by pair, and whether it could be chance.

    A pair is two runs of the same column with equal seed, equal noisy labels (by their hash) and equal split; a run
    that repeats another in all three makes no second pair. Crossed seeds and draws are not as many independent pairs:
    they are averaged within each seed (or draw, or split: :func:`lnl.reporting.draws.independent`) first. The test is
    the paired t-test (two-sided); ``p_holm`` is corrected for the number of tests of the whole table.

    Args:
        runs: of one table and protocol, as of :func:`lnl.reporting.arrange.arrange`.
        baseline: its row.
        metric: a column of numbers.

    Returns:
        A row for each row and column that has a pair: ``row``, ``column``, ``pairs`` (independent ones), ``within``
        (what was averaged within: ``seed``, …; else empty), ``difference`` (mean, in the metric's unit), ``low`` and
        ``high`` (95 % confidence interval of the difference), ``p``, ``p_holm`` in [0, 1].
        The last four are NaN below 3 pairs, and where all differences are equal: their spread is not known then.
    """
    runs = with_labels(runs.dropna(subset=[metric]))
    runs = runs[~copies(runs, ["row", "column"])]
    base = runs[runs["row"] == baseline]
    tests = []
    for (row, column), group in runs[runs["row"] != baseline].groupby(["row", "column"], observed=True):
        pairs = group.merge(base[base["column"] == column], on=list(FACTORS), suffixes=("", "_base"))
        if len(pairs):
            unit = independent(pairs)
            differences = (pairs[metric] - pairs[f"{metric}_base"]).groupby(pairs[unit]).mean().to_numpy(dtype=float)
            within = FACTORS[unit] if len(pairs) > len(differences) else ""
            what = {"row": row, "column": column, "pairs": len(differences), "within": within}
            tests.append(what | _test(differences))
    table = pd.DataFrame(tests, columns=["row", "column", "pairs", "within", "difference", "low", "high", "p"])
    return table.assign(p_holm=holm(table["p"].to_numpy(dtype=float)))


def _test(differences: np.ndarray) -> dict[str, float]:
    mean, nothing = float(differences.mean()), {"low": np.nan, "high": np.nan, "p": np.nan}
    equal = np.ptp(differences) <= 1e-9 * np.abs(differences).max()  # but for rounding: t is 0/0 or infinite
    if len(differences) < FEWEST_PAIRS or equal:
        return {"difference": mean, **nothing}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nearly identical differences
        found = stats.ttest_rel(differences, np.zeros_like(differences))
    low, high = found.confidence_interval()
    return {"difference": mean, "low": float(low), "high": float(high), "p": float(found.pvalue)}


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's correction: the chance of one false alarm in the whole table is at most what each number says.

    Args:
        p: ``[n]`` in [0, 1]; NaN where there was no test.

    Returns:
        ``[n]``, at least ``p``, at most 1, NaN where ``p`` is.
    """
    corrected, tested = np.full_like(p, np.nan, dtype=float), np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return corrected
