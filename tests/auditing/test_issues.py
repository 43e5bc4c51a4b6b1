import numpy as np
import pandas as pd
import pytest
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from lnl.auditing import find_issues, ranking_quality
from lnl.auditing.estimate import judge, margins, relative, wrong_at_random
from lnl.auditing.issues import mean_rank, within_class
from tests.auditing.generated import CLASSES, noisy_problem

LABELS = np.array([0, 1, 2, 0])
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.1, 0.5, 0.4]])


def test_scores_are_those_of_their_definitions():
    neighbours = np.array([[0.9, 0.1, 0], [1, 0, 0], [0.1, 0.1, 0.8], [0.2, 0.4, 0.4]])
    margins = np.array([2.0, -1.0, 1.0, -3.0])
    history = {"training_margin": margins, "wrong_events": np.array([0, 0.5, 0.2, 1]), "neighbours": neighbours}
    table = find_issues(LABELS, PROBABILITIES, ("a", "b", "c"), **history)
    by_index = table.set_index("index").sort_index()
    np.testing.assert_allclose(by_index["self_confidence"], [0.7, 0.3, 0.5, 0.1])
    np.testing.assert_allclose(by_index["loss"], -np.log([0.7, 0.3, 0.5, 0.1]))
    np.testing.assert_allclose(by_index["margin"], [0.5, -0.3, 0.2, -0.4])
    thresholds = np.array([0.4, 0.3, 0.5])  # mean probability of a class where it is given
    ratios = PROBABILITIES / thresholds
    largest = [ratios[0, 1], ratios[1, 0], ratios[2, 1], ratios[3, 1]]
    np.testing.assert_allclose(by_index["held_out_margin"], np.log(ratios[range(4), LABELS] / largest))
    np.testing.assert_allclose(by_index["training_margin"], margins)
    np.testing.assert_allclose(by_index["neighbours"], [0.9, 0, 0.8, 0.2])
    np.testing.assert_allclose(by_index["wrong_events"], [0, 0.5, 0.2, 1])
    assert by_index["given_label"].tolist() == ["a", "b", "c", "a"]
    assert by_index["suggested_label"].tolist() == ["b", "a", "b", "b"]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table["score"].is_monotonic_decreasing
    assert table["index"].tolist() == [3, 1, 2, 0]


def test_the_combined_score_is_the_mean_rank():
    scores = [np.array([5.0, 1.0, 3.0]), np.array([0.0, 0.0, 9.0])]
    np.testing.assert_allclose(mean_rank(scores), [3.5 / 6, 1.5 / 6, 4 / 6])
    alone = mean_rank(scores[:1])
    np.testing.assert_allclose(alone, [5 / 6, 1 / 6, 1 / 2])
    assert mean_rank([np.exp(scores[0]), scores[1] * 7]).tolist() == mean_rank(scores).tolist()  # no scale matters


def test_cleanlabs_scores_are_cleanlabs():
    given, _, probabilities = noisy_problem(500)
    table = find_issues(given, probabilities).sort_values("index")
    for name in ("self_confidence", "normalized_margin"):
        np.testing.assert_allclose(table[name], get_label_quality_scores(given, probabilities, method=name))


def test_the_score_is_half_of_what_has_not_seen_the_label_and_half_of_what_has():
    given, _, probabilities = noisy_problem(300)
    rng = np.random.default_rng(0)
    margins, neighbours = rng.normal(0, 1, 300), rng.dirichlet([1] * 4, 300)
    table = find_issues(given, probabilities, training_margin=margins, neighbours=neighbours).set_index("index")
    rank = table.sort_index().rank()
    unseen = (rank["loss"] + 301 - rank["held_out_margin"] + 301 - rank["neighbours"]) / 3
    medians = np.array([np.median(margins[given == label]) for label in range(4)])
    seen = rankdata(medians[given] - margins)
    np.testing.assert_allclose(table.sort_index()["score"], ((unseen + seen) / 2 - 0.5) / 300)


def test_margins_are_to_the_largest_other_value():
    values = np.array([[3.0, 1.0, 2.0], [0.0, 0.0, -5.0]])
    assert margins(values).tolist() == [[1, -2, -1], [0, 0, -5]]


def test_a_class_is_judged_by_what_is_usual_for_it():
    labels = np.array([0, 0, 0, 1, 1])
    np.testing.assert_allclose(within_class(labels, np.array([1.0, 2.0, 9.0, 4.0, 6.0])), [-1, 0, 7, -1, 1])
    probabilities = np.array([[0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [0.1, 0.9], [0.3, 0.7]])  # class 0 is never sure
    expected = np.log(probabilities / [0.3, 0.8])
    np.testing.assert_allclose(relative(labels, probabilities), expected, atol=1e-12)
    assert find_issues(labels, probabilities)["index"].iloc[0] != 0  # 0.4 is much for it


def test_an_issue_is_what_every_view_holds_for_wrong_and_no_more_than_the_models_surely_find():
    given, _, probabilities = noisy_problem(500, sureness=6)
    rng = np.random.default_rng(0)
    neighbours, last = rng.dirichlet([0.3] * 4, 500), rng.dirichlet([0.3] * 4, 500)
    history = {"epoch_probabilities": probabilities, "neighbours": neighbours}
    table = find_issues(given, last, **history).sort_values("index")
    compared = relative(given, probabilities)
    others = compared.copy()
    others[np.arange(500), given] = -np.inf
    suggested = others.argmax(axis=1)
    np.testing.assert_array_equal(table["suggested_label"].astype(int), suggested)
    pruned = find_label_issues(given, probabilities, filter_by="both", n_jobs=1)
    agreed = np.all([view.argmax(axis=1) == suggested for view in (compared, probabilities, neighbours, last)], axis=0)
    _, (surely, _) = wrong_at_random(given, probabilities)
    first = table["rank"].to_numpy() <= judge(given, probabilities).skill * surely * 500
    np.testing.assert_array_equal(table["issue"], pruned & agreed & first)
    assert 0 < table["issue"].sum() < (pruned & agreed).sum() < pruned.sum()


def test_models_that_cannot_tell_flag_nothing_and_still_rank():
    """Their suggestions would make labels worse: most of the labels that they doubt are right."""
    given, true, probabilities = noisy_problem(500, sureness=1)
    table = find_issues(given, probabilities)
    assert not judge(given, probabilities).can_tell
    assert find_label_issues(given, probabilities, filter_by="both", n_jobs=1).sum() > 50
    assert not table["issue"].any()
    wrong = (given != true)[table["index"]]
    assert average_precision_score(wrong, table["score"]) > 1.3 * wrong.mean()


def test_labels_of_a_systematic_pair_are_issues_though_hardly_any_are_wrong_at_random():
    """Every third label 1 is truly 0, of models to which that is all that is wrong."""
    _, true, of_truth = noisy_problem(6000, rate=0, sureness=5)
    given = np.where((true == 0) & (np.random.default_rng(1).random(6000) < 0.33), 1, true)
    transition = np.eye(4)
    transition[0, :2] = [0.67, 0.33]
    probabilities = of_truth @ transition
    table = find_issues(given, probabilities).sort_values("index")
    _, (surely, _) = wrong_at_random(given, probabilities)
    issue = table["issue"].to_numpy()
    assert issue.sum() > 100 > surely * 6000
    found = find_label_issues(given, probabilities, filter_by="both", n_jobs=1) & (probabilities.argmax(axis=1) == 0)
    in_pair = table[found & (given == 1) & (table["suggested_label"] == "0").to_numpy()]
    first = in_pair.nsmallest(round(judge(given, probabilities).skill * len(in_pair)), "rank")
    assert set(first["index"]) == set(np.flatnonzero(issue)) < set(in_pair["index"])
    assert set(zip(table["given_label"][issue], table["suggested_label"][issue], strict=True)) == {("1", "0")}
    assert (given != true)[issue].mean() > 0.8


def test_independent_views_rank_better_than_one():
    """Two models that err apart from one another: the mean rank is better than cleanlab's of the first."""
    given, true, first = noisy_problem(4000, rate=0.3, sureness=4)
    margins = np.random.default_rng(1).normal(np.where(given == true, 1.0, -1.0), 0.7)
    table = find_issues(given, first, training_margin=margins)
    index = table["index"].to_numpy()
    numbers = table["suggested_label"].astype(int).to_numpy()
    quality = ranking_quality(table, given[index], true[index], numbers)
    assert quality["average_precision"] > quality["cleanlab_average_precision"] > quality["chance"]
    wrong = given != true
    assert quality["chance"] == wrong.mean()
    assert quality["cleanlab_average_precision"] == pytest.approx(
        average_precision_score(wrong, -get_label_quality_scores(given, first))
    )
    flagged = table.set_index("index")["issue"].sort_index().to_numpy()
    assert quality["precision"] == wrong[flagged].mean()
    assert quality["recall"] == flagged[wrong].mean()
    assert quality["wrong_after"] < quality["wrong_before"] == wrong.mean()


def test_the_quality_of_a_ranking_by_hand():
    issues = pd.DataFrame(
        {
            "score": [0.9, 0.8, 0.2, 0.1],
            "issue": [True, True, False, False],
            "self_confidence": [0.1, 0.2, 0.05, 0.9],
            "normalized_margin": [0.1, 0.2, 0.05, 0.9],
        }
    )
    given, true, suggested = np.array([0, 0, 0, 0]), np.array([1, 0, 2, 0]), np.array([1, 1, 1, 1])
    quality = ranking_quality(issues, given, true, suggested)
    assert quality["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert quality["cleanlab_average_precision"] == 1
    assert (quality["precision"], quality["recall"], quality["chance"]) == (0.5, 0.5, 0.5)
    assert quality["wrong_after"] == 0.5  # one put right, one made wrong
    assert ranking_quality(issues, true, true, suggested) is None


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[1.0, 0.0]], "do not fit"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], r"labels must be in 0\.\.1, got 0\.\.2"),
        ([1, 1], [[0.5, 0.5], [0.5, 0.5]], "all labels are 1"),
        ([0, 1], [[np.nan, 0.5], [0.5, 0.5]], "probabilities must be in"),
        ([0, 1], [[2.0, -1.0], [0.5, 0.5]], "probabilities must be in"),
    ],
)
def test_what_does_not_fit_is_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        find_issues(np.array(labels), np.array(probabilities))


def test_a_class_without_samples_is_no_trouble():
    given, _, probabilities = noisy_problem(300, sureness=6)
    wider = np.column_stack([probabilities, np.zeros(len(given))])
    table = find_issues(given, wider, [*CLASSES, "none"])
    assert set(table["suggested_label"]) == set(CLASSES)
    assert table["issue"].any()
