"""Samples whose label is known to be right, as ``data.trusted`` names them."""

from dataclasses import replace

import numpy as np
import pytest

from lnl.labels import Labels, Trusted
from lnl.labels.files import with_trusted

CLASSES = ("a", "b", "c")


def read_trusted(spec, truth, seed):
    return with_trusted(Labels.true(truth, CLASSES), spec, seed).trusted


def test_trusted_samples_by_number_by_place_and_by_file(tmp_path):
    truth = np.random.default_rng(0).integers(0, 3, 100)
    drawn = read_trusted(30, truth, seed=1)
    assert drawn.index.tolist() == read_trusted("30", truth, seed=1).index.tolist()
    assert drawn.index.tolist() != read_trusted(30, truth, seed=2).index.tolist()
    share = np.bincount(truth, minlength=3) * 0.3
    assert (abs(np.bincount(drawn.labels, minlength=3) - share) < 1).all()
    first = read_trusted("first-7", truth, 0)
    assert (first.index.tolist(), first.labels.tolist()) == (list(range(7)), truth[:7].tolist())
    (tmp_path / "right.csv").write_text("index,label\n90,c\n5,a\n")
    named = read_trusted(str(tmp_path / "right.csv"), truth, 0)
    assert (named.index.tolist(), named.labels.tolist()) == ([5, 90], [0, 2])
    assert len(read_trusted(None, truth, 0)) == 0


@pytest.mark.parametrize("spec", [101, "first-101", "all", "-3"])
def test_trusted_samples_that_there_are_not(spec):
    with pytest.raises(ValueError, match=r"data\.trusted"):
        read_trusted(spec, np.zeros(100, dtype=np.int64), 0)


@pytest.mark.parametrize("spec", [0.5, True, [1, 2]])
def test_trusted_of_the_wrong_kind(spec):
    with pytest.raises(ValueError, match=r"data\.trusted must be a number, first-<n>"):
        read_trusted(spec, np.zeros(100, dtype=np.int64), 0)


def test_what_the_data_says_is_kept_unless_others_are_named():
    labels = replace(Labels.doubtful(np.arange(9) % 3, CLASSES), trusted=Trusted(np.array([4, 7]), np.array([1, 0])))
    assert with_trusted(labels, None, 0) is labels
    assert with_trusted(labels, "first-2", 0).trusted.index.tolist() == [0, 1]


def test_training_sees_the_right_labels_of_trusted_samples():
    labels = replace(Labels.doubtful(np.arange(9) % 3, CLASSES), trusted=Trusted(np.array([4, 7]), np.array([2, 0])))
    seen = labels.trusting()
    assert seen.given.tolist() == [0, 1, 2, 0, 2, 2, 0, 0, 2]
    assert labels.given.tolist() == seen.noise.labels.tolist() == [0, 1, 2] * 3  # as they were given
    assert labels.trusted.among(np.arange(5)).labels.tolist() == [2]
