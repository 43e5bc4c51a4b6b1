"""What runs of a cell differ in; paired tests against numbers worked out by hand; Holm's correction."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnl.reporting.results import read_runs
from lnl.reporting.significance import against_baseline, holm, what_varies, with_labels, wrong_note
from tests.reporting.written import write_run


def runs(**rows):
    """Rows of accuracies by seed, at one column."""
    return pd.DataFrame(
        [
            {
                "row": row,
                "column": 0.3,
                "seed": seed,
                "noise_seed": seed,
                "split_seed": 0,
                "noise_sha256": f"labels {seed}",
            }
            | {"accuracy": value}
            for row, values in rows.items()
            for seed, value in enumerate(values)
            if value is not None
        ]
    )


def test_student_by_hand():
    """Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt 3; with two degrees of freedom p has a closed form."""
    (test,) = against_baseline(runs(ce=[10, 20, 30], gce=[11, 22, 33]), "ce", "accuracy").to_dict("records")
    t = 2 * math.sqrt(3)
    assert (test["row"], test["column"], test["pairs"], test["difference"]) == ("gce", 0.3, 3, 2)
    assert test["p"] == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert test["p_holm"] == test["p"]
    assert (test["low"] + test["high"]) / 2 == pytest.approx(2)
    assert (test["high"] - test["low"]) / 2 == pytest.approx(4.302652729911275 / math.sqrt(3))


def test_pairs_have_the_same_seed_wrong_labels_and_split():
    table = runs(ce=[10, 20, 30, 40], gce=[11, 22, 33, 44])
    table.loc[(table["row"] == "gce") & (table["seed"] == 0), "noise_sha256"] = "others"
    table.loc[(table["row"] == "gce") & (table["seed"] == 1), "split_seed"] = 7
    (test,) = against_baseline(table, "ce", "accuracy").to_dict("records")
    assert (test["pairs"], test["difference"]) == (2, 3.5)
    assert math.isnan(test["p"])
    assert math.isnan(test["p_holm"])


def test_columns_are_not_paired_with_one_another():
    table = runs(ce=[10, 20, 30], gce=[11, 22, 33])
    table.loc[table["row"] == "gce", "column"] = 0.6
    assert against_baseline(table, "ce", "accuracy").empty


def test_without_the_labels_hash_their_seed_tells_them_apart():
    table = runs(ce=[10, 20, 30], gce=[11, 22, 33]).assign(noise_sha256=None)
    assert against_baseline(table, "ce", "accuracy")["pairs"].tolist() == [3]
    table.loc[table["row"] == "gce", "noise_seed"] = 9
    assert against_baseline(table, "ce", "accuracy").empty


@pytest.mark.parametrize("shift", [0, 0.1])
def test_equal_differences_have_no_spread_to_test_by(shift):
    values = np.array([0.1, 0.2, 0.3, 0.7])
    (test,) = against_baseline(runs(ce=values, gce=values + shift), "ce", "accuracy").to_dict("records")
    assert (test["pairs"], test["difference"]) == (4, pytest.approx(shift))
    assert all(math.isnan(test[name]) for name in ("p", "p_holm", "low", "high"))


def test_runs_of_the_same_seed_and_labels_are_one_pair():
    """As without noise, where noise.seed changes nothing."""
    table = runs(ce=[10, 10, 10, 20], gce=[11, 11, 11, 23])
    copied = table["noise_seed"] < 3
    table.loc[copied, ["seed", "noise_sha256"]] = [0, "no wrong labels"]
    (test,) = against_baseline(table, "ce", "accuracy").to_dict("records")
    assert (test["pairs"], test["difference"]) == (2, 2)
    table.loc[0, "accuracy"] = math.nan  # one that has no such number is not the one that counts
    (test,) = against_baseline(table, "ce", "accuracy").to_dict("records")
    assert test["pairs"] == 2


def crossed(ce, gce, labels="{draw}"):
    """Rows of accuracies ``[seed][draw of the wrong labels]``."""
    table = runs(ce=[0] * sum(map(len, ce)), gce=[0] * sum(map(len, ce)))
    places = [(seed, draw) for seed, draws in enumerate(ce) for draw in range(len(draws))] * 2
    table["seed"] = [seed for seed, _ in places]
    table["noise_sha256"] = [labels.format(seed=seed, draw=draw) for seed, draw in places]
    table["accuracy"] = [value for row in (ce, gce) for draws in row for value in draws]
    return table


SHIFTED = [[11, 23], [32, 44], [53, 65]]  # of 10 to 60: by 1, 3; 2, 4; 3, 5


@pytest.mark.parametrize(
    ("labels", "seeds", "pairs", "within"),
    [
        ("{draw}", 3, 3, "seed"),  # each seed at the same two draws
        ("{draw}", 2, 2, "seed"),
        ("{seed} {draw}", 3, 3, "seed"),  # each at two of its own
        ("always the same", 3, 3, ""),
    ],
)
def test_crossed_seeds_and_draws_are_not_as_many_independent_pairs(labels, seeds, pairs, within):
    plain = [[10, 20], [30, 40], [50, 60]]
    (test,) = against_baseline(crossed(plain[:seeds], SHIFTED[:seeds], labels), "ce", "accuracy").to_dict("records")
    assert (test["pairs"], test["within"]) == (pairs, within)
    if within and pairs == 3:  # differences 2, 3, 4: mean 3, deviation 1, t = 3 sqrt 3
        t = 3 * math.sqrt(3)
        assert test["p"] == pytest.approx(1 - t / math.sqrt(2 + t * t))
        assert test["difference"] == 3


def test_draws_are_what_counts_where_there_are_more_of_them_or_they_alone_are_apart():
    more_draws = crossed([[1, 2, 3], [4, 5, 6]], [[2, 3, 5], [5, 7, 8]])
    (test,) = against_baseline(more_draws, "ce", "accuracy").to_dict("records")
    assert (test["pairs"], test["within"]) == (3, "draw of the wrong labels")
    of_four_seeds_two_share_a_draw = runs(ce=[1, 2, 3, 4], gce=[2, 4, 6, 9])
    of_four_seeds_two_share_a_draw["noise_sha256"] = ["a", "a", "b", "b"] * 2
    (test,) = against_baseline(of_four_seeds_two_share_a_draw, "ce", "accuracy").to_dict("records")
    assert (test["pairs"], test["within"], test["difference"]) == (2, "draw of the wrong labels", 2.75)


def test_where_nothing_is_apart_what_varies_least_counts():
    table = crossed([[1, 2], [3]], [[2, 4], [6]])  # the second seed lacks the second draw
    (test,) = against_baseline(table, "ce", "accuracy").to_dict("records")
    assert test["pairs"] == 2


def test_a_missing_number_is_no_pair():
    (test,) = against_baseline(runs(ce=[1, 2, 3, 5], gce=[2, 4, 6, math.nan]), "ce", "accuracy").to_dict("records")
    assert test["pairs"] == 3


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, np.nan, 0.03])), [0.03, 0.06, np.nan, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.9])), [1, 1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_what_its_steps_reject(p, level):
    rejected = set()
    for step, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[place] * (len(p) - step) > level:
            break
        rejected.add(place)
    assert {i for i, value in enumerate(holm(np.array(p))) if value <= level} == rejected


def test_holm_does_not_depend_on_the_order():
    p = np.array([0.04, 0.01, 0.03, 0.2])
    for order in itertools.permutations(range(4)):
        np.testing.assert_allclose(holm(p[list(order)]), holm(p)[list(order)])


@pytest.mark.parametrize(
    ("varying", "text"),
    [
        ([(0, "a", 0)], "1 run"),
        ([(0, "a", 0), (1, "a", 0)], "2 seeds"),
        ([(0, "a", 0), (1, "b", 0), (2, "c", 0)], "3 seeds"),
        ([(0, "a", 0), (0, "b", 0)], "2 draws of the wrong labels"),
        ([(0, "a", 0), (0, "a", 1)], "2 splits"),
        ([(0, "a", 0), (0, "b", 0), (1, "a", 0), (1, "b", 0)], "4 runs (2 seeds × 2 draws of the wrong labels)"),
        ([(0, "a", 0), (0, "b", 0), (1, "a", 0)], "3 runs (2 seeds, 2 draws of the wrong labels)"),
    ],
)
def test_what_runs_differ_in(varying, text):
    table = pd.DataFrame(varying, columns=["seed", "noise_sha256", "split_seed"]).assign(noise_seed=0)
    assert what_varies(with_labels(table)) == text


def test_the_share_of_wrong_labels_is_that_of_training(tmp_path):
    for rate in (0.3, 0.6):
        for seed in range(2):
            write_run(tmp_path, "study", rate=rate, seed=seed, train_rate=rate + 0.01 + 0.02 * seed)
    table = read_runs([tmp_path])
    assert wrong_note(table, "rate") == "Share of wrong training labels, in %: 32.0, 62.0."
    table.loc[0, "train_rate"] = None  # as of a cross-validated run
    assert wrong_note(table, "rate") == "Share of wrong labels, training and validation together, in %: 30.0, 60.0."
    table.loc[0, "actual_rate"] = None
    assert wrong_note(table, "rate") == ""
