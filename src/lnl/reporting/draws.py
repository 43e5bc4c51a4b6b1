"""What runs of one cell differ in: seeds, draws of the wrong labels, splits. The same three again are no new run."""

from collections.abc import Sequence

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
