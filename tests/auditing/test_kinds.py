"""Blank, dark, bright, blurred and odd pictures, and the table of them."""

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import laplace

from lnl.auditing.duplicates import Pairs
from lnl.auditing.kinds import are_photographs, counts_of, faults, kinds_of, oddness, table_of, told
from lnl.auditing.looks import look_at, measure
from tests.auditing.scenes import FAULTS, scene, square

NO_PAIRS = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


def looks_of(pictures, size=224):
    images = np.stack([square(picture, size) for picture in pictures])
    return look_at(images, np.arange(len(images)))


def test_measures_are_percentiles_and_the_laplacian_of_the_sharpest_tile():
    grey = np.random.default_rng(0).integers(0, 256, (50, 70)).astype(np.uint8)
    grey[:, 20:] //= 8
    darkest, brightest, contrast, sharpness = measure(grey)
    values = grey / 255
    np.testing.assert_allclose((darkest, brightest), np.percentile(values, (1, 99)), rtol=1e-6)
    np.testing.assert_allclose(contrast, values.std(), rtol=1e-5)
    edges = laplace(values)[1:-1, 1:-1]
    tiles = [tile for row in np.array_split(edges, 4) for tile in np.array_split(row, 4, axis=1)]
    np.testing.assert_allclose(sharpness, max(tile.std() for tile in tiles) / values.std(), rtol=1e-5)


def test_sharpness_does_not_depend_on_contrast_or_size():
    sharp = looks_of([scene(seed, (448, 448)) for seed in range(6)])
    for others in (
        looks_of([scene(seed, (448, 448)).point(lambda value: value // 3 + 80) for seed in range(6)]),
        looks_of([scene(seed, (448, 448)) for seed in range(6)], size=336),
    ):
        np.testing.assert_allclose(others.sharpness, sharp.sharpness, rtol=0.15)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_picture_with_a_fault_has_this_one_only_and_a_good_one_has_none(fault):
    good = [scene(seed) for seed in range(10)]
    found = faults(looks_of([*good, *map(FAULTS[fault], good)]), lambda number: 240)
    for kind, mask in found.items():
        assert mask.tolist() == [False] * 10 + [kind == fault] * 10


def test_a_picture_of_few_pixels_is_not_blurred_because_it_was_enlarged():
    small = [scene(seed).resize((20, 20)) for seed in range(5)]
    looks, asked = looks_of(small), []
    assert faults(looks, lambda number: 240)["blurred"].all()
    assert not faults(looks, lambda number: asked.append(number) or 20)["blurred"].any()
    assert asked == [0, 1, 2, 3, 4]
    asked.clear()
    assert not faults(looks_of([scene(1)]), lambda number: asked.append(number) or 20)["blurred"].any()
    assert asked == []  # files are only read where it matters


def test_only_small_grey_images_are_no_photographs():
    shapes = [(9, 28, 28, 1), (9, 8, 8, 1), (9, 32, 32, 3), (9, 224, 224, 1), (9, 224, 224, 3)]
    assert [are_photographs(shape) for shape in shapes] == [False, False, True, True, True]


def test_oddness_is_measured_by_the_distances_of_the_other_pictures():
    distance = np.random.default_rng(0).permutation(np.linspace(0.2, 0.4, 101))
    found = oddness(distance)
    np.testing.assert_allclose(found, (distance - 0.3) / 0.09, atol=1e-6)
    assert oddness(np.full(5, 0.3)).tolist() == [0] * 5


def test_the_table_has_copies_by_their_first_picture_and_each_fault_once():
    pictures = [scene(seed) for seed in range(9)]
    pictures[6], pictures[7] = FAULTS["blank"](pictures[6]), FAULTS["dark"](pictures[7])
    looks = looks_of(pictures)
    exact = np.array([0, 1, 0, 3, 1, 5, 6, 7, 8])  # 2 is a copy of 0, 4 of 1
    pairs = Pairs(np.array([0, 1, 3]), np.array([3, 5, 5]), np.array([0.97, 0.98, 0.99], np.float32))
    far = np.array([0, 0, 0, 0, 0, 0, 9.0, 9.0, 2.0])
    found = kinds_of(looks, pairs, exact, far, faults(looks, lambda number: 240))
    labels = np.array([0, 1, 0, 0, 1, 1, 0, 1, 0])
    names = [f"{number}.jpg" for number in range(30)]
    table = table_of(found, np.arange(20, 29), labels, ["cat", "dog"], names)
    rows = [
        ("copy", 22, "22.jpg", "cat", 20, "20.jpg", "cat"),
        ("copy", 24, "24.jpg", "dog", 21, "21.jpg", "dog"),
        # One group: 0 is like 3, 3 is like 5, and 5 is like 1.
        ("near_duplicate", 21, "21.jpg", "dog", 20, "20.jpg", "cat"),
        ("near_duplicate", 23, "23.jpg", "cat", 20, "20.jpg", "cat"),
        ("near_duplicate", 25, "25.jpg", "dog", 20, "20.jpg", "cat"),
        ("odd", 28, "28.jpg", "cat", None, "", ""),  # blank and dark ones are odd for that reason
        ("blank", 26, "26.jpg", "cat", None, "", ""),
        ("dark", 27, "27.jpg", "dog", None, "", ""),
    ]
    columns = ["kind", "index", "file", "given_label", "of_index", "of_file", "of_label"]
    expected = pd.DataFrame(rows, columns=columns).astype({"of_index": "Int64"})
    pd.testing.assert_frame_equal(table[columns], expected, check_dtype=False)
    np.testing.assert_allclose(table["score"][:6], [1, 1, 0.98, 0.99, 0.99, 2], atol=1e-4)
    counts = counts_of(table)
    assert counts == {
        "copy": 2,
        "near_duplicate": 3,
        "odd": 1,
        "blank": 1,
        "dark": 1,
        "bright": 0,
        "blurred": 0,
        "different_labels": 2,
    }
    assert told(counts) == ("2 copies, 3 near-duplicates, 1 odd one out, 1 blank, 1 dark; copies with another label: 2")


def test_without_unusual_pictures_the_table_has_its_columns():
    looks = looks_of([scene(seed) for seed in range(3)])
    found = kinds_of(looks, NO_PAIRS, np.arange(3), np.zeros(3), faults(looks, lambda number: 240))
    table = table_of(found, np.arange(3), np.zeros(3, int), ["cat", "dog"], None)
    assert list(table) == ["kind", "score", "index", "file", "given_label", "of_index", "of_file", "of_label"]
    assert len(table) == 0
    assert told(counts_of(table)) == ""
