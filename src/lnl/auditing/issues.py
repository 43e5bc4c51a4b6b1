"""Ranks labels by doubt: cleanlab's confident learning beside scores of our own."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from lnl.auditing.estimate import TINY, Floats, judge, margins, relative, systematic_pairs, wrong_at_random
from lnl.labels import Integers

# The parts of the combined score, as far as a run has them.
UNSEEN = ("loss", "held_out_margin", "neighbours", "doubt")  # of models that have not seen the label
DOUBTFUL = ("loss", "doubt", "wrong_events")  # of which large values are suspect
SEEN = ("training_margin", "wrong_events")  # of models that were trained on it


def find_issues(
    labels: Integers,
    probabilities: Floats,
    classes: Sequence[str] | None = None,
    *,
    epoch_probabilities: Floats | None = None,
    training_margin: Floats | None = None,
    wrong_events: Floats | None = None,
    neighbours: Floats | None = None,
    posterior: Floats | None = None,
    index: Integers | None = None,
    files: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Ranks labels by doubt.

    ``score`` is half the mean rank of ``loss``, ``held_out_margin``, ``neighbours`` and ``doubt``, of models that have
    not seen the label, and half that of ``training_margin`` and ``wrong_events`` within the given class, of models that
    were trained on it.

    ``issue`` marks labels that confident learning prunes, and for which all views name the same other class, if they
    are among the first in rank: s times as many as are surely :func:`wrong at random
    <lnl.auditing.estimate.wrong_at_random>`, and a share s of those in :func:`systematic pairs
    <lnl.auditing.estimate.systematic_pairs>`, where s is the models' skill. Accepting all of their suggestions without
    a look leaves fewer labels wrong. Other labels are worth a look in the order of their rank. Nothing is an issue if
    the models are too weak to :func:`judge <lnl.auditing.estimate.judge>` labels.

    With a ``posterior``, ``issue`` marks labels for which it has another class with a probability of at least 0.6 + 75
    / n (0.95 in sets of n < 215: of few labels little is known of the noise), which the neighbours name too.

    Args:
        labels: given, ``[n]`` in ``[0, K)``.
        probabilities: out of sample, ``[n, K]``.
        classes: K names; the numbers if None.
        epoch_probabilities, training_margin, wrong_events, neighbours: as in :class:`lnl.auditing.Evidence`.
        posterior: ``[n, K]``, the probability of each true class by features and the given label
            (:func:`lnl.noise.estimate.estimate_transition`).
        index: the numbers of the samples, ``[n]``; ``0..n-1`` if None.
        files: the files of the samples, ``[n]``.

    Returns:
        A row for each sample, the most doubtful first: ``rank`` from 1, ``index``, ``file`` (empty without files),
        ``given_label``, ``suggested_label`` (names), ``score`` in [0, 1], ``issue`` and, if known,

        - ``self_confidence``, ``normalized_margin``: cleanlab's label quality, in [0, 1], 1 is good;
        - ``loss``: cross entropy of the given label, 0 is good;
        - ``margin``: its probability minus the largest other one, in [-1, 1];
        - ``held_out_margin``: its :func:`relative` log probability minus the largest other one, of
          ``epoch_probabilities`` (else of ``probabilities``);
        - ``training_margin``, ``wrong_events``: as in the evidence;
        - ``neighbours``: the share of neighbours with the given label, in [0, 1];
        - ``doubt``: the probability that the label is wrong, 1 minus its ``posterior``.

    Raises:
        ValueError: if shapes do not fit, or values are not probabilities.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    _check(labels, probabilities)
    names = np.array(list(map(str, range(probabilities.shape[1])) if classes is None else classes), dtype=object)
    averaged = probabilities if epoch_probabilities is None else epoch_probabilities
    rows, compared = np.arange(len(labels)), relative(labels, averaged)
    others = compared.copy() if posterior is None else posterior.copy()
    others[rows, labels] = -np.inf
    suggested = others.argmax(axis=1)
    scores: dict[str, Floats | None] = {
        "self_confidence": get_label_quality_scores(labels, probabilities),
        "normalized_margin": get_label_quality_scores(labels, probabilities, method="normalized_margin"),
        "loss": -np.log(np.maximum(probabilities[rows, labels], TINY)),
        "margin": margins(probabilities)[rows, labels],
        "held_out_margin": margins(compared)[rows, labels],
        "training_margin": training_margin,
        "wrong_events": wrong_events,
        "neighbours": None if neighbours is None else neighbours[rows, labels],
        "doubt": None if posterior is None else 1 - posterior[rows, labels],
    }
    known = {name: score for name, score in scores.items() if score is not None}
    suspicion = {name: score if name in DOUBTFUL else -score for name, score in known.items()}
    suspicion |= {name: within_class(labels, suspicion[name]) for name in SEEN if name in known}
    halves = [[suspicion[name] for name in half if name in known] for half in (UNSEEN, SEEN)]
    score = np.mean([mean_rank(half) for half in halves if half], axis=0)
    order = np.lexsort((rows if index is None else index, -known["loss"], -score))
    if posterior is None:
        views = [view for view in (compared, averaged, probabilities, neighbours) if view is not None]
        marked = flagged(labels, averaged, suggested, order.argsort(), views)
    else:
        marked = likely(labels, probabilities, posterior, suggested, neighbours)
    table = pd.DataFrame(
        {
            "index": rows if index is None else index,
            "file": "" if files is None else list(files),
            "given_label": names[labels],
            "suggested_label": names[suggested],
            "score": score,
            "issue": marked,
            **known,
        }
    )
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def flagged(
    labels: Integers, probabilities: Floats, suggested: Integers, place: Integers, views: Sequence[Floats]
) -> NDArray[np.bool_]:
    """The issues of :func:`find_issues`; ``place`` in the ranking is from 0, ``views`` are ``[n, K]``."""
    verdict = judge(labels, probabilities)
    if not verdict.can_tell:
        return np.zeros(len(labels), dtype=bool)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues")  # of classes with one sample or none
        pruned = find_label_issues(labels, probabilities, filter_by="both", n_jobs=1)  # by class and by noise rate
    agreed = np.all([view.argmax(axis=1) == suggested for view in views], axis=0)
    skill, (_, (surely, _)) = min(verdict.skill, 1), wrong_at_random(labels, probabilities)
    mask: NDArray[np.bool_] = pruned & agreed
    in_system = np.flatnonzero(mask & systematic_pairs(labels, probabilities)[labels, suggested])
    mask &= place + 1 <= skill * surely * len(labels)
    mask[in_system[place[in_system].argsort()][: round(skill * len(in_system))]] = True
    return mask


def likely(
    labels: Integers, probabilities: Floats, posterior: Floats, suggested: Integers, neighbours: Floats | None
) -> NDArray[np.bool_]:
    """The issues of :func:`find_issues` by a ``posterior``."""
    if not judge(labels, probabilities).can_tell:
        return np.zeros(len(labels), dtype=bool)
    least = min(0.95, 0.6 + 75 / len(labels))
    mask: NDArray[np.bool_] = posterior[np.arange(len(labels)), suggested] >= least
    return mask if neighbours is None else mask & (neighbours.argmax(axis=1) == suggested)


def mean_rank(suspicions: Sequence[Floats]) -> Floats:
    """The mean rank of samples over several scores ``[n]``, in [0, 1]; 1 is first in all of them.

    Ranks, because scores have scales of their own, and no data could tell their weights.
    """
    ranks = [(rankdata(suspicion) - 0.5) / len(suspicion) for suspicion in suspicions]
    return np.mean(ranks, axis=0)


def within_class(labels: Integers, score: Floats) -> Floats:
    """The score ``[n]`` minus the median of its given class."""
    return score - pd.Series(score).groupby(labels).transform("median").to_numpy()


def _check(labels: Integers, probabilities: Floats) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(f"labels[n] and probabilities[n, K] do not fit: {labels.shape} and {probabilities.shape}")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must be in 0..{probabilities.shape[1] - 1}, got {labels.min()}..{labels.max()}")
    if labels.min() == labels.max():
        raise ValueError(f"all labels are {labels[0]}: a ranking needs at least two classes")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and (probabilities <= 1 + 1e-6).all()):
        raise ValueError("probabilities must be in [0, 1]")


def ranking_quality(
    issues: pd.DataFrame, given: Integers, true: Integers, suggested: Integers
) -> dict[str, Any] | None:
    """The quality of the ranking and of the flagged issues.

    Args:
        issues: with ``score``, ``issue`` and cleanlab's ``self_confidence`` and ``normalized_margin``.
        given, true, suggested: labels ``[n]``, in the order of ``issues``.

    Returns:
        ``average_precision`` of the ranking; ``cleanlab_average_precision`` and ``cleanlab_margin_average_precision``
        of cleanlab's rankings by self-confidence and by margin; ``chance``, that of a random ranking; ``precision`` and
        ``recall`` of the issues; ``wrong_before`` and ``wrong_after`` accepting all suggestions for issues, shares of
        wrong labels. None if no label is wrong.
    """
    wrong = given != true
    if not wrong.any():
        return None
    issue = issues["issue"].to_numpy()
    found = int((wrong & issue).sum())
    accepted = np.where(issue, suggested, given)
    rankings = {"": issues["score"], "cleanlab_": -issues["self_confidence"]}
    rankings["cleanlab_margin_"] = -issues["normalized_margin"]
    return {
        **{f"{name}average_precision": float(average_precision_score(wrong, by)) for name, by in rankings.items()},
        "chance": float(wrong.mean()),
        "precision": found / int(issue.sum()) if issue.any() else None,
        "recall": found / int(wrong.sum()),
        "wrong_before": float(wrong.mean()),
        "wrong_after": float((accepted != true).mean()),
    }
