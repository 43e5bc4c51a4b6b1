"""Which sample is for what: nothing is used twice, trusted samples are never validated on, folds leave nothing out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnl.data.images import Given
from lnl.data.splits import Splitting
from lnl.data.trusted import Trusted, read_trusted
from lnl.errors import UserError

CLASSES = ("a", "b", "c")


def splitting(**options):
    defaults = {"val_fraction": 0.2, "seed": 0, "limits": {}, "mode": "stratified", "trusted_test": 0}
    return Splitting(**{**defaults, "folds": None, "fold": None, **options})


def trusted_of(truth, count):
    return read_trusted(count, truth, CLASSES, 0)


sizes = st.integers(30, 200)


@given(counts=st.lists(st.integers(0, 9), min_size=2, max_size=130), folds=st.integers(2, 4), seed=st.integers(0, 3))
def test_folds_of_given_labels_have_every_class_in_its_share(counts, folds, seed):
    """So that no model judges a class that it has not seen, unless there is one sample of it."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if len(labels) < 2 * folds:
        return
    nobody = trusted_of(labels, None)
    parts = [
        splitting(folds=folds, fold=fold, seed=seed)(labels, labels, nobody, Given()) for fold in range(1, folds + 1)
    ]
    np.testing.assert_array_equal(np.sort(np.concatenate([part["val"] for part in parts])), np.arange(len(labels)))
    each = np.array([np.bincount(labels[part["val"]], minlength=len(counts)) for part in parts])
    assert (np.ptp(each, axis=0) <= 1).all()
    assert np.ptp(each.sum(axis=1)) <= 1


def test_folds_of_given_labels_follow_the_seed():
    labels = np.arange(40) % 2
    nobody = trusted_of(labels, None)
    seeds = [splitting(folds=4, fold=1, seed=seed)(labels, labels, nobody, Given()) for seed in (0, 1)]
    assert seeds[0]["val"].tolist() != seeds[1]["val"].tolist()


def test_folds_of_a_benchmark_are_what_they_were():
    truth = np.random.default_rng(0).integers(0, 3, 23)
    order = np.random.default_rng(5).permutation(23)
    for fold, expected in enumerate(np.array_split(order, 4), 1):
        found = splitting(folds=4, fold=fold, seed=5)(truth, truth, trusted_of(truth, None))
        assert found["val"].tolist() == sorted(expected)


@given(n=sizes, folds=st.integers(2, 7), trusted=st.integers(0, 20), seed=st.integers(0, 3), limit=st.booleans())
def test_folds_leave_no_index_out_and_use_none_twice(n, folds, trusted, seed, limit):
    truth = np.random.default_rng(n).integers(0, 3, n)
    known = trusted_of(truth, trusted)
    limits = {"train": n - trusted - 5} if limit else {}
    count = limits["train"] if limit else n - trusted

    def part_of(fold):
        return splitting(folds=folds, fold=fold, seed=seed, limits=limits)(truth, truth, known)

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
    train = splitting(limits={"train": limit}, mode=mode)(truth, truth, known)["train"]
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
        splitting(limits={"train": 9})(truth, truth, trusted_of(truth, 10))
    told = Given(trusted=np.arange(90) < 10)
    for known, allowed in ((read_trusted(None, truth, CLASSES, 0, told), 10), (trusted_of(truth, 14), 10)):
        parts = splitting(limits={"train": 10}, trusted_test=len(known) - 10)(truth, truth, known, told)
        assert len(parts["train"]) == np.isin(parts["train"], known.index).sum() == allowed


@given(n=sizes, trusted=st.integers(1, 25), tested=st.integers(0, 25), seed=st.integers(0, 3))
def test_splits_are_disjoint_and_trusted_samples_are_trained_or_tested_on(n, trusted, tested, seed):
    truth = np.random.default_rng(n).integers(0, 3, n)
    known, tested = trusted_of(truth, trusted), min(tested, trusted)
    parts = splitting(seed=seed, trusted_test=tested)(truth, truth, known)
    held_out = parts.get("trusted_test", np.arange(0))
    everything = np.concatenate([parts["train"], parts["val"], held_out])
    np.testing.assert_array_equal(np.sort(everything), np.arange(n))
    assert len(held_out) == tested
    assert np.isin(held_out, known.index).all()
    assert np.isin(np.setdiff1d(known.index, held_out), parts["train"]).all()
    assert len(parts["val"]) == round(0.2 * (n - len(known)))


def test_trusted_samples_by_number_by_place_and_by_file(tmp_path):
    truth = np.random.default_rng(0).integers(0, 3, 100)
    drawn = read_trusted(30, truth, CLASSES, seed=1)
    assert drawn.index.tolist() == read_trusted("30", truth, CLASSES, seed=1).index.tolist()
    assert drawn.index.tolist() != read_trusted(30, truth, CLASSES, seed=2).index.tolist()
    share = np.bincount(truth, minlength=3) * 0.3
    assert (abs(np.bincount(drawn.labels, minlength=3) - share) < 1).all()
    first = read_trusted("first-7", truth, CLASSES, 0)
    assert (first.index.tolist(), first.labels.tolist()) == (list(range(7)), truth[:7].tolist())
    (tmp_path / "right.csv").write_text("index,label\n90,c\n5,a\n")
    named = read_trusted(str(tmp_path / "right.csv"), truth, CLASSES, 0)
    assert (named.index.tolist(), named.labels.tolist()) == ([5, 90], [0, 2])
    assert len(read_trusted(None, truth, CLASSES, 0)) == 0


@pytest.mark.parametrize("spec", [101, "first-101", "all", "-3"])
def test_trusted_samples_that_there_are_not(spec):
    with pytest.raises(ValueError, match=r"data\.trusted"):
        read_trusted(spec, np.zeros(100, dtype=np.int64), CLASSES, 0)


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
        {"folds": 2, "limits": {"val": 3}},
    ],
)
def test_values_of_the_wrong_kind(options):
    with pytest.raises(ValueError, match=r"data\."):
        splitting(**options)


@pytest.mark.parametrize("spec", [0.5, True, [1, 2]])
def test_trusted_of_the_wrong_kind(spec):
    with pytest.raises(ValueError, match=r"data\.trusted must be a number, first-<n>"):
        read_trusted(spec, np.zeros(100, dtype=np.int64), CLASSES, 0)


def test_more_folds_than_samples():
    with pytest.raises(Exception, match=r"data\.folds=20 leaves no samples for val"):
        splitting(folds=20, fold=20)(
            np.zeros(9, dtype=np.int64), np.zeros(9, dtype=np.int64), trusted_of(np.zeros(9), None)
        )
