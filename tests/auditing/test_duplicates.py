"""Pairs of near-duplicates, and the groups that they make."""

import numpy as np
import pytest

from lnl.auditing import duplicates
from lnl.auditing.duplicates import Pairs, correlation, joined, near_duplicates
from lnl.auditing.looks import look_at
from lnl.auditing.probe import directions, neighbour_count, probe
from tests.auditing.scenes import COPIES, scene, square
from tests.auditing.test_probe import clusters


def pairs_of(*pairs):
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    return Pairs(first, second, np.ones(len(first), np.float32))


def thumbnails(pictures):
    images = np.stack([square(picture) for picture in pictures])
    return look_at(images, np.arange(len(images))).thumbnails


@pytest.mark.parametrize("copy", COPIES)
def test_the_pixels_of_a_copy_are_those_of_a_part_of_the_picture(copy):
    originals = [scene(seed) for seed in range(12)]
    shown, place = thumbnails([*originals, *map(COPIES[copy], originals)]), np.arange(12)
    assert correlation(shown, place, place + 12).min() >= duplicates.SAME
    assert correlation(shown, place + 12, place).min() >= duplicates.SAME
    assert correlation(shown, place, (place + 1) % 12 + 12).max() < duplicates.SAME - 0.1


def test_the_correlation_of_whole_pictures_is_that_of_their_means():
    """Of noise, no part of which is like another: so the whole ones are the most alike."""
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (2, 64, 64)).astype(np.uint8)
    shown[1] = (shown[0] / 2.0 + shown[1] / 2.0).astype(np.uint8)
    means = shown.reshape(2, 16, 4, 16, 4).mean(axis=(2, 4)).reshape(2, -1)
    expected = np.corrcoef(means)[0, 1]
    assert expected > 0.5
    np.testing.assert_allclose(correlation(shown, np.array([0]), np.array([1])), expected, rtol=1e-4)


def test_what_is_plain_is_like_nothing():
    shown = np.full((2, 64, 64), 90, np.uint8)
    assert correlation(shown, np.array([0]), np.array([1])).tolist() == [0]


def test_all_copies_of_a_picture_are_one_group_though_it_has_fewer_candidates():
    """Two films of a hundred frames, and forty other pictures with the same features as one of them."""
    rng = np.random.default_rng(0)
    films, others = [scene(seed) for seed in (1, 2)], [scene(seed) for seed in range(10, 50)]
    rows = np.repeat(np.eye(3, 20), (100, 100, 40), axis=0) + rng.normal(0, 0.02, (240, 20))
    shown = thumbnails([*films, *others])[[0] * 100 + [1] * 100 + [*range(2, 42)]]
    exact = np.arange(240)
    exact[7] = 5
    pairs, groups, (near, cosines) = near_duplicates(directions(rows), shown, exact, 10)
    assert groups.tolist() == [0] * 100 + [100] * 100 + [*range(200, 240)]
    assert (pairs.first < pairs.second).all()
    assert pairs.similar.min() >= duplicates.SAME
    assert (groups[near] != groups[:, None])[cosines > -np.inf].all()


def test_groups_are_what_pairs_and_equal_files_connect():
    exact = np.array([0, 1, 2, 1, 4, 5, 6])
    assert joined(pairs_of(), exact).tolist() == [0, 1, 2, 1, 4, 5, 6]
    assert joined(pairs_of((3, 5), (2, 6)), exact).tolist() == [0, 1, 2, 1, 4, 1, 2]
    # Of a part of the data, whose equal files have the number of one that is left out.
    assert joined(pairs_of((0, 3)), np.array([7, 9, 7, 8])).tolist() == [0, 1, 0, 0]


def test_a_near_duplicate_with_the_same_wrong_label_is_no_excuse():
    rows, true = clusters(count=90)
    rows, labels = directions(np.vstack([rows, rows[:1] + 0.02])), np.append(true, 1)
    labels[0] = 1  # of class 0, as its copy
    pictures = [scene(seed) for seed in range(90)]
    shown = thumbnails([*pictures, COPIES["saved again"](pictures[0])])
    count = neighbour_count(91, 3)
    pairs, groups, neighbours = near_duplicates(rows, shown, np.arange(91), count)
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [90])
    together, apart = probe(rows, labels, 3), probe(rows, labels, 3, groups, neighbours)
    assert apart.judged.wrong(labels)[[0, 90]].min() > 0.9
    assert together.neighbours[0, 1] > 0 == apart.neighbours[0, 1]
    np.testing.assert_allclose(apart.neighbours, probe(rows, labels, 3, groups).neighbours)
