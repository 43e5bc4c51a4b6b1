"""Every label with what speaks against it, ranked: cleanlab's confident learning next to our own scores."""

import warnings
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
# Of which the combined score is the mean rank, as far as they are there; of loss alone it is cleanlab's own ranking.
COMBINED = ("loss", "held_out_margin", "training_margin", "neighbours")


def find_issues(
    labels: Labels,
    probabilities: Floats,
    classes: Sequence[str] | None = None,
    *,
    epoch_probabilities: Floats | None = None,
    held_out_margin: Floats | None = None,
    training_margin: Floats | None = None,
    last_margin: Floats | None = None,
    neighbours: Floats | None = None,
    index: Labels | None = None,
    files: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Ranks labels by how doubtful they are.

    An ``issue`` is a label that confident learning prunes and, where there is a history, that the models which were trained
    on it do not predict in their last epoch, while all other views name the same other class: so that the suggestion
    can be accepted unseen. More labels than those are worth a look, in the order of their rank.

    Args:
        labels: given, ``[n]`` in ``[0, K)``.
        probabilities: out of sample, ``[n, K]``.
        classes: K names; the numbers if None.
        epoch_probabilities, held_out_margin, training_margin, last_margin, neighbours: a run's history, as far as there
            is one, see :class:`lnl.auditing.Evidence`.
        index: the samples' numbers, ``[n]``; ``0..n-1`` if None.
        files: the samples' files, ``[n]``.

    Returns:
        A row a sample, the most doubtful first: ``rank`` from 1, ``index``, ``file`` (empty where there are none),
        ``given_label``, ``suggested_label`` (names), ``score`` in [0, 1], ``issue`` and, of what there is,

        - ``self_confidence``, ``normalized_margin``: cleanlab's label quality, in [0, 1], 1 is good;
        - ``loss``: cross entropy of the given label, 0 is good;
        - ``margin``: its probability less the largest other one, in [-1, 1];
        - ``held_out_margin``, ``training_margin``, ``last_margin``: as in the history, of logits;
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
    rows, suggested = np.arange(len(labels)), suggest(labels, averaged)
    given = probabilities[rows, labels]
    scores: dict[str, Floats | None] = {
        "self_confidence": get_label_quality_scores(labels, probabilities),
        "normalized_margin": get_label_quality_scores(labels, probabilities, method="normalized_margin"),
        "loss": -np.log(np.maximum(given, np.finfo(np.float32).tiny)),
        "margin": given - without(probabilities, labels).max(axis=1),
        "held_out_margin": held_out_margin,
        "training_margin": training_margin,
        "last_margin": last_margin,
        "neighbours": None if neighbours is None else neighbours[rows, labels],
    }
    known = {name: score for name, score in scores.items() if score is not None}
    suspicions = [known[name] if name == "loss" else -known[name] for name in COMBINED if name in known]
    issue = pruned(labels, averaged)
    if last_margin is not None:
        issue &= last_margin < 0
    for view in (probabilities, neighbours):
        if view is not None and epoch_probabilities is not None:
            issue &= view.argmax(axis=1) == suggested
    table = pd.DataFrame(
        {
            "index": rows if index is None else index,
            "file": "" if files is None else list(files),
            "given_label": names[labels],
            "suggested_label": names[suggested],
            "score": combine(suspicions),
            "issue": issue,
            **known,
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


def pruned(labels: Labels, probabilities: Floats) -> NDArray[np.bool_]:
    """The labels that confident learning holds for wrong: cleanlab's pruning by class and by noise rate, in both."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues")  # of classes of a sample or none
        mask: NDArray[np.bool_] = find_label_issues(labels, probabilities, filter_by="both", n_jobs=1)
    return mask


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
