"""What runs of one cell differ in: seeds, draws of the wrong labels, splits. The same three again are no new run."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

FACTORS = {"seed": "seed", "labels": "draw of the wrong labels", "split_seed": "split"}


def with_labels(runs: pd.DataFrame) -> pd.DataFrame:
    """With ``labels``, which is equal where the noisy labels are: their hash, else the seed they were drawn with."""
    return runs.assign(labels=runs["noise_sha256"].fillna("seed " + runs["noise_seed"].astype(str)))


def copies(runs: pd.DataFrame, by: Sequence[str], metric: str | None = None) -> np.ndarray:
    """Which runs repeat another of their cell: the same seed, noisy labels and split, whatever ``noise.seed`` is.

    Without noise, or with labels from a file, every ``noise.seed`` gives the same labels, and the same numbers.

    Args:
        runs: as of :func:`lnl.reporting.results.read_runs`, of one protocol.
        by: the columns that make a cell.
        metric: only runs that have this number are looked at; None for all.

    Returns:
        ``[n]`` bool, False for the first of each.
    """
    there = np.ones(len(runs), dtype=bool) if metric is None else runs[metric].notna().to_numpy()
    repeated = np.zeros(len(runs), dtype=bool)
    # Images are corrupted by a seed of their own; other seeds of the configuration follow these.
    keys = [*by, *FACTORS, *({"corruption.seed"} & set(runs))]
    repeated[there] = with_labels(runs[there]).duplicated(keys).to_numpy()
    return repeated


def what_varies(runs: pd.DataFrame, factors: Mapping[str, str] | None = None) -> str:
    """``3 seeds``, ``3 draws of the wrong labels``; ``4 runs (2 seeds × 2 draws of the wrong labels)`` if crossed.

    Args:
        runs: of one cell, as of :func:`with_labels`.
        factors: columns and what one of their values is called; by default :data:`FACTORS`.
    """
    factors = factors or FACTORS
    count = {factor: int(runs[factor].nunique()) for factor in factors}
    total = len(runs[list(factors)].drop_duplicates())
    words = {factor: _number(count[factor], name) for factor, name in factors.items() if count[factor] > 1}
    whole = [text for factor, text in words.items() if count[factor] == total]
    if whole or not words:
        return whole[0] if whole else _number(total, "run")
    crossed = math.prod(count[factor] for factor in words) == total
    return f"{total} runs ({(' × ' if crossed else ', ').join(words.values())})"


def _number(count: int, name: str) -> str:
    first, *more = name.split(" ", 1)
    return " ".join([f"{count} {first}{'s' * (count != 1)}", *more])


def independent(pairs: pd.DataFrame) -> str:
    """The factor whose values can count as independent of one another: the one with most of them that can.

    Seeds can, if each has the same draws and splits as all others (crossed: what holds, holds for those draws) or none
    in common with another; draws and splits likewise. If nothing can, it is what varies least.

    Args:
        pairs: with the columns :data:`FACTORS`.
    """

    def can(factor: str) -> bool:
        for other in FACTORS:
            met = pairs.groupby(factor)[other].agg(frozenset)
            if met.nunique() > 1 and met.map(len).sum() > pairs[other].nunique():
                return False
        return True

    count = {factor: int(pairs[factor].nunique()) for factor in FACTORS}
    varying = [factor for factor in FACTORS if count[factor] > 1]
    fit = [factor for factor in varying if can(factor)]
    return max(fit, key=count.__getitem__) if fit else min(varying, key=count.__getitem__, default="seed")


def wrong_note(runs: pd.DataFrame, by: str) -> str:
    """Which share of the labels is wrong, by a column of ``runs``; empty where that is not known of all of them.

    Of the training labels, or, where a run does not say (its folds have each their own), of all that noise was drawn
    for.
    """
    for column, what in (
        ("train_rate", "training labels"),
        ("actual_rate", "labels, training and validation together"),
    ):
        if runs[column].notna().all():
            shares = ", ".join(f"{100 * share:.1f}" for share in runs.groupby(by)[column].mean())
            return f"Share of wrong {what}, in %: {shares}."
    return ""
