"""Which sample is for what: nothing is used twice, trusted samples are never validated on, folds leave nothing out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnl.datasets.splits import Splitting, check_classes
from lnl.errors import UserError
from lnl.labels import Labels, Trusted
from lnl.labels.files import with_trusted

CLASSES = ("a", "b", "c")


def splitting(**options):
    """Divides true labels; doubtful ones where something is told of them, if only that it is nothing, ``{}``."""
    made = Splitting(**options)

    def divide(labels, test_labels, trusted, told=None):
        known = Labels.true(labels, CLASSES) if told is None else Labels.doubtful(labels, CLASSES)
        return made(replace(known, trusted=trusted), test_labels, **(told or {}))

    return divide


def trusted_of(truth, count):
    return with_trusted(Labels.true(truth, CLASSES), count, 0).trusted


sizes = st.integers(30, 200)


@given(counts=st.lists(st.integers(0, 9), min_size=2, max_size=130), folds=st.integers(2, 4), seed=st.integers(0, 3))
def test_folds_of_given_labels_have_every_class_in_its_share(counts, folds, seed):
    """So that no model judges a class that it has not seen, unless there is one sample of it."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if len(labels) < 2 * folds:
        return
    nobody = trusted_of(labels, None)
    parts = [
        splitting(folds=folds, fold=fold, split_seed=seed)(labels, labels, nobody, {}) for fold in range(1, folds + 1)
    ]
    np.testing.assert_array_equal(np.sort(np.concatenate([part["val"] for part in parts])), np.arange(len(labels)))
    each = np.array([np.bincount(labels[part["val"]], minlength=len(counts)) for part in parts])
    assert (np.ptp(each, axis=0) <= 1).all()
    assert np.ptp(each.sum(axis=1)) <= 1


def test_folds_of_given_labels_follow_the_seed():
    labels = np.arange(40) % 2
    nobody = trusted_of(labels, None)
    seeds = [splitting(folds=4, fold=1, split_seed=seed)(labels, labels, nobody, {}) for seed in (0, 1)]
    assert seeds[0]["val"].tolist() != seeds[1]["val"].tolist()


def test_folds_of_a_benchmark_are_what_they_were():
    truth = np.random.default_rng(0).integers(0, 3, 23)
    order = np.random.default_rng(5).permutation(23)
    for fold, expected in enumerate(np.array_split(order, 4), 1):
        found = splitting(folds=4, fold=fold, split_seed=5)(truth, truth, trusted_of(truth, None))
        assert found["val"].tolist() == sorted(expected)


@given(n=sizes, folds=st.integers(2, 7), trusted=st.integers(0, 20), seed=st.integers(0, 3), limit=st.booleans())
def test_folds_leave_no_index_out_and_use_none_twice(n, folds, trusted, seed, limit):
    truth = np.random.default_rng(n).integers(0, 3, n)
    known = trusted_of(truth, trusted)
    count = n - trusted - 5 if limit else n - trusted
    subset = count if limit else None

    def part_of(fold):
        return splitting(folds=folds, fold=fold, split_seed=seed, subset=subset)(truth, truth, known)

    for fold in range(count + 1, folds + 1):  # more folds than samples
        with pytest.raises(UserError, match=rf"data\.folds={folds} leaves no samples for val"):
            part_of(fold)
    parts = [part_of(fold) for fold in range(1, min(folds, count) + 1)]
    validated = np.concatenate([part["val"] for part in parts])
    assert len(np.unique(validated)) == len(validated) == count
    assert not np.isin(validated, known.index).any()
    assert np.ptp([len(part["val"]) for part in parts]) <= 1
    for part in parts:
        expected = np.union1d(np.setdiff1d(validated, part["val"]), known.index)
        np.testing.assert_array_equal(part["train"], expected)


@given(n=sizes, trusted=st.integers(0, 25), room=st.integers(0, 20), mode=st.sampled_from(["stratified", "first"]))
def test_a_limit_keeps_all_trusted_samples(n, trusted, room, mode):
    truth = np.random.default_rng(n).integers(0, 3, n)
    known, limit = trusted_of(truth, trusted), min(max(1, trusted + room), round(0.8 * (n - trusted)))
    if limit < trusted:
        return
    train = splitting(subset=limit, subset_mode=mode)(truth, truth, known)["train"]
    every = splitting()(truth, truth, known)["train"]
    assert len(np.unique(train)) == len(train) == limit
    assert np.isin(known.index, train).all()
    assert np.isin(train, every).all()
    doubtful, others = np.setdiff1d(train, known.index), np.setdiff1d(every, known.index)
    if mode == "first":
        np.testing.assert_array_equal(doubtful, others[: limit - trusted])
    else:
        share = np.bincount(truth[others], minlength=3) * len(doubtful) / len(others)
        assert (abs(np.bincount(truth[doubtful], minlength=3) - share) < 1).all()


def test_a_limit_below_the_trusted_samples_is_refused():
    truth = np.arange(90) % 3
    with pytest.raises(UserError, match=r"data\.subset=9 has no room for the 10 trusted training samples"):
        splitting(subset=9)(truth, truth, trusted_of(truth, 10))
    for known in (Trusted(np.arange(10), truth[:10]), trusted_of(truth, 14)):
        parts = splitting(subset=10, trusted_test=len(known) - 10)(truth, truth, known, {})
        assert len(parts["train"]) == np.isin(parts["train"], known.index).sum() == 10


@given(n=sizes, trusted=st.integers(1, 25), tested=st.integers(0, 25), seed=st.integers(0, 3))
def test_splits_are_disjoint_and_trusted_samples_are_trained_or_tested_on(n, trusted, tested, seed):
    truth = np.random.default_rng(n).integers(0, 3, n)
    known, tested = trusted_of(truth, trusted), min(tested, trusted)
    parts = splitting(split_seed=seed, trusted_test=tested)(truth, truth, known)
    held_out = parts.get("trusted_test", np.arange(0))
    everything = np.concatenate([parts["train"], parts["val"], held_out])
    np.testing.assert_array_equal(np.sort(everything), np.arange(n))
    assert len(held_out) == tested
    assert np.isin(held_out, known.index).all()
    assert np.isin(np.setdiff1d(known.index, held_out), parts["train"]).all()
    assert len(parts["val"]) == round(0.2 * (n - len(known)))


@pytest.mark.parametrize("options", [{"folds": 1}, {"fold": 1}, {"folds": 3, "fold": 4}, {"val_fraction": 1.0}])
def test_values_that_cannot_be(options):
    with pytest.raises(ValueError, match=r"data\."):
        splitting(**options)


def test_more_held_out_than_trusted():
    with pytest.raises(Exception, match=r"data\.trusted_test must be between 0 and the 2 trusted"):
        splitting(trusted_test=3)(np.zeros(9), np.zeros(9), Trusted(np.arange(2), np.zeros(2, dtype=np.int64)))


@pytest.mark.parametrize(
    "options",
    [
        {"trusted_test": 0.3},
        {"trusted_test": "abc"},
        {"folds": "abc"},
        {"folds": 2.5},
        {"folds": 2, "val_subset": 3},
    ],
)
def test_values_of_the_wrong_kind(options):
    with pytest.raises(ValueError, match=r"data\."):
        splitting(**options)


def test_more_folds_than_samples():
    with pytest.raises(Exception, match=r"data\.folds=20 leaves no samples for val"):
        splitting(folds=20, fold=20)(
            np.zeros(9, dtype=np.int64), np.zeros(9, dtype=np.int64), trusted_of(np.zeros(9), None)
        )


def test_a_small_class_may_be_another_spelling():
    with pytest.raises(UserError, match=r"the class 'Cat' has 1 of 21 .*\n'cat' differs from it only by case"):
        check_classes(np.array([1, 10, 10]), 5, ["Cat", "cat", "dog"])
    with pytest.raises(UserError, match=r"every fold needs one.\nLeave the class out"):
        check_classes(np.array([1, 10, 10]), 5, ["owl", "cat", "dog"])
