"""The estimate of the noise from a classifier's scores, where the truth is known."""

import numpy as np
import pytest

from lnl.noise import asymmetric, symmetric
from lnl.noise.estimate import estimate_transition, softmax

PAIRS = asymmetric({0: 1, 1: 0, 2: 3}, 5, 0.3)


def sampled(transition, count=6000, classes=5, seed=0):
    """Scores from which the true class is drawn, by their softmax, and its noisy label."""
    rng = np.random.default_rng(seed)
    scores = 3 * rng.standard_normal((count, classes))
    true = np.array([rng.choice(classes, p=row) for row in softmax(scores)])
    return scores, true, np.array([rng.choice(classes, p=transition[label]) for label in true])


@pytest.mark.parametrize(
    "transition", [np.eye(5), symmetric(5, 0.2), symmetric(5, 0.4), PAIRS], ids=["none", "20 %", "40 %", "pairs"]
)
def test_the_transition_matrix_is_found_whatever_the_scale_of_the_scores(transition):
    scores, true, labels = sampled(transition)
    for scale in (1.0, 0.01, 30.0):
        found = estimate_transition(scale * scores, labels)
        np.testing.assert_allclose(found.transition, transition, atol=0.06)
        assert abs(found.wrong(labels).mean() - (labels != true).mean()) < 0.02
        assert found.temperature == pytest.approx(scale, rel=0.35)


def test_the_posterior_is_bayes_rule():
    scores, _, labels = sampled(symmetric(5, 0.3), count=300)
    found = estimate_transition(scores, labels)
    joint = softmax(scores / found.temperature) * found.transition.T[labels]
    np.testing.assert_allclose(found.posterior, joint / joint.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.log_likelihood, np.log(joint.sum(axis=1)).mean())
    np.testing.assert_allclose(found.wrong(labels), 1 - found.posterior[np.arange(300), labels])


def test_labels_of_which_a_weak_classifier_is_unsure_are_not_taken_for_wrong_ones():
    scores, true, labels = sampled(np.eye(5))
    assert (scores.argmax(axis=1) != true).mean() > 0.15  # its mistakes, as far as scores can tell
    assert estimate_transition(scores, labels).wrong(labels).mean() < 0.02


def test_levels_find_labels_that_are_wrong_where_the_classifier_is_unsure():
    scores, true, _ = sampled(np.eye(5), count=6000)
    rng = np.random.default_rng(0)
    second, first = np.sort(scores, axis=1)[:, -2:].T
    hard = (first - second).argsort().argsort() < 3000
    flipped = rng.random(6000) < np.where(hard, 0.5, 0.05)
    labels = np.where(flipped, (true + rng.integers(1, 5, 6000)) % 5, true)
    errors = {n: estimate_transition(scores, labels, n).wrong(labels).mean() - flipped.mean() for n in (1, 2)}
    assert abs(errors[2]) < 0.02 < abs(errors[1])
    of_hard = estimate_transition(scores, labels, 2).wrong(labels)[hard].mean()
    assert of_hard == pytest.approx(flipped[hard].mean(), abs=0.03)
