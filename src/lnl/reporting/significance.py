"""Runs that repeat others, the factors that vary between runs, and tests of differences."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

FACTORS = {"seed": "seed", "labels": "draw of the wrong labels", "split_seed": "split"}
FEWEST_PAIRS = 3  # a test of fewer pairs would have no power


def with_labels(runs: pd.DataFrame) -> pd.DataFrame:
    """Adds ``labels``, equal where the noisy labels are: their hash, or the seed they were drawn with."""
    return runs.assign(labels=runs["noise_sha256"].fillna("seed " + runs["noise_seed"].astype(str)))


def copies(runs: pd.DataFrame, by: Sequence[str], metric: str | None = None) -> np.ndarray:
    """Marks, in ``[n]`` bool, runs that repeat an earlier run of their cell: same seed, noisy labels and split.

    Without noise, or with labels from a file, every ``noise.seed`` gives the same labels and the same numbers. The
    columns ``by`` make a cell. Only runs that have the ``metric`` are compared, if one is given.
    """
    compared = np.ones(len(runs), dtype=bool) if metric is None else runs[metric].notna().to_numpy()
    # Images are corrupted with a seed of their own; the other seeds of the configuration follow these.
    keys = [*by, *FACTORS, *({"corruption.seed"} & set(runs))]
    repeated = np.zeros(len(runs), dtype=bool)
    repeated[compared] = with_labels(runs[compared]).duplicated(keys)
    return repeated


def what_varies(runs: pd.DataFrame) -> str:
    """Of a cell with labels: ``3 seeds``; ``4 runs (2 seeds × 2 draws of the wrong labels)`` if crossed."""
    count = runs[list(FACTORS)].nunique().to_dict()
    total = len(runs[list(FACTORS)].drop_duplicates())
    words = {factor: _number(count[factor], name) for factor, name in FACTORS.items() if count[factor] > 1}
    whole = [text for factor, text in words.items() if count[factor] == total]
    if whole or not words:
        return whole[0] if whole else _number(total, "run")
    crossed = math.prod(count[factor] for factor in words) == total
    return f"{total} runs ({(' × ' if crossed else ', ').join(words.values())})"


def _number(count: int, name: str) -> str:
    first, *more = name.split(" ", 1)
    return " ".join([f"{count} {first}{'s' * (count != 1)}", *more])


def wrong_note(runs: pd.DataFrame, by: str) -> str:
    """The share of wrong training labels for each value of the column ``by``; empty if it is unknown for some runs.

    With cross-validated runs, which have such a share for each fold, it is that of training and validation labels.
    """
    together = "labels, training and validation together"
    for column, what in {"train_rate": "training labels", "actual_rate": together}.items():
        if runs[column].notna().all():
            shares = ", ".join(f"{100 * share:.1f}" for share in runs.groupby(by)[column].mean())
            return f"Share of wrong {what}, in %: {shares}."
    return ""


def independent(pairs: pd.DataFrame) -> str:
    """The factor with the most values among those with independent values; without such a factor, that with the fewest.

    Seeds are independent if all of them have the same draws and splits (crossed: the result holds for those draws), or
    if no two share one. The same goes for draws and splits.
    """

    def can(factor: str) -> bool:
        for other in FACTORS:
            met = pairs.groupby(factor)[other].agg(frozenset)
            if met.nunique() > 1 and met.map(len).sum() > pairs[other].nunique():
                return False
        return True

    count = pairs[list(FACTORS)].nunique().to_dict()
    varying = [factor for factor in FACTORS if count[factor] > 1]
    fit = [factor for factor in varying if can(factor)]
    return max(fit, key=count.__getitem__) if fit else min(varying, key=count.__getitem__, default="seed")


def against_baseline(runs: pd.DataFrame, baseline: str, metric: str) -> pd.DataFrame:
    """Compares each row with the baseline in pairs of runs, by a two-sided paired t-test.

    A pair is two runs of the same column with equal seed, noisy labels (by their hash) and split, repeats left out.
    Crossed seeds and draws are not independent pairs: they are averaged within each seed (or draw, or split:
    :func:`independent`) first. ``runs`` are all those of a table; ``p_holm`` is corrected for the number of its tests.

    Returns:
        For each row and column with a pair: ``row``, ``column``, ``pairs`` (independent ones), ``within`` (the factor
        of the averages: ``seed``, …; else empty), ``difference`` (mean, in the metric's unit), ``low`` and ``high``
        (its 95 % confidence interval), ``p``, ``p_holm`` in [0, 1]. The last four are NaN below 3 pairs, and if all
        differences are equal, because their spread is unknown.
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
            tests.append((row, column, len(differences), within, *_test(differences)))
    table = pd.DataFrame(tests, columns=["row", "column", "pairs", "within", "difference", "low", "high", "p"])
    return table.assign(p_holm=holm(table["p"].to_numpy(dtype=float)))


def _test(differences: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, both ends of its interval, p."""
    mean = float(differences.mean())
    equal = np.ptp(differences) <= 1e-9 * np.abs(differences).max()  # up to rounding: t would be 0/0 or infinite
    if len(differences) < FEWEST_PAIRS or equal:
        return mean, np.nan, np.nan, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nearly identical differences
        found = stats.ttest_rel(differences, np.zeros_like(differences))
    low, high = found.confidence_interval()
    return mean, float(low), float(high), float(found.pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's correction of ``p[n]``, which bounds the chance of one false alarm in the whole table.

    Corrected values are at least ``p`` and at most 1; NaN, for no test, stays NaN.
    """
    corrected, tested = np.full_like(p, np.nan, dtype=float), np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return corrected
