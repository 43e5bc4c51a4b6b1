"""Evidence about labels from features: a linear head and nearest neighbours, neither of which has seen the label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnl.auditing.estimate import Floats
from lnl.labels import Integers
from lnl.noise.estimate import NoiseEstimate, estimate_transition, levels_for, mean_of

PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)  # of which the given labels choose
LEAST = 0.02  # weight of a sample whose label is surely wrong
NEIGHBOURS = 50  # at most; half of a class in small sets
AT_ONCE = 2**25  # similarities in memory
CLOSE = 10  # neighbours, by which a sample is far from all others


Neighbours = tuple[Integers, NDArray[np.float32]]  # of each sample, and their cosines


@dataclass(frozen=True)
class Probed:
    """What features say of ``n`` labels in ``K`` classes.

    Attributes:
        estimate: of the noise, by a head that takes all labels for right; of small sets the mean with ``judged``.
        judged: of the noise, by a head for which labels count as far as they are right; it judges single labels better.
        scores: of that head, ``[n, K]``.
        neighbours: ``[n, K]``, the share of each label among a sample's neighbours, weighed likewise.
        penalty: of the head.
        distance: ``[n]``, 1 minus the mean cosine with the 10 nearest neighbours.
    """

    estimate: NoiseEstimate
    judged: NoiseEstimate
    scores: Floats
    neighbours: Floats
    penalty: float
    distance: NDArray[np.float32]


def probe(
    features: Floats,
    labels: Integers,
    num_classes: int,
    groups: Integers | None = None,
    neighbours: Neighbours | None = None,
) -> Probed:
    """Judges each label by a linear head and by neighbours that have not seen it.

    The head is ridge regression on one-hot labels: its leave-one-out scores have a closed form. Its penalty is that
    with the most leave-one-out predictions equal to the given labels. Then labels are weighed by the probability that
    they are right (:func:`~lnl.noise.estimate.estimate_transition`), and the head is fitted again.

    Args:
        features: ``[n, F]``; only their direction counts.
        labels: given, ``[n]`` in ``[0, num_classes)``.
        num_classes: K.
        groups: ``[n]``, the same number for copies of one picture: none of them judges another.
        neighbours: :func:`neighbour_count` of each sample outside its group (:func:`nearest`), if they are known.
    """
    rows = directions(features)
    heads = leave_one_out(rows, labels, num_classes, PENALTIES, groups=groups)
    best = int(np.argmax([(head.argmax(axis=1) == labels).mean() for head in heads]))
    estimate = estimate_transition(heads[best], labels)
    weights = np.maximum(1 - estimate.wrong(labels), LEAST)
    (scores,) = leave_one_out(rows, labels, num_classes, PENALTIES[best : best + 1], weights, groups)
    near, similar = neighbours or nearest(rows, neighbour_count(len(labels), num_classes), groups)
    shares = neighbour_shares(near, similar, labels, num_classes, weights)
    judged = estimate_transition(scores, labels, levels=1)
    if levels_for(len(labels), num_classes) == 1:
        # Of few labels, the first head has learned some wrong ones, and the second has lost some right ones.
        estimate = mean_of(estimate, judged)
    return Probed(estimate, judged, scores, shares, PENALTIES[best], 1 - _mean_of_known(similar[:, :CLOSE]))


def neighbour_count(samples: int, num_classes: int) -> int:
    """How many neighbours judge a label."""
    return min(NEIGHBOURS, max(5, samples // num_classes // 2))


def directions(features: Floats) -> NDArray[np.float32]:
    """Features of length 1, float32."""
    rows = np.asarray(features, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def leave_one_out(
    rows: NDArray[np.float32],
    labels: Integers,
    num_classes: int,
    penalties: Sequence[float],
    weights: Floats | None = None,
    groups: Integers | None = None,
) -> list[Floats]:
    r"""Scores ``[n, K]`` of ridge regression on one-hot labels, each by a fit without the sample and its group.

    With centred rows X, weights w of mean 1 and :math:`A = X^\top W X / n + \alpha v I` (v: the mean squared length of
    a row, so that the penalty :math:`\alpha` has no unit), the fit is linear in the labels, and leaving out the samples
    g changes their residuals :math:`r_g` to :math:`(I - H_{gg})^{-1} r_g`, H being the hat matrix. In the eigenvectors
    of :math:`X^\top W X`, A is diagonal for every :math:`\alpha`.

    Args:
        rows: ``[n, F]``.
        labels: given, ``[n]``.
        num_classes: K.
        penalties: above 0, of the squared weights; the intercept has none.
        weights: ``[n]``, positive; None for equal ones.
        groups: ``[n]``; None for each sample by itself.

    Returns:
        The scores for each penalty.
    """
    weight = (np.ones(len(rows)) if weights is None else weights / weights.mean()) / len(rows)
    given = np.eye(num_classes)[labels]
    centred = rows - (weight @ rows).astype(np.float32)
    mean = weight @ given
    spread = float((weight * np.square(centred).sum(axis=1)).sum())
    weighted = centred * weight[:, None].astype(np.float32)
    values, axes = np.linalg.eigh((weighted.T @ centred).astype(np.float64))
    turned = centred @ axes.astype(np.float32)
    squared, onto = np.square(turned), (turned * weight[:, None].astype(np.float32)).T @ (given - mean)
    found: list[Floats] = []
    for penalty in penalties:
        inverse = 1 / (values + penalty * spread)
        fitted = turned @ (inverse[:, None] * onto) + mean
        leverage = weight * (squared @ inverse + 1)
        residual = (given - fitted) / (1 - leverage)[:, None]
        for members in _several(groups):
            hat = ((turned[members] * inverse) @ turned[members].T + 1) * weight[members]
            residual[members] = np.linalg.solve(np.eye(len(members)) - hat, (given - fitted)[members])
        found.append(given - residual)
    return found


def nearest(rows: NDArray[np.float32], count: int, groups: Integers | None = None) -> Neighbours:
    """The ``count`` nearest other samples by cosine, nearest first, and the cosines: both ``[n, count]``.

    Members of a sample's group are none. Where too few others are left, the cosine is -inf.
    """
    number = np.arange(len(rows)) if groups is None else groups
    count = min(count, len(rows) - 1)
    found, cosines = np.empty((len(rows), count), np.int64), np.empty((len(rows), count), np.float32)
    step = max(1, AT_ONCE // len(rows))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        distance = rows[part] @ -rows.T
        distance[number[part, None] == number] = np.inf
        near = np.argpartition(distance, count - 1, axis=1)[:, :count]
        away = np.take_along_axis(distance, near, axis=1)
        order = np.argsort(away, axis=1, kind="stable")
        found[part] = np.take_along_axis(near, order, axis=1)
        cosines[part] = -np.take_along_axis(away, order, axis=1)
    return found, cosines


def neighbour_shares(
    near: Integers,
    similar: NDArray[np.float32],
    labels: Integers,
    num_classes: int,
    weights: Floats | None = None,
) -> Floats:
    """Of the neighbours in :func:`nearest`, the share of each label, ``[n, K]``, weighed by ``weights``."""
    given = np.eye(num_classes)[labels] * (1 if weights is None else weights[:, None])
    shares = np.zeros((len(near), num_classes))
    for column in range(near.shape[1]):  # one at a time, because n x 50 x K numbers are too many
        shares += given[near[:, column]] * (similar[:, column, None] > -np.inf)
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)


def _mean_of_known(similar: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each row's finite numbers; 0 of none."""
    known = np.isfinite(similar)
    total = np.where(known, similar, 0).sum(axis=1)
    return np.asarray(total / np.maximum(known.sum(axis=1), 1), np.float32)


def _several(groups: Integers | None) -> Sequence[Integers]:
    """The members of each group of two or more samples."""
    if groups is None:
        return []
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return [part for part in parts if len(part) > 1]
