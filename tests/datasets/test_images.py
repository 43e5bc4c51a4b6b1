"""Sizes, channels, and parts in which every class keeps its share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnl.data import Digits, Form, hold_out_test
from lnl.labels.labels import stratified_choice

RANDOM = np.random.default_rng(0)
sizes = st.lists(st.integers(1, 40), min_size=2, max_size=6)


def images(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def fit(images, image_size, channels, how="resize"):
    return Form(image_size=image_size, channels=channels, fit=how).fit_to(images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [4, 9, 16])
@pytest.mark.parametrize("shape", [(5, 9, 9, 1), (5, 9, 9, 3), (5, 12, 7, 3)])
def test_images_get_the_asked_size_and_channels(shape, image_size, channels):
    fitted = fit(images(*shape), image_size, channels)
    assert fitted.shape == (5, image_size, image_size, channels)
    assert fitted.dtype == np.uint8
    assert fitted.flags.c_contiguous


@pytest.mark.parametrize(
    ("shape", "corner"), [((3, 32, 32, 3), (2, 2)), ((3, 31, 40, 1), (1, 6)), ((3, 28, 28, 3), (0, 0))]
)
def test_a_centre_crop_is_the_middle_of_the_image(shape, corner):
    before = images(*shape)
    top, left = corner
    after = fit(before, 28, shape[3], "center_crop")
    np.testing.assert_array_equal(after, before[:, top : top + 28, left : left + 28])
    assert after.flags.c_contiguous


@pytest.mark.parametrize("shape", [(3, 27, 40, 1), (3, 40, 27, 1)])
def test_there_must_be_something_to_crop_from(shape):
    with pytest.raises(ValueError, match=rf"data\.image_size=28, got {shape[1]}x{shape[2]}"):
        fit(images(*shape), 28, 1, "center_crop")


def test_images_that_fit_stay_as_they_are():
    before = images(5, 8, 8, 3)
    np.testing.assert_array_equal(fit(before, 8, 3), before)
    np.testing.assert_array_equal(fit(before, None, 3), before)


def test_grey_becomes_three_equal_channels():
    before = images(5, 8, 8, 1)
    after = fit(before, 8, 3)
    for channel in range(3):
        np.testing.assert_array_equal(after[..., channel], before[..., 0])


def test_colours_become_grey_by_their_brightness():
    brightness = fit(np.eye(3, dtype=np.uint8).reshape(3, 1, 1, 3) * 255, 1, 1).ravel()
    np.testing.assert_allclose(brightness, 255 * np.array([0.299, 0.587, 0.114]), atol=1)  # ITU-R BT.601


def test_a_transposed_view_becomes_contiguous():
    view = images(5, 3, 8, 8).transpose(0, 2, 3, 1)
    after = fit(view, 8, 3)
    assert after.flags.c_contiguous
    np.testing.assert_array_equal(after, view)


def test_resizing_keeps_the_orientation():
    quarters = np.array([[[[10], [60]], [[110], [250]]]], dtype=np.uint8)
    large = quarters.repeat(8, axis=1).repeat(8, axis=2)
    np.testing.assert_allclose(fit(large, 8, 1)[0, [0, 0, -1, -1], [0, -1, 0, -1], 0], [10, 60, 110, 250])


def test_resizing_looks_at_every_pixel():
    dot = np.zeros((1, 16, 16, 1), dtype=np.uint8)
    dot[:, 7:9, 7:9] = 255  # all that a resize without antialiasing would see
    assert 0 < fit(dot, 1, 1).item() < 20


def check_choice(counts, count, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    chosen = stratified_choice(labels, count, np.random.default_rng(seed))
    assert len(chosen) == count
    assert (np.diff(chosen) > 0).all()  # sorted, none twice
    kept = np.bincount(labels[chosen], minlength=len(counts))
    shares = np.array(counts) * count / len(labels)
    assert (abs(kept - shares) <= 1 + 1e-9).all(), f"{kept} of {counts}, in proportion {shares}"


@given(size=st.integers(1, 40), classes=st.integers(2, 6), seed=st.integers(0, 99), data=st.data())
def test_stratified_choice_keeps_the_shares_of_equal_classes(size, classes, seed, data):
    check_choice([size] * classes, data.draw(st.integers(1, size * classes)), seed)


@given(counts=sizes, seed=st.integers(0, 99), data=st.data())
def test_stratified_choice_keeps_shares_within_one_sample(counts, seed, data):
    check_choice(counts, data.draw(st.integers(1, sum(counts))), seed)


def test_stratified_choice_is_drawn_by_its_generator():
    labels = np.arange(100) % 4
    first, same, other = (stratified_choice(labels, 40, np.random.default_rng(seed)).tolist() for seed in (1, 1, 2))
    assert first == same != other


@settings(max_examples=30)
@given(counts=sizes)
def test_a_held_out_test_set_is_a_fifth_and_disjoint(counts):
    total = sum(counts)
    labels = np.repeat(np.arange(len(counts)), counts)
    dataset = hold_out_test(np.arange(total, dtype=np.uint8).reshape(-1, 1, 1, 1), labels, "abcdef")
    assert len(dataset.test_labels) == round(total / 5)
    parts = np.concatenate([dataset.images, dataset.test_images]).ravel()
    np.testing.assert_array_equal(np.sort(parts), np.arange(total))
    for images, kept in ((dataset.images, dataset.labels.given), (dataset.test_images, dataset.test_labels)):
        np.testing.assert_array_equal(kept, labels[images.ravel()])


def test_the_test_set_of_digits_is_the_same_for_every_seed_and_stratified(tmp_path):
    def digits(**seeds):
        data = Digits(num_classes=10, channels=1, image_size=8, mean=[0.0], std=[1.0], cache_dir=tmp_path, **seeds)
        data.setup()
        return data

    one, other = digits(seed=1, split_seed=1), digits(seed=2, split_seed=2)
    np.testing.assert_array_equal(one.images("test"), other.images("test"))
    np.testing.assert_array_equal(one.test_labels, other.test_labels)
    assert len(one.test_labels) == 359
    assert len(one.labels.truth) == 1797 - 359
    test = np.bincount(one.test_labels)
    np.testing.assert_allclose(test, (test + np.bincount(one.labels.truth)) * 359 / 1797, atol=1)
    assert one.images("test").max() == 255  # 16 shades, stretched over a byte


@pytest.mark.parametrize("how", ["resize", "center_square", "center_crop"])
def test_resize_first_shows_the_middle_of_the_larger_image(how):
    before = images(3, 14, 20, 3)
    form = Form(image_size=9, resize=12, fit=how)
    np.testing.assert_array_equal(form.fit_to(before), fit(before, 12, 3, how)[:, 1:10, 1:10])


@pytest.mark.parametrize("size", [None, 13])
def test_an_image_cannot_be_larger_than_what_it_is_cut_from(size):
    with pytest.raises(ValueError, match=f"resize=12 must be at least data.image_size.*got {size}"):
        Form(image_size=size, resize=12)
