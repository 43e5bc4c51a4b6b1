"""Pairs of near-duplicates, and the groups that they make."""

import numpy as np
import pytest

from lnl.auditing import duplicates
from lnl.auditing.duplicates import Pairs, correlation, joined, near_duplicates, similar_pairs
from lnl.auditing.looks import look_at
from lnl.auditing.probe import directions, probe
from tests.auditing.scenes import COPIES, scene, square


def pairs_of(*pairs):
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    return Pairs(first, second, np.ones(len(first), np.float32))


def thumbnails(pictures):
    images = np.stack([square(picture) for picture in pictures])
    return look_at(images, np.arange(len(images))).thumbnails


@pytest.mark.parametrize("copy", COPIES)
def test_the_pixels_of_a_copy_are_those_of_a_part_of_the_picture(copy):
    originals = [scene(seed) for seed in range(12)]
    shown = thumbnails([*originals, *map(COPIES[copy], originals)])
    same = correlation(shown, pairs_of(*((place, place + 12) for place in range(12))))
    assert same.min() >= duplicates.SAME
    other = correlation(shown, pairs_of(*((place, (place + 1) % 12 + 12) for place in range(12))))
    assert other.max() < duplicates.SAME - 0.1


def test_what_is_plain_is_like_nothing():
    shown = np.full((2, 64, 64), 90, np.uint8)
    assert correlation(shown, pairs_of((0, 1))).tolist() == [0]


def test_similar_pairs_are_those_of_the_whole_matrix(monkeypatch):
    rng = np.random.default_rng(0)
    rows = directions(rng.standard_normal((60, 4)))
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    found = similar_pairs(rows, 0.6)
    similar = np.triu(rows @ rows.T, 1)
    assert sorted(zip(found.first, found.second, strict=True)) == [*zip(*np.nonzero(similar >= 0.6), strict=True)]
    np.testing.assert_allclose(found.similar, similar[found.first, found.second], rtol=1e-5)
    assert len(similar_pairs(rows[:1]).first) == len(similar_pairs(rows, 1.1).first) == 0


def test_of_many_alike_pictures_few_pairs_join_all(monkeypatch):
    """A thousand frames of one film would have half a million pairs."""
    monkeypatch.setattr(duplicates, "BLOCK", 100)
    rows = directions(np.ones((1000, 3)))
    found = similar_pairs(rows)
    assert len(found.first) <= 1000 * 10 * duplicates.FIRST
    assert set(joined(found, np.arange(1000))) == {0}


def test_groups_are_what_pairs_and_equal_files_connect():
    exact = np.array([0, 1, 2, 1, 4, 5, 6])
    assert joined(pairs_of(), exact).tolist() == [0, 1, 2, 1, 4, 5, 6]
    assert joined(pairs_of((3, 5), (2, 6)), exact).tolist() == [0, 1, 2, 1, 4, 1, 2]
    # Of a part of the data, whose equal files have the number of one that is left out.
    assert joined(pairs_of((0, 3)), np.array([7, 9, 7, 8])).tolist() == [0, 1, 0, 0]


def test_a_near_duplicate_with_the_same_wrong_label_is_no_excuse():
    """As exact copies, where nothing tells them but what they look like."""
    rng = np.random.default_rng(0)
    true = np.arange(90) % 3
    rows = rng.standard_normal((3, 12))[true] + 0.6 * rng.standard_normal((90, 12))
    rows, true = directions(np.vstack([rows, rows[:4] + 0.02])), np.append(true, true[:4])
    labels = true.copy()
    labels[[0, *range(90, 94)]] = labels[0] = 1  # the first is of class 0; its copies below have its wrong label
    pictures = [scene(seed) for seed in range(90)]
    shown = thumbnails([*pictures, *(COPIES["saved again"](picture) for picture in pictures[:4])])
    pairs = near_duplicates(rows, shown)
    assert sorted(zip(pairs.first, pairs.second, strict=True)) == [(place, place + 90) for place in range(4)]
    doubts = [
        probe(rows, labels, 3, groups).judged.wrong(labels)[[0, 90]].min()
        for groups in (None, joined(pairs, np.arange(94)))
    ]
    assert doubts[1] > 0.9 > doubts[0]
