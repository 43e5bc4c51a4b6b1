"""How labels become wrong, estimated from a classifier's out-of-sample scores: T, the share, and each label's doubt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from lnl.labels import Integers

Floats = NDArray[np.floating]
STEP = 0.5
STEPS_OF_2 = np.arange(-6, 4.01, STEP)  # temperatures that are tried first, as powers of two
STEPS = 60  # of EM, for each temperature
ALMOST = 1e-3  # counts of each transition before any is seen, so that none is impossible


@dataclass(frozen=True)
class NoiseEstimate:
    """What :func:`estimate_transition` finds.

    Attributes:
        transition: ``T[i, j]``, the probability that a sample of true class i is labelled j.
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


def estimate_transition(scores: Floats, labels: Integers) -> NoiseEstimate:
    r"""The noise that makes the given labels most likely, by a classifier that has not seen them.

    The scores :math:`s_i`, divided by a temperature :math:`\tau`, are taken for logits of the true class, and labels
    depend on it only: :math:`P(\tilde y_i) = \sum_k q_{ik} T_{k \tilde y_i}` with :math:`q_i = \mathrm{softmax}(s_i /
    \tau)`. :math:`\tau` and :math:`T` are those of the largest likelihood; :math:`T` by EM, as of Dawid and Skene
    (1979) with the classifier as the other annotator. A weak classifier is given a high temperature, and its mistakes
    do not count as wrong labels. Those of people, who err where the classifier does, are partly taken for its own.

    Args:
        scores: out of sample, ``[n, K]``: logits, log probabilities, or scores of a linear head.
        labels: given, ``[n]`` in ``[0, K)``.
    """
    unit = _scale(scores)

    def at(step: float) -> NoiseEstimate:
        return _at(scores, labels, unit * 2.0**step)

    best = max(STEPS_OF_2, key=lambda step: at(step).log_likelihood)
    between = (best - STEP, best + STEP)
    found = minimize_scalar(lambda step: -at(step).log_likelihood, bounds=between, options={"xatol": STEP / 20})
    return at(found.x)


def softmax(scores: Floats) -> Floats:
    """Of each row."""
    exponential = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Floats = exponential / exponential.sum(axis=1, keepdims=True)
    return result


def _scale(scores: Floats) -> float:
    """The median distance between a row's two largest scores, so that no classifier has scores of its own size."""
    top = np.sort(scores, axis=1)[:, -2:]
    return float(np.median(top[:, 1] - top[:, 0])) or 1.0


def _at(scores: Floats, labels: Integers, temperature: float) -> NoiseEstimate:
    """The estimate for one temperature."""
    clean = softmax(scores / temperature)
    classes = clean.shape[1]
    given = np.eye(classes)[labels]
    transition = np.full((classes, classes), 0.2 / max(classes - 1, 1))
    np.fill_diagonal(transition, 0.8)
    for _ in range(STEPS):
        joint = clean * transition[:, labels].T
        counts = (joint / joint.sum(axis=1, keepdims=True)).T @ given + ALMOST
        transition = counts / counts.sum(axis=1, keepdims=True)
    joint = clean * transition[:, labels].T
    likelihood = joint.sum(axis=1)
    posterior = joint / likelihood[:, None]
    return NoiseEstimate(transition, posterior, clean, temperature, float(np.log(likelihood).mean()))
