"""Pixel corruptions: what they keep, what they depend on, and where they come from."""

import numpy as np
import pytest

from lnl import corruption as module
from lnl.corruption import GaussianPixels, NoCorruption, RandomPixels, ShuffledPixels

KINDS = pytest.mark.parametrize("kind", [ShuffledPixels, RandomPixels, GaussianPixels])
PERMUTATIONS = pytest.mark.parametrize("kind", [ShuffledPixels, RandomPixels])


def random_images(count=60, height=5, width=7, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def numbered(count, height=5, width=7):
    """Images whose pixels say where they were: every channel of a pixel is its place."""
    places = np.arange(height * width, dtype=np.uint8).reshape(1, height, width, 1)
    return places.repeat(count, axis=0).repeat(3, axis=3)


def fitted(kind, images, seed=0):
    corruption = kind(seed)
    corruption.fit(images)
    return corruption


@PERMUTATIONS
def test_a_permutation_moves_whole_pixels_and_keeps_each_image_s_values(kind):
    images = random_images()
    corrupted = kind(seed=3)(images, "train")
    assert corrupted.shape == images.shape
    assert corrupted.dtype == np.uint8
    for before, after in zip(images, corrupted, strict=True):
        colours = [sorted(map(tuple, image.reshape(-1, 3))) for image in (before, after)]
        assert colours[0] == colours[1]
        assert (before != after).any()


def test_shuffled_pixels_move_alike_in_all_images_of_training_and_test():
    corruption = ShuffledPixels(seed=1)
    train, test = corruption(numbered(9), "train"), corruption(numbered(4), "test")
    assert len({image.tobytes() for image in [*train, *test]}) == 1
    assert train[0].ravel().tolist() != numbered(1).ravel().tolist()


def test_random_pixels_move_differently_in_each_image():
    corruption = RandomPixels(seed=1)
    images = [*corruption(numbered(200), "train"), *corruption(numbered(100), "test")]
    assert len({image.tobytes() for image in images}) == 300


def test_every_place_of_random_pixels_is_as_likely_as_every_other():
    places = RandomPixels()(numbered(7000, 2, 2), "train")[..., 0].reshape(-1, 4)
    for column in places.T:
        counts = np.bincount(column, minlength=4)
        assert (abs(counts - 1750) < 160).all()  # 4.4 standard deviations


@KINDS
def test_an_image_depends_on_seed_split_and_number_alone(kind, monkeypatch):
    images = random_images()
    everything = fitted(kind, images)(images, "train")
    np.testing.assert_array_equal(fitted(kind, images)(images[:17], "train"), everything[:17])
    monkeypatch.setattr(module, "BLOCK", 7)
    np.testing.assert_array_equal(fitted(kind, images)(images, "train"), everything)
    assert (fitted(kind, images, seed=1)(images, "train") != everything).any()
    test = fitted(kind, images)(images, "test")
    assert np.array_equal(test, everything) == (kind is ShuffledPixels)


def test_gaussian_pixels_have_the_training_images_mean_and_variance():
    rng = np.random.default_rng(0)
    images = rng.normal([100, 120, 140], [20, 25, 30], (300, 16, 16, 3)).round().clip(0, 255).astype(np.uint8)
    corruption = fitted(GaussianPixels, images)
    values = images.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(corruption.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(corruption.std, values.std(axis=0), rtol=1e-9)
    drawn = corruption(np.zeros((300, 16, 16, 3), np.uint8), "test").reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(drawn.mean(axis=0), values.mean(axis=0), atol=0.4)  # 4 standard errors
    np.testing.assert_allclose(drawn.std(axis=0), values.std(axis=0), rtol=0.012)
    correlation = np.corrcoef(drawn.T) - np.eye(3)
    assert abs(correlation).max() < 0.02


def test_gaussian_pixels_are_clipped_not_wrapped():
    images = np.where(np.arange(1000).reshape(10, 10, 10, 1) % 2, np.uint8(255), np.uint8(0))
    drawn = fitted(GaussianPixels, images)(images, "train")
    share = {value: (drawn == value).mean() for value in (0, 255)}
    # Mean and standard deviation are 127.5: below 0.5 lies what is below -0.996 standard deviations.
    assert share == pytest.approx({0: 0.1596, 255: 0.1596}, abs=0.05)


def test_gaussian_pixels_do_not_depend_on_the_images_they_replace():
    train, other = random_images(), random_images(seed=1)
    corruption = fitted(GaussianPixels, train)
    np.testing.assert_array_equal(corruption(train, "test"), corruption(other, "test"))


def test_no_corruption_is_none():
    images = random_images()
    np.testing.assert_array_equal(NoCorruption()(images, "train"), images)


@KINDS
def test_a_negative_seed_is_refused(kind):
    with pytest.raises(ValueError, match=r"corruption\.seed must be at least 0, got -1"):
        kind(seed=-1)
