"""Splits, limits and labels of a data module."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from lnl.augment import CropFlip
from lnl.corruption import GaussianPixels, RandomPixels
from lnl.data import Batch, Digits
from lnl.errors import UserError
from lnl.noise import InstanceNoise, LabelNoise, SymmetricNoise
from tests.data.conftest import CPU, pixels, whole

SPLITS = ("train", "val", "test")
CACHED = pytest.mark.parametrize("device_cache", [True, False], ids=["device", "workers"])


class GivenNoise(LabelNoise):
    """The same noisy labels whatever the clean ones are."""

    kind, convention = "given", "given"

    def draw(self, labels, images):
        count = len(labels.classes)
        return np.random.default_rng(7).integers(0, count, len(labels)), np.eye(count)


@pytest.fixture
def digits():
    def make(**options):
        data = Digits(**options)
        data.setup()
        return data

    return make


@pytest.fixture(params=["fake", "digits"])
def dataset(request):
    return request.getfixturevalue(request.param)


def test_train_and_validation_are_80_to_20_disjoint_and_all_there_is(dataset):
    data = dataset()
    count = len(data.given)
    assert len(data.splits["val"]) == round(count / 5)
    both = np.concatenate([data.splits["train"], data.splits["val"]])
    np.testing.assert_array_equal(np.sort(both), np.arange(count))
    np.testing.assert_array_equal(data.splits["test"], np.arange(len(data.test_labels)))


def test_splits_depend_on_the_split_seed_alone(dataset):
    reference = dataset(split_seed=3)
    same = dataset(split_seed=3, seed=5, noise=SymmetricNoise(0.4, seed=9), augment=[CropFlip(flip=True)], batch_size=7)
    for split in SPLITS:
        np.testing.assert_array_equal(same.splits[split], reference.splits[split])
    assert set(dataset(split_seed=4).splits["val"]) != set(reference.splits["val"])


def test_validation_is_drawn_at_random(fake):
    val = fake(count=2000).splits["val"]
    in_quarters = np.bincount(val // 500, minlength=4)
    assert (abs(in_quarters - 100) < 40).all()  # 4.6 standard deviations


@pytest.mark.parametrize(
    "other", [{"split_seed": 1}, {"seed": 1}, {"subset": 20, "val_subset": 5}, {"val_fraction": 0.5}]
)
def test_the_noise_of_a_sample_depends_on_nothing_but_the_noise(dataset, other):
    noise = SymmetricNoise(0.4, seed=2)
    reference, varied = dataset(noise=noise), dataset(noise=noise, **other)
    np.testing.assert_array_equal(varied.given, reference.given)
    for split in ("train", "val"):
        batch = whole(varied.loader(split, CPU))
        np.testing.assert_array_equal(batch.labels, reference.given[batch.index])


@pytest.mark.parametrize("rate", [0.2, 0.6])
def test_training_and_validation_labels_are_noisy_at_the_asked_rate(fake, rate):
    data = fake(count=5000, noise=SymmetricNoise(rate))
    clean = data.read().labels.given
    for split in ("train", "val"):
        batch = whole(data.loader(split, CPU))
        wrong = (batch.labels.numpy() != clean[batch.index]).mean()
        assert abs(wrong - rate) < 0.06  # 3.9 standard deviations of 1,000 draws


@CACHED
def test_an_index_is_the_number_in_the_whole_set(fake, device_cache):
    data = fake(device_cache=device_cache, batch_size=16, eval_batch_size=50)
    raw = data.read()
    for split in SPLITS:
        images = raw.test_images if split == "test" else raw.images
        for loader in [data.loader(split, CPU), *[data.training_loader(CPU)] * (split == "train")]:
            batch = whole(loader)
            np.testing.assert_array_equal(pixels(batch.images), images[batch.index])
        np.testing.assert_array_equal(data.images(split), images[data.splits[split]])
        np.testing.assert_array_equal(data.images(split, [2, 0]), images[data.splits[split][[2, 0]]])


@CACHED
def test_images_of_every_split_are_corrupted_once_they_have_their_size(fake, device_cache):
    corruption = RandomPixels(seed=2)
    data = fake(corruption=corruption, image_size=4, fit="center_crop", device_cache=device_cache)
    raw = data.read()
    train, test = (
        corruption(np.ascontiguousarray(images[:, 1:5, 1:5]), name)
        for name, images in (("train", raw.images), ("test", raw.test_images))
    )
    for split in SPLITS:
        batch = whole(data.loader(split, CPU))
        np.testing.assert_array_equal(pixels(batch.images), (test if split == "test" else train)[batch.index])


@pytest.mark.parametrize("other", [{"seed": 1}, {"split_seed": 1}, {"subset": 20}, {"noise": SymmetricNoise(0.4)}])
def test_the_corruption_of_an_image_depends_on_nothing_but_the_corruption(fake, other):
    reference, varied = fake(corruption=GaussianPixels()), fake(corruption=GaussianPixels(), **other)
    for mine, its in zip(reference.clean.tensors.values(), varied.clean.tensors.values(), strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=0)


def test_gaussian_pixels_are_fitted_to_the_training_images(fake):
    data = fake(corruption=GaussianPixels())
    values = data.read().images.reshape(-1, 3)
    np.testing.assert_allclose(data.corruption.mean, values.mean(axis=0))


def test_noise_sees_the_images_before_they_are_corrupted(fake):
    noise = InstanceNoise(0.4)
    plain, corrupted = fake(noise=noise), fake(noise=noise, corruption=RandomPixels())
    np.testing.assert_array_equal(corrupted.given, plain.given)


@CACHED
def test_test_labels_are_not_to_be_seen(fake, device_cache):
    data = fake(device_cache=device_cache)
    assert (whole(data.test_dataloader()).labels == -1).all()
    np.testing.assert_array_equal(data.test_labels, data.read().test_labels)


@CACHED
def test_no_clean_label_reaches_a_batch(fake, device_cache):
    options = {
        "noise": GivenNoise(),
        "device_cache": device_cache,
        "augment": [CropFlip(1, flip=True)],
    }
    ours, theirs = fake(**options), fake(labels_seed=1, **options)
    assert (ours.labels.truth != theirs.labels.truth).mean() > 0.5
    assert (ours.test_labels != theirs.test_labels).mean() > 0.5
    for split in SPLITS:
        both = (ours, theirs)
        loaders = [data.training_loader(CPU) if split == "train" else data.loader(split, CPU) for data in both]
        for mine, other in zip(*loaders, strict=True):
            for field in fields(Batch):
                torch.testing.assert_close(getattr(mine, field.name), getattr(other, field.name), rtol=0, atol=0)


def test_a_batch_has_no_place_for_clean_labels():
    assert [field.name for field in fields(Batch)] == ["images", "labels", "index", "views", "share"]


@pytest.mark.parametrize("mode", ["stratified", "first"])
@pytest.mark.parametrize(("key", "split"), [("subset", "train"), ("val_subset", "val"), ("test_subset", "test")])
def test_a_limit_keeps_so_many_of_its_split_and_all_of_the_others(fake, key, split, mode):
    whole_data, limited = fake(), fake(**{key: 13}, subset_mode=mode)
    for name in SPLITS:
        assert len(limited.splits[name]) == (13 if name == split else len(whole_data.splits[name]))
        assert set(limited.splits[name]) <= set(whole_data.splits[name])


def test_the_first_are_kept_where_asked(fake):
    all_of, limited = fake(), fake(subset=20, val_subset=7, test_subset=5, subset_mode="first")
    for split, count in (("train", 20), ("val", 7), ("test", 5)):
        np.testing.assert_array_equal(limited.splits[split], all_of.splits[split][:count])


def test_stratified_limits_keep_the_shares_of_the_true_classes(digits):
    data = digits(subset=100, val_subset=50, test_subset=30, noise=SymmetricNoise(0.6))
    everything = digits()
    for split, truth in (("train", data.labels.truth), ("val", data.labels.truth), ("test", data.test_labels)):
        kept, of = (np.bincount(truth[d.splits[split]], minlength=10) for d in (data, everything))
        np.testing.assert_allclose(kept, of * kept.sum() / of.sum(), atol=1)


def test_stratified_limits_are_drawn_by_the_split_seed(fake):
    def kept(**options):
        return fake(test_subset=20, **options).splits["test"].tolist()

    assert kept(split_seed=1, seed=2) == kept(split_seed=1, seed=3)
    assert kept(split_seed=1) != kept(split_seed=2)


@pytest.mark.parametrize("mode", ["stratified", "first"])
@pytest.mark.parametrize(("key", "available"), [("subset", 162), ("val_subset", 41), ("test_subset", 50)])
def test_a_limit_that_cannot_be_kept_is_named(fake, key, available, mode):
    assert fake(**{key: available}, subset_mode=mode)
    for limit in (0, -1, available + 1):
        with pytest.raises(UserError, match=rf"data\.{key} .*{available} samples.* got {limit}$"):
            fake(**{key: limit}, subset_mode=mode)


@pytest.mark.parametrize(
    "wrong",
    [
        {"val_fraction": 0},
        {"val_fraction": 1.0},
        {"subset_mode": "last"},
        {"device_cache": "yes"},
        {"batch_size": 0},
        {"eval_batch_size": 0},
        {"fit": "stretch"},
        {"normalize": "none"},
    ],
)
def test_a_wrong_option_is_named(fake, wrong):
    ((key, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"data\.{key} .*{value}"):
        fake(**wrong)


def test_a_wrong_number_of_classes_or_channels_is_named(fake):
    with pytest.raises(UserError, match=r"num_classes is 5, .* 4 classes"):
        fake(num_classes=5)
    with pytest.raises(ValueError, match=r"data\.mean and data\.std"):
        fake(mean=[0.5])
