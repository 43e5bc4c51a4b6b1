"""Every label with what speaks against it, ranked: cleanlab's confident learning next to our own scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from scipy.stats import rankdata

from lnl.noise.corrupt import Labels

Floats = NDArray[np.floating[Any]]
# Of which the combined score is the mean rank; each is from another view of the sample.
COMBINED = ("held_out_margin", "training_margin", "neighbours")


def find_issues(
    labels: Labels,
    probabilities: Floats,
    classes: Sequence[str] | None = None,
    *,
    epoch_probabilities: Floats | None = None,
    training_margin: Floats | None = None,
    neighbours: Floats | None = None,
    index: Labels | None = None,
    files: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Ranks labels by how doubtful they are.

    Args:
        labels: given, ``[n]`` in ``[0, K)``.
        probabilities: out of sample, ``[n, K]``.
        classes: K names; the numbers if None.
        epoch_probabilities, training_margin, neighbours: see :class:`lnl.auditing.Evidence`.
        index: the samples' numbers, ``[n]``; ``0..n-1`` if None.
        files: the samples' files, ``[n]``.

    Returns:
        A row a sample, the most doubtful first: ``rank`` from 1, ``index``, ``file`` (empty where there are none),
        ``given_label``, ``suggested_label`` (names), ``score`` in [0, 1], ``issue`` and, of what there is,

        - ``self_confidence``, ``normalized_margin``: cleanlab's label quality, in [0, 1], 1 is good;
        - ``loss``: cross entropy of the given label, of 0 or more, 0 is good;
        - ``held_out_margin``: probability of the given label less the largest other one, in [-1, 1], of
          ``epoch_probabilities``, if there are any;
        - ``training_margin``: the same of logits, in training (area under the margin);
        - ``neighbours``: share of the neighbours that have the given label, in [0, 1].

    Raises:
        ValueError: if shapes do not fit, or a probability is none.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    _check(labels, probabilities)
    names = np.array(
        [str(i) for i in range(probabilities.shape[1])] if classes is None else list(classes), dtype=object
    )
    averaged = probabilities if epoch_probabilities is None else epoch_probabilities
    rows = np.arange(len(labels))
    scores = {
        "self_confidence": get_label_quality_scores(labels, probabilities),
        "normalized_margin": get_label_quality_scores(labels, probabilities, method="normalized_margin"),
        "loss": -np.log(np.maximum(probabilities[rows, labels], np.finfo(np.float32).tiny)),
        "held_out_margin": averaged[rows, labels] - without(averaged, labels).max(axis=1),
    }
    if training_margin is not None:
        scores["training_margin"] = training_margin
    if neighbours is not None:
        scores["neighbours"] = neighbours[rows, labels]
    table = pd.DataFrame(
        {
            "index": rows if index is None else index,
            "file": "" if files is None else list(files),
            "given_label": names[labels],
            "suggested_label": names[suggest(labels, averaged)],
            "score": combine([-scores[name] for name in COMBINED if name in scores]),
            "issue": flag(labels, averaged, training_margin),
            **scores,
        }
    )
    table = table.sort_values(["score", "loss", "index"], ascending=[False, False, True], ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def combine(suspicions: Sequence[Floats]) -> Floats:
    """The mean of the ranks that samples have in each of several scores ``[n]``, in [0, 1]; 1 is first in all of them.

    Ranks, because the scores have scales of their own, and a mean of them without weights, because nothing is known that
    weights could be fitted to.
    """
    ranks = [(rankdata(suspicion) - 0.5) / len(suspicion) for suspicion in suspicions]
    return np.mean(ranks, axis=0)


def suggest(labels: Labels, probabilities: Floats) -> Labels:
    """The likeliest class other than the given one."""
    return without(probabilities, labels).argmax(axis=1)


def flag(labels: Labels, probabilities: Floats, training_margin: Floats | None) -> NDArray[np.bool_]:
    """Which labels confident learning holds for wrong (cleanlab, both ways of pruning), and training could not teach."""
    issue = find_label_issues(labels, probabilities, filter_by="both", n_jobs=1)
    return issue if training_margin is None else issue & (training_margin < 0)


def without(probabilities: Floats, labels: Labels) -> Floats:
    """The probabilities, less than any at the given label."""
    others = np.array(probabilities, dtype=float)
    others[np.arange(len(labels)), labels] = -1.0
    return others


def _check(labels: Labels, probabilities: Floats) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(f"labels[n] and probabilities[n, K] do not fit: {labels.shape} and {probabilities.shape}")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must be in 0..{probabilities.shape[1] - 1}, got {labels.min()}..{labels.max()}")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and (probabilities <= 1 + 1e-6).all()):
        raise ValueError("probabilities must be in [0, 1]")
