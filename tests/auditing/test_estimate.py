import numpy as np
import pandas as pd
import pytest
from cleanlab.count import estimate_joint
from scipy.stats import norm

from lnl.auditing import estimate_noise, find_issues
from lnl.auditing.estimate import judge, margins, often_mistaken, relative, systematic_pairs, wrong_at_random
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


def test_few_labels_are_not_systematic_where_many_are():
    transition = np.array([[0.84, 0.15, 0.01], [0.02, 0.97, 0.01], [0.01, 0.01, 0.98]])
    assert np.argwhere(often_mistaken(transition, np.full(3, 1000))).tolist() == [[1, 0]]  # labelled 1, truly 0
    assert not often_mistaken(transition, np.full(3, 50)).any()  # eight labels


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
    threshold = np.quantile(others, 0.1)
    below = np.mean(others <= threshold)
    assert below == 0.4  # eight of twenty tie
    share = np.mean(margin[np.arange(10), given] <= threshold) / below
    rate, (low, high) = wrong_at_random(given, held)
    assert rate == pytest.approx(min(share * 2 / (2 + share), 1))
    bounds = [end / below for end in wilson(share * below, 10)]
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
    np.testing.assert_allclose(estimate["transition"][4], [0, 0, 0, 0, 1], atol=0.005)
    assert np.isfinite(estimate["noise_rate_interval"]).all()


def guessed(labels, right, seed=0):
    """Probabilities of a judge that names the given label for the first ``right`` of each class, else the next one."""
    place = pd.Series(labels).groupby(labels).cumcount().to_numpy()
    named = np.where(place < right, labels, (labels + 1) % 4)
    return np.eye(4)[named] * 0.8 + 0.05


def test_skill_is_what_is_above_chance_of_what_wrong_labels_leave():
    labels = np.repeat(np.arange(4), 1000)
    for right, accuracy in ((1000, 1.0), (700, 0.7), (250, 0.25)):
        verdict = judge(labels, guessed(labels, right))
        low, (wrong, _) = wilson(accuracy, 4000)[0], wrong_at_random(labels, guessed(labels, right))[1]
        assert (verdict.accuracy, verdict.chance) == (accuracy, 0.25)
        assert verdict.low == pytest.approx(low, abs=1e-6)
        assert verdict.skill == pytest.approx((low - 0.25) / 0.75 / max(1 - wrong * 4 / 3, 0.4), abs=1e-6)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.4])
def test_wrong_labels_do_not_lower_the_skill_of_a_judge_that_knows_the_truth(rate):
    true = np.arange(8000) % 4
    rng = np.random.default_rng(0)
    given = np.where(rng.random(8000) < rate, (true + rng.integers(1, 4, 8000)) % 4, true)
    verdict = judge(given, sure(given, true, 4))
    assert 0.85 < verdict.skill < 1.05  # the lower ends of both intervals count
    assert verdict.accuracy == pytest.approx(1 - rate, abs=0.02)


def test_few_pictures_prove_no_skill():
    """16 of 24 right by a fair judge of four classes may be luck; 1,600 of 2,400 may not."""
    few, many = np.arange(24) % 4, np.arange(2400) % 4
    assert not judge(few, guessed(few, 4)).can_tell
    assert judge(many, guessed(many, 500)).can_tell


def test_the_interval_in_front_holds_the_share_for_both_kinds_of_mistakes_and_any_judge():
    """Also where the models cannot tell, and where similar classes are mistaken for each other."""
    rng, told, held, repeats = np.random.default_rng(0), 0, 0, 120
    for turn in range(repeats):
        rate, sureness, size = rng.choice([0.0, 0.1, 0.3]), rng.choice([0.5, 2.0, 6.0]), rng.choice([60, 250, 1000])
        _, true, of_truth = noisy_problem(size, rate=0, sureness=sureness, seed=turn)
        wrong, shift = rng.random(size) < rate, rng.integers(1, 4, size) if turn % 2 else 1
        given = np.where(wrong, (true + shift) % 4, true)
        transition = np.eye(4) * (1 - rate) + (
            rate / 3 * (1 - np.eye(4)) if turn % 2 else rate * np.roll(np.eye(4), 1, 1)
        )
        estimate = estimate_noise(given, of_truth @ transition, CLASSES)
        low, high = estimate["wrong_interval"]
        told += estimate["can_tell"]
        held += low <= wrong.mean() <= high
        if estimate["can_tell"]:
            assert low <= estimate["wrong"] <= high
        else:
            assert (low, estimate["wrong"]) == (0, None)
    assert 20 < told < 100
    assert held >= 0.95 * repeats


def test_the_advice_says_what_the_models_can_tell():
    given, _, good = noisy_problem(1000, sureness=8)
    _, _, weak = noisy_problem(1000, sureness=0.5)
    said = estimate_noise(given, good, CLASSES)
    assert "people erred" in said["advice"][0]
    assert f"Look at the first {np.ceil(1000 * said['wrong']):.0f} pictures" in said["advice"][1]
    told = estimate_noise(noisy_problem(1000, sureness=0.5)[0], weak, CLASSES)
    assert told["advice"][0].startswith("The models predict ")
    assert told["issues"] == 0


def test_judges_with_few_values_count_the_share_that_is_wrong():
    """The wrong labels of such judges tie at the threshold: more than a tenth of them are below it."""
    true = np.arange(8000) % 4
    rng = np.random.default_rng(0)
    given = np.where(rng.random(8000) < 0.2, (true + rng.integers(1, 4, 8000)) % 4, true)
    rate, (low, high) = wrong_at_random(given, sure(given, true, 4))
    assert low < (given != true).mean() < high
    assert rate == pytest.approx(0.2, abs=0.02)
