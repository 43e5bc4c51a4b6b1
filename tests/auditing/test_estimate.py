import numpy as np
import pytest
from cleanlab.count import estimate_joint
from scipy.stats import norm

from lnl.auditing import estimate_noise, find_issues
from lnl.auditing.estimate import margins, relative, systematic_pairs, wrong_at_random
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


def test_labels_wrong_at_random_are_counted_by_hand():
    """Of ten samples of a sure model two are given a class that it holds for the least likely."""
    given = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    held = np.array([[0.8, 0.15, 0.05]] * 4 + [[0.15, 0.8, 0.05]] * 4 + [[0.9, 0.08, 0.02]] * 2)
    margin = margins(relative(given, held))
    others = np.sort(margin[np.arange(3) != given[:, None]])
    share = np.mean(margin[np.arange(10), given] <= np.quantile(others, 0.1)) / 0.1
    rate, (low, high) = wrong_at_random(given, held)
    assert rate == pytest.approx(min(share * 2 / (2 + share), 1))
    bounds = [10 * end for end in wilson(share / 10, 10)]
    assert (low, high) == pytest.approx([min(2 * end / (2 + end), 1) for end in bounds], abs=1e-6)


@pytest.mark.parametrize("classes", [2, 4, 10])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2, 0.4])
@pytest.mark.parametrize("sureness", [5.0, 3.0])
def test_labels_wrong_at_random_are_estimated_by_models_that_err(classes, rate, sureness):
    """Models are right for 66 to 92 % of the images; confident learning counts up to 23 points too many."""
    given, true, probabilities = noisy_problem(20_000, rate, sureness, classes=classes)
    estimated, (low, high) = wrong_at_random(given, probabilities)
    actual = np.mean(given != true)
    width = high - low
    assert low - width / 2 <= actual <= high + width / 2  # of 24 intervals one is expected to miss
    assert abs(estimated - actual) < 0.03
    assert abs(estimated - actual) < estimate_noise(given, probabilities, list(range(classes)))["noise_rate"] - actual


def test_mistakes_for_a_similar_class_are_estimated_too_low():
    """As documented: of classes that models cannot tell apart, a tenth of the wrong labels is not among the doubted."""
    true = np.repeat([0, 1, 2, 3], 500)
    given = np.where(np.random.default_rng(0).random(2000) < 0.3, true ^ 1, true)
    pairs = np.eye(4)[true] + 0.9 * np.eye(4)[true ^ 1] + 0.02
    rate, _ = wrong_at_random(given, pairs / pairs.sum(axis=1, keepdims=True))
    assert rate < 0.1 < np.mean(given != true)


@pytest.mark.parametrize("planted", [[], [(0, 1)], [(2, 3), (3, 2), (4, 0)]])
def test_pairs_that_are_mistaken_systematically_are_found(planted):
    """Labels j are given to a third of class i, and 2 % of all labels are wrong anyhow; models are right for 82 %."""
    _, true, of_truth = noisy_problem(20_000, rate=0, sureness=5, classes=6)
    transition = 0.98 * np.eye(6) + 0.02 / 6
    for j, i in planted:
        transition[i, i], transition[i, j] = transition[i, i] * 2 / 3, transition[i, j] + transition[i, i] / 3
    drawn = np.random.default_rng(1).random((len(true), 1))
    given = (transition[true].cumsum(axis=1) < drawn).sum(axis=1).clip(max=5)
    found = systematic_pairs(given, of_truth @ transition)
    assert [tuple(pair) for pair in np.argwhere(found)] == planted
    estimate = estimate_noise(given, of_truth @ transition, [str(i) for i in range(6)])
    said = sorted((int(pair["given"]), int(pair["suggested"])) for pair in estimate["pairs"] if pair["systematic"])
    assert said == planted


def test_neither_noise_at_random_nor_two_classes_have_a_system():
    for classes in (2, 3, 10):
        given, _, probabilities = noisy_problem(5000, rate=0.4, classes=classes)
        wider = np.column_stack([probabilities, np.zeros(len(given))])  # and a class without samples
        assert not systematic_pairs(given, wider).any()


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
