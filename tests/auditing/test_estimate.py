import numpy as np
import pytest
from cleanlab.count import estimate_joint
from scipy.stats import norm

from lnl.auditing import estimate_noise, find_issues
from tests.auditing.generated import CLASSES, noisy_problem


def sure(given, true, classes):
    """A model that is sure of the truth."""
    return np.eye(classes)[true] * 0.97 + 0.01


def test_a_model_that_knows_the_truth_counts_it():
    true = np.repeat([0, 1, 2], [400, 300, 300])
    given = true.copy()
    given[:100] = 1  # a quarter of class 0
    given[400:430] = 2  # a tenth of class 1
    estimate = estimate_noise(given, sure(given, true, 3), ["a", "b", "c"])
    assert estimate["noise_rate"] == pytest.approx(0.13, abs=0.005)
    np.testing.assert_allclose(estimate["transition"], [[0.75, 0.25, 0], [0, 0.9, 0.1], [0, 0, 1]], atol=0.01)
    np.testing.assert_allclose(estimate["joint"], [[0.3, 0, 0], [0.1, 0.27, 0], [0, 0.03, 0.3]], atol=0.002)
    rates = {(pair["given"], pair["suggested"]): pair["rate"] for pair in estimate["pairs"]}
    assert rates == pytest.approx({("b", "a"): 100 / 370, ("c", "b"): 30 / 330})
    for pair in estimate["pairs"]:
        trials = {"b": 370, "c": 330}[pair["given"]]
        assert pair["interval"] == pytest.approx(wilson(pair["rate"], trials), abs=1e-6)
    assert estimate["samples"] == 1000
    assert estimate["classes"] == ["a", "b", "c"]


def wilson(p, n):
    z = norm.ppf(0.975)
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return [(centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)]


def test_the_joint_is_cleanlabs():
    given, _, probabilities = noisy_problem()
    estimate = estimate_noise(given, probabilities, CLASSES)
    np.testing.assert_array_equal(estimate["joint"], estimate_joint(given, probabilities))
    np.testing.assert_allclose(np.sum(estimate["transition"], axis=1), 1)
    assert estimate["noise_rate"] == pytest.approx(1 - np.trace(estimate["joint"]), abs=2e-3)  # it rounds to samples


def test_the_intervals_hold_the_true_rate_as_often_as_they_say():
    """200 sets of 1,000 labels from a population with 20 % wrong; of a model that knows the truth."""
    rng = np.random.default_rng(0)
    held, pair_held, repeats = 0, 0, 200
    for _ in range(repeats):
        true = rng.choice(3, 1000, p=[0.5, 0.3, 0.2])
        given = np.where(rng.random(1000) < [0.3, 0.1, 0.1] @ np.eye(3)[true].T, (true + 1) % 3, true)
        estimate = estimate_noise(given, sure(given, true, 3), ["a", "b", "c"])
        low, high = estimate["noise_rate_interval"]
        held += low <= 0.2 <= high
        pair = next(pair for pair in estimate["pairs"] if (pair["given"], pair["suggested"]) == ("b", "a"))
        share = 0.15 / (0.15 + 0.27)  # of those labelled b
        pair_held += pair["interval"][0] <= share <= pair["interval"][1]
    for count in (held, pair_held):
        assert 0.91 <= count / repeats <= 0.99


def test_without_wrong_labels_the_interval_starts_at_zero():
    true = np.repeat([0, 1], 200)
    estimate = estimate_noise(true, sure(true, true, 2), ["a", "b"])
    assert estimate["noise_rate"] == 0
    assert estimate["noise_rate_interval"] == pytest.approx([0, wilson(0, 400)[1]], abs=1e-6)
    assert estimate["pairs"] == []


def test_issues_are_counted_by_pair():
    given, _, probabilities = noisy_problem()
    issues = find_issues(given, probabilities, CLASSES)
    estimate = estimate_noise(given, probabilities, CLASSES, issues)
    assert estimate["issues"] == issues["issue"].sum() == sum(pair["count"] for pair in estimate["pairs"]) > 0
    counts = [pair["count"] for pair in estimate["pairs"]]
    assert counts == sorted(counts, reverse=True)
    top = estimate["pairs"][0]
    rows = issues[
        issues["issue"] & (issues["given_label"] == top["given"]) & (issues["suggested_label"] == top["suggested"])
    ]
    assert len(rows) == top["count"]


def test_a_class_without_samples_has_the_identitys_row():
    given, _, probabilities = noisy_problem(300)
    estimate = estimate_noise(given, np.column_stack([probabilities, np.zeros(300)]), [*CLASSES, "none"])
    assert estimate["transition"][4] == [0, 0, 0, 0, 1]
    assert np.isfinite(estimate["noise_rate_interval"]).all()
