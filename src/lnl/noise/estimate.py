"""How labels become wrong, estimated from a classifier's out-of-sample scores: T, the share, and each label's doubt."""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from lnl.labels import Integers

Floats = NDArray[np.floating]
STEP = 1.0
STEPS_OF_2 = np.arange(-6, 4.01, STEP)  # temperatures that are tried first, as powers of two
STEPS = 60  # of EM, for each temperature
ALMOST = 1e-3  # labels of each class that are right before any is seen: a class without samples has the identity's row
FOR_A_LEVEL = 150  # labels of a class
SHARED = 50  # samples of each class that the T of all levels counts for in the T of one


@dataclass(frozen=True)
class NoiseEstimate:
    """What :func:`estimate_transition` finds.

    Attributes:
        transition: ``T[i, j]``, the probability that a sample of true class i is labelled j, on all levels together.
        posterior: ``[n, K]``, the probability of each true class, by the scores and the given label.
        clean: ``[n, K]``, the same by the scores only.
        temperature: that the scores were divided by.
        log_likelihood: of the given labels, the mean over the samples.
    """

    transition: Floats
    posterior: Floats
    clean: Floats
    temperature: float
    log_likelihood: float

    def wrong(self, labels: Integers) -> Floats:
        """``[n]``, the probability that each given label is wrong."""
        return 1 - self.posterior[np.arange(len(labels)), labels]


def estimate_transition(scores: Floats, labels: Integers, levels: int | None = None) -> NoiseEstimate:
    r"""The noise that makes the given labels most likely, by a classifier that has not seen them.

    The scores :math:`s_i`, divided by a temperature :math:`\tau`, are taken for logits of the true class, and labels
    depend on it only: :math:`P(\tilde y_i) = \sum_k q_{ik} T_{k \tilde y_i}` with :math:`q_i = \mathrm{softmax}(s_i /
    \tau)`. :math:`\tau` and :math:`T` are those of the largest likelihood; :math:`T` by EM, as of Dawid and Skene
    (1979) with the classifier as the other annotator. A weak classifier is given a high temperature, and its mistakes
    do not count as wrong labels. Those of people, who err where the classifier does, are partly taken for its own.
    Less so with several levels of difficulty, by the distance between the two largest scores, which have a T each.

    Args:
        scores: out of sample, ``[n, K]``: logits, log probabilities, or scores of a linear head.
        labels: given, ``[n]`` in ``[0, K)``.
        levels: at least 1, of equal size; None for :func:`levels_for` the number of labels.
    """
    if levels is None:
        levels = levels_for(len(labels), scores.shape[1])
    top = _distance(scores)
    unit, level = float(np.median(top)) or 1.0, top.argsort().argsort() * levels // len(top)

    def at(step: float) -> NoiseEstimate:
        return _at(scores, labels, unit * 2.0**step, level)

    best = max(STEPS_OF_2, key=lambda step: at(step).log_likelihood)
    between = (best - STEP, best + STEP)
    found = minimize_scalar(lambda step: -at(step).log_likelihood, bounds=between, options={"xatol": STEP / 40})
    return at(found.x)


def levels_for(samples: int, num_classes: int) -> int:
    """One level of difficulty, two from 300 labels of a class on, three from 450 on."""
    return int(np.clip(samples // (FOR_A_LEVEL * num_classes), 1, 3))


def mean_of(one: NoiseEstimate, other: NoiseEstimate) -> NoiseEstimate:
    """The mean of two estimates from the same labels."""
    pairs = zip(astuple(one), astuple(other), strict=True)
    return NoiseEstimate(*((first + second) / 2 for first, second in pairs))


def softmax(scores: Floats) -> Floats:
    """Of each row."""
    exponential = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Floats = exponential / exponential.sum(axis=1, keepdims=True)
    return result


def _distance(scores: Floats) -> Floats:
    """Of each row's two largest scores. Its median is the unit of temperatures: classifiers have scores of any size."""
    top = np.sort(scores, axis=1)[:, -2:]
    result: Floats = top[:, 1] - top[:, 0]
    return result


def _at(scores: Floats, labels: Integers, temperature: float, level: Integers) -> NoiseEstimate:
    """The estimate for one temperature, with a T for each ``level[n]``."""
    classes, levels = scores.shape[1], int(level.max()) + 1
    clean = softmax(scores / temperature)
    # Samples of one level and label have the same column of T: sorted by these, a step is quick.
    present, group, sizes = np.unique(level * classes + labels, return_inverse=True, return_counts=True)
    order, starts = np.argsort(group, kind="stable"), np.cumsum(sizes) - sizes
    columns, ordered = np.divmod(present, classes), clean[order]
    counts = np.zeros((levels, classes, classes))
    start = np.full((classes, classes), 0.2 / max(classes - 1, 1))
    np.fill_diagonal(start, 0.8)
    transition, transitions = start, np.stack([start] * levels)
    before = ALMOST * (np.eye(classes) + ALMOST)
    for _ in range(STEPS):
        joint = ordered * np.repeat(transitions[columns[0], :, columns[1]], sizes, axis=0)
        joint /= joint.sum(axis=1, keepdims=True)
        counts[columns[0], :, columns[1]] = np.add.reduceat(joint, starts)
        transition = _normalised(counts.sum(axis=0) + before)
        transitions = transition[None] if levels == 1 else _normalised(counts + SHARED * transition)
    joint = clean * transitions[level, :, labels]
    likelihood = joint.sum(axis=1)
    posterior = joint / likelihood[:, None]
    return NoiseEstimate(transition, posterior, clean, temperature, float(np.log(likelihood).mean()))


def _normalised(counts: Floats) -> Floats:
    """Rows that add up to 1."""
    result: Floats = counts / counts.sum(axis=-1, keepdims=True)
    return result
