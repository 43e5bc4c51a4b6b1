"""Order and content of batches, the same from the device and from worker processes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as TF

from lnl.augment import CropFlip, RandomResizedCrop
from lnl.data.loader import Loader
from lnl.data.sampler import EpochSampler, Share, step_sizes
from tests.data.conftest import CPU, MEAN, STD, pixels, whole

CACHED = pytest.mark.parametrize("device_cache", [True, False], ids=["device", "workers"])
CROPS = [CropFlip(2, flip=True)]
AUGMENTED = {"augment": CROPS}
TWO = {"views": ("weak", "weak")}


def train_loader(data, **options):
    return data.training_loader(CPU, **options)


@CACHED
@pytest.mark.parametrize("batch_size", [20, 81, 162, 1000])  # of 162 samples
def test_an_epoch_visits_every_sample_once(fake, device_cache, batch_size):
    data = fake(device_cache=device_cache, batch_size=batch_size)
    loader = train_loader(data)
    sizes = [len(batch) for batch in loader]
    assert len(sizes) == len(loader)
    assert set(sizes[:-2]) <= {batch_size}
    order = whole(loader).index
    np.testing.assert_array_equal(order.sort().values, data.splits["train"])
    assert order.tolist() != data.splits["train"].tolist()


@given(count=st.integers(1, 5000), batch_size=st.integers(1, 300), processes=st.integers(1, 8))
def test_steps_are_full_but_for_the_last_two_which_share_the_rest(count, batch_size, processes):
    smallest = 2 * processes
    sizes = step_sizes(count, batch_size, smallest)
    assert sum(sizes) == count
    assert set(sizes[:-2]) <= {batch_size}
    if batch_size >= 2 * smallest:  # half a batch is enough for every process
        assert len(sizes) == -(-count // batch_size)
        assert min(sizes) >= min(count, batch_size // 2)
        assert max(sizes) <= batch_size
        if count % batch_size:
            assert max(sizes[-2:]) - min(sizes[-2:]) <= 1
    elif batch_size >= smallest:
        assert min(sizes) >= min(count, smallest)
        assert max(sizes) < batch_size + 2 * smallest


@CACHED
@pytest.mark.parametrize("batch_size", [7, 23, 161])  # 162 = 23 * 7 + 1 = 161 + 1
def test_no_sample_is_left_out_and_no_batch_is_small(fake, device_cache, batch_size):
    data = fake(device_cache=device_cache, batch_size=batch_size)
    loader = train_loader(data)
    batches = list(loader)
    assert len(batches) == len(loader) == 162 // batch_size + 1
    assert min(map(len, batches)) == (batch_size + 1) // 2
    np.testing.assert_array_equal(torch.cat([batch.index for batch in batches]).unique(), data.splits["train"])


@CACHED
@pytest.mark.parametrize(
    ("processes", "batch_size"), [(2, 20), (2, 40), (2, 78), (2, 80), (3, 12), (3, 51), (4, 160), (4, 400)]
)
def test_processes_share_the_samples_of_every_step(fake, device_cache, processes, batch_size):
    """162 samples: batches divide among processes with and without a rest, or leave a rest that would be small."""
    data = fake(device_cache=device_cache, batch_size=batch_size, num_workers=0)
    whole = train_loader(data)
    parts = [train_loader(data, share=Share(i, processes)) for i in range(processes)]
    for loader in (whole, *parts):
        loader.sampler.set_epoch(3)
    steps = list(zip(*(list(part) for part in parts), strict=True))  # all make equally many
    together = [torch.cat([batch.index for batch in batches]) for batches in steps]
    for i, batches in enumerate(steps):
        assert len(together[i]) == parts[0].sampler.sizes[i]
        sizes = [len(batch) for batch in batches]
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= 2
    start = 0
    for index in together:  # a step's samples are those that one process would take
        assert set(index.tolist()) == set(whole.sampler.order()[start : start + len(index)].tolist())
        start += len(index)
    assert start == 162
    owners = dict(zip(whole.sampler.order().tolist(), parts[0].sampler.owners().tolist(), strict=True))
    assert all(owners[i] == number for batches in steps for number, b in enumerate(batches) for i in b.index.tolist())


@CACHED
def test_processes_share_an_evaluation_and_leave_nothing_out(fake, device_cache):
    data = fake(device_cache=device_cache, eval_batch_size=9, num_workers=0)  # 41 samples: 21 and 20
    parts = [data.loader("val", CPU, share=Share(i, 3)) for i in range(3)]
    assert [[len(batch) for batch in part] for part in parts] == [[7, 7], [7, 7], [7, 6]]
    assert [len(part) for part in parts] == [2, 2, 2]
    index = torch.cat([batch.index for part in parts for batch in part])
    np.testing.assert_array_equal(index.sort().values, data.splits["val"])


def test_an_image_is_augmented_alike_whichever_process_has_it(fake):
    data = fake(batch_size=20, **AUGMENTED)
    one, two = ([whole(train_loader(data, share=Share(i, count)), 2) for i in range(count)] for count in (1, 2))
    images = dict(zip(one[0].index.tolist(), one[0].images, strict=True))
    for part in two:
        for number, image in zip(part.index.tolist(), part.images, strict=True):
            torch.testing.assert_close(image, images[number], rtol=0, atol=0)


@CACHED
def test_a_training_set_of_one_sample_is_not_empty(fake, device_cache):
    assert whole(train_loader(fake(subset=1, device_cache=device_cache))).index.shape == (1,)


@CACHED
def test_an_epoch_is_a_function_of_seed_and_epoch_alone(fake, device_cache):
    """Images too: a resumed run must see the augmentation that it would have seen."""

    def epoch(seed, number, loader=None):
        batch = whole(loader or train_loader(fake(seed=seed, device_cache=device_cache, **AUGMENTED)), number)
        by_number = batch.index.argsort()
        return batch.index, batch.images[by_number]

    loader = train_loader(fake(seed=1, device_cache=device_cache, **AUGMENTED))
    order, images = epoch(1, 3, loader)
    for same in (epoch(1, 3, loader), epoch(1, 3)):
        torch.testing.assert_close(same, (order, images), rtol=0, atol=0)
    for other_order, other_images in (epoch(1, 4, loader), epoch(2, 3)):
        assert not torch.equal(other_order, order)
        assert not torch.equal(other_images, images)


@pytest.mark.parametrize("normalize", ["dataset", "per_image"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_both_loaders_give_the_same_batches(fake, split, normalize):
    """The training set's augmented, as in training; evaluation is of images as they are."""
    options = {"batch_size": 23, "eval_batch_size": 23, "seed": 4, "normalize": normalize, **AUGMENTED}
    both = [fake(device_cache=cache, **options) for cache in (True, False)]
    loaders = [train_loader(data, **TWO) if split == "train" else data.loader(split, CPU) for data in both]
    assert [loader.workers is None for loader in loaders] == [True, False]
    for loader in loaders:
        loader.sampler.set_epoch(5)
    assert len(loaders[0]) == len(loaders[1])
    for mine, other in zip(*loaders, strict=True):
        assert mine.images.dtype == other.images.dtype == torch.float32
        for name in ("images", "views", "labels", "index"):
            torch.testing.assert_close(getattr(mine, name), getattr(other, name), rtol=0, atol=0)


@CACHED
def test_normalisation_is_that_of_torchvision(fake, device_cache):
    data = fake(device_cache=device_cache)
    batch = whole(data.loader("val", CPU))
    raw = torch.from_numpy(data.images("val")).permute(0, 3, 1, 2)
    torch.testing.assert_close(batch.images, TF.normalize(raw.float() / 255, MEAN, STD), rtol=0, atol=1e-5)


def standardized(image):
    """TensorFlow's per_image_standardization of one image [H, W, C], for pixels scaled to [0, 1]."""
    values = image.astype(np.float64) / 255
    return (values - values.mean()) / max(values.std(), 1 / np.sqrt(values.size))


@CACHED
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_per_image_normalisation_is_that_of_tensorflow(fake, device_cache, split):
    data = fake(device_cache=device_cache, normalize="per_image")
    flat = data.splits[split][0]  # one image of a single colour but for one pixel, and one without any
    source = data.clean.tensors["test" if split == "test" else "train"]
    source[flat], source[flat, 0, 0, 0], source[data.splits[split][1]] = 100, 101, 7
    expected = np.stack([standardized(image) for image in data.images(split)])
    batch = whole(data.loader(split, CPU))
    np.testing.assert_allclose(batch.images.permute(0, 2, 3, 1), expected, atol=1e-5)
    assert abs(expected[0]).max() < 0.1
    assert batch.images[1].abs().max() < 1e-6


def test_per_image_normalisation_sees_the_augmented_image(fake):
    data = fake(normalize="per_image", **AUGMENTED)
    raw = data.read().images
    batch = whole(train_loader(data, **TWO))
    for number, image in zip(batch.index[:20].tolist(), batch.images[:20], strict=True):
        candidates = [np.frombuffer(crop, np.uint8).reshape(6, 6, 3) for crop in crops(raw[number], padding=2)]
        errors = [abs(standardized(crop) - image.permute(1, 2, 0).numpy()).max() for crop in candidates]
        assert min(errors) < 1e-5


@pytest.mark.parametrize("device_cache", [True, False], ids=["device", "workers"])
@pytest.mark.parametrize("augment", [[], CROPS], ids=["none", "crop_flip"])
@pytest.mark.parametrize("normalize", ["dataset", "per_image"])
def test_images_are_channels_last_in_memory(fake, device_cache, augment, normalize):
    options = {"device_cache": device_cache, "augment": augment, "normalize": normalize}
    batch = next(iter(train_loader(fake(**options), **TWO)))
    for view in batch.views:
        assert view.stride() == (6 * 6 * 3, 1, 6 * 3, 3)


def crops(image, padding):
    """All crops of a padded image and their mirror images, as bytes."""
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    height, width, _ = image.shape
    places = [(row, column) for row in range(2 * padding + 1) for column in range(2 * padding + 1)]
    windows = [padded[row : row + height, column : column + width] for row, column in places]
    return {window.tobytes() for window in windows} | {window[:, ::-1].tobytes() for window in windows}


@CACHED
def test_views_are_different_crops_of_the_same_sample(fake, device_cache):
    data = fake(device_cache=device_cache, **AUGMENTED)
    batch = whole(train_loader(data, **TWO))
    assert len(batch.views) == 2
    torch.testing.assert_close(batch.images, batch.views[0], rtol=0, atol=0)
    first, second = (pixels(view) for view in batch.views)
    raw = data.read().images
    for number, *views in zip(batch.index.tolist(), first, second, strict=True):
        assert {view.tobytes() for view in views} <= crops(raw[number], padding=2)
    # Two draws from 50 are the same in 1 of 50 samples: 3 of 161, and not 20.
    assert (first == second).all(axis=(1, 2, 3)).sum() < 20


@CACHED
def test_evaluation_sees_one_view_of_whole_images(fake, device_cache):
    data = fake(device_cache=device_cache, **AUGMENTED)
    for split in ("train", "val", "test"):
        batch = whole(data.loader(split, CPU))
        assert len(batch.views) == 1
        np.testing.assert_array_equal(pixels(batch.images), data.images(split))


@CACHED
def test_evaluation_sees_the_middle_of_what_random_crops_see_all_of(fake, device_cache):
    photo = [RandomResizedCrop(4, scale=(0.25, 1))]
    data = fake(device_cache=device_cache, image_size=4, resize=6, augment=photo)
    assert data.sample_shape == (3, 4, 4)
    for split in ("train", "val", "test"):
        np.testing.assert_array_equal(pixels(whole(data.loader(split, CPU)).images), data.images(split)[:, 1:5, 1:5])
    crops = whole(train_loader(data))
    rows = data.images("train")[np.searchsorted(data.splits["train"], crops.index)]
    corners = (pixels(crops.images)[:, 0, 0, :, None, None] == rows.transpose(0, 3, 1, 2)).all(axis=1)
    assert corners[:, :, 0].any()  # a part at the left edge of the larger image
    assert corners[:, :, 5].any()  # and one at the right edge, mirrored


def test_batch_norm_learns_with_any_rest_of_a_batch():
    """A network with batch norm on 64 to 95 samples in batches of 32; a batch of two at the end had cost it half."""

    def accuracy(count, seed=0):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(2, (1000,), generator=generator)
        images = torch.randint(100, 140, (1000, 2, 2, 1), generator=generator) + 15 * labels[:, None, None, None]
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        sampler = EpochSampler(torch.arange(count), seed, shuffle=True, batch_size=32)
        loader = Loader(images.to(torch.uint8), labels, sampler, mean=[0.5], std=[0.2])
        for epoch in range(20):
            sampler.set_epoch(epoch)
            for batch in loader:
                optimizer.zero_grad()
                F.cross_entropy(model(batch.images), batch.labels).backward()
                optimizer.step()
        sampler = EpochSampler(torch.arange(500, 1000), 0, shuffle=False, batch_size=500)
        (held_out,) = Loader(images.to(torch.uint8), labels, sampler, mean=[0.5], std=[0.2])
        return (model.eval()(held_out.images).argmax(1) == held_out.labels).float().mean().item()

    full = [accuracy(count, seed) for count in (64, 96) for seed in range(4)]
    assert min(full) > 0.8
    for count in range(65, 96):
        assert accuracy(count) > min(full) - 3 * np.std(full), count
