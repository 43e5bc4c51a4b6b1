"""Images that worker processes read."""

import numpy as np
import pytest
import torch

from lnl.data import workers
from lnl.data.workers import Workers
from lnl.datasets.images import Streamed, digest
from lnl.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), dtype=np.uint8)
STEPS = [list(range(3, 20)), [0, 49, 7], [5], list(range(40, 20, -1))]


def streamed():
    return Streamed(IMAGES.__getitem__, np.arange(50), np.zeros(50, np.uint64), (4, 4, 3))


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("kind", ["streamed", "in memory"])
@pytest.mark.parametrize("part", [1, 5, 100])  # images
def test_steps_have_their_images_however_large_the_parts_are(number, kind, part, monkeypatch):
    monkeypatch.setattr(workers, "PART_BYTES", part * IMAGES[0].nbytes)
    images = streamed() if kind == "streamed" else torch.from_numpy(IMAGES)
    batches = list(Workers(number).read(images, STEPS, 20))
    assert [len(batch) for batch in batches] == [17, 3, 1, 20]
    for batch, numbers in zip(batches, STEPS, strict=True):
        np.testing.assert_array_equal(batch, IMAGES[numbers])


@pytest.mark.parametrize("number", [0, 2])
def test_digests_of_what_is_read_become_known(number):
    images = streamed()
    read = iter(Workers(number).read(images, STEPS, 20))
    next(read)
    expected = np.array([digest(image) for image in IMAGES], np.uint64)
    np.testing.assert_array_equal(images.digests[3:20], expected[3:20])
    assert not images.digests[20:].any()
    list(read)
    known = np.unique(np.concatenate(STEPS))
    np.testing.assert_array_equal(images.digests[known], expected[known])
    assert (images.digests == 0).sum() == 50 - len(known)


@pytest.mark.parametrize("number", [0, 2])
def test_an_error_in_a_process_is_that_of_the_picture(number):
    def read(place):
        if place == 7:
            raise UserError("7.jpg cannot be read")
        return IMAGES[place]

    images = Streamed(read, np.arange(50), np.zeros(50, np.uint64), (4, 4, 3))
    with pytest.raises(UserError, match=r"^7\.jpg cannot be read$"):
        list(Workers(number).read(images, STEPS, 20))
