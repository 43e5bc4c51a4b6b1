"""Every label with what speaks against it, ranked: cleanlab's confident learning next to our own scores."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray

from lnl.auditing.estimate import systematic_pairs, wrong_at_random
from lnl.auditing.scores import TINY, Floats, margins, mean_rank, relative, within_class
from lnl.labels import Integers

# What the combined score is made of, as far as it is there.
UNSEEN = ("loss", "held_out_margin", "neighbours")  # by models that have not seen the label
SEEN = ("training_margin",)  # by those that were trained on it


def find_issues(
    labels: Integers,
    probabilities: Floats,
    classes: Sequence[str] | None = None,
    *,
    epoch_probabilities: Floats | None = None,
    training_margin: Floats | None = None,
    neighbours: Floats | None = None,
    index: Integers | None = None,
    files: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Ranks labels by how doubtful they are.

    The ``score`` is half the mean rank of ``loss``, ``held_out_margin`` and ``neighbours``, of models that have not
    seen the label, and half the rank of the ``training_margin`` within the given class, of those that were trained on
    it: two kinds of evidence, each of which sees what the other cannot.

    An ``issue`` is a label that confident learning prunes, in place of which all views name the same class, and which
    is among the first in rank, as many as are surely :func:`wrong at random <lnl.auditing.estimate.wrong_at_random>`,
    or in a :func:`systematic pair <lnl.auditing.estimate.systematic_pairs>`: its suggestion can be accepted unseen.
    More labels than those are worth a look, in the order of their rank.

    Args:
        labels: given, ``[n]`` in ``[0, K)``.
        probabilities: out of sample, ``[n, K]``.
        classes: K names; the numbers if None.
        epoch_probabilities, training_margin, neighbours: a run's history, as far as there is one, see
            :class:`lnl.auditing.Evidence`.
        index: the samples' numbers, ``[n]``; ``0..n-1`` if None.
        files: the samples' files, ``[n]``.

    Returns:
        A row a sample, the most doubtful first: ``rank`` from 1, ``index``, ``file`` (empty where there are none),
        ``given_label``, ``suggested_label`` (names), ``score`` in [0, 1], ``issue`` and, of what there is,

        - ``self_confidence``, ``normalized_margin``: cleanlab's label quality, in [0, 1], 1 is good;
        - ``loss``: cross entropy of the given label, 0 is good;
        - ``margin``: its probability less the largest other one, in [-1, 1];
        - ``held_out_margin``: its :func:`relative` log probability less the largest other one, of
          ``epoch_probabilities`` (else of ``probabilities``);
        - ``training_margin``: as in the history, of logits;
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
    rows, compared = np.arange(len(labels)), relative(labels, averaged)
    others = compared.copy()
    others[rows, labels] = -np.inf
    suggested = others.argmax(axis=1)
    scores: dict[str, Floats | None] = {
        "self_confidence": get_label_quality_scores(labels, probabilities),
        "normalized_margin": get_label_quality_scores(labels, probabilities, method="normalized_margin"),
        "loss": -np.log(np.maximum(probabilities[rows, labels], TINY)),
        "margin": margins(probabilities)[rows, labels],
        "held_out_margin": margins(compared)[rows, labels],
        "training_margin": training_margin,
        "neighbours": None if neighbours is None else neighbours[rows, labels],
    }
    known = {name: score for name, score in scores.items() if score is not None}
    suspicion = {name: -score for name, score in known.items()} | {"loss": known["loss"]}
    if training_margin is not None:
        suspicion["training_margin"] = -within_class(labels, training_margin)
    halves = [
        mean_rank([suspicion[name] for name in half if name in known]) for half in (UNSEEN, SEEN) if half[0] in known
    ]
    score = np.mean(halves, axis=0)
    order = np.lexsort((rows if index is None else index, -known["loss"], -score))
    views = [view for view in (compared, averaged, probabilities, neighbours) if view is not None]
    table = pd.DataFrame(
        {
            "index": rows if index is None else index,
            "file": "" if files is None else list(files),
            "given_label": names[labels],
            "suggested_label": names[suggested],
            "score": score,
            "issue": flagged(labels, averaged, suggested, order.argsort(), views),
            **known,
        }
    )
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def flagged(
    labels: Integers, probabilities: Floats, suggested: Integers, place: Integers, views: Sequence[Floats]
) -> NDArray[np.bool_]:
    """The issues, as :func:`find_issues` says: ``place`` is in the ranking, from 0; ``views`` are ``[n, K]``."""
    agreed = np.all([view.argmax(axis=1) == suggested for view in views], axis=0)
    _, (surely, _) = wrong_at_random(labels, probabilities)
    first = place + 1 <= surely * len(labels)
    in_system = systematic_pairs(labels, probabilities)[labels, suggested]
    mask: NDArray[np.bool_] = pruned(labels, probabilities) & agreed & (first | in_system)
    return mask


def pruned(labels: Integers, probabilities: Floats) -> NDArray[np.bool_]:
    """The labels that confident learning holds for wrong: cleanlab's pruning by class and by noise rate, in both."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues")  # of classes of a sample or none
        mask: NDArray[np.bool_] = find_label_issues(labels, probabilities, filter_by="both", n_jobs=1)
    return mask


def _check(labels: Integers, probabilities: Floats) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(f"labels[n] and probabilities[n, K] do not fit: {labels.shape} and {probabilities.shape}")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must be in 0..{probabilities.shape[1] - 1}, got {labels.min()}..{labels.max()}")
    if labels.min() == labels.max():
        raise ValueError(f"all labels are {labels[0]}: of one class alone nothing can be said")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and (probabilities <= 1 + 1e-6).all()):
        raise ValueError("probabilities must be in [0, 1]")
