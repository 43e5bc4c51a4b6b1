"""Crops and flips against one image at a time."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lnl.data.augment import Augmentation


def one(image, row, column, flip, padding):
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    window = padded[row : row + image.shape[0], column : column + image.shape[1]]
    return window[:, ::-1] if flip else window


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("padding", "flip"), [(0, True), (2, False), (2, True), (4, True)])
def test_a_batch_is_cropped_and_flipped_as_one_image_at_a_time(padding, flip, channels):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (30, 5, 7, channels), generator=generator, dtype=torch.uint8)
    index = torch.randint(30, (200,), generator=generator)
    augmentation = Augmentation(padding, flip)
    plan = augmentation.plan(200, generator)
    padded = F.pad(images, (0, 0, padding, padding, padding, padding))
    expected = [one(images[i].numpy(), *p, padding) for i, p in zip(index.tolist(), plan.tolist(), strict=True)]
    np.testing.assert_array_equal(augmentation.apply(padded, index, plan), np.stack(expected))


@pytest.mark.parametrize("flip", [False, True])
def test_every_shift_and_flip_is_planned_equally_often(flip):
    plan = Augmentation(2, flip).plan(50_000, torch.Generator().manual_seed(0))
    outcomes, counts = plan.unique(dim=0, return_counts=True)
    allowed = {(r, c, f) for r in range(5) for c in range(5) for f in range(1 + flip)}
    assert {tuple(outcome) for outcome in outcomes.tolist()} == allowed
    expected = 50_000 / len(allowed)
    assert (counts - expected).abs().max() < 5 * expected**0.5


@pytest.mark.parametrize(
    ("name", "padding", "flip"), [("none", 0, False), ("flip", 0, True), ("crop", 3, False), ("crop_flip", 3, True)]
)
def test_a_name_says_what_is_done(name, padding, flip):
    assert Augmentation.named(name, 3) == Augmentation(padding, flip)


def test_none_leaves_images_untouched():
    images = torch.randint(256, (9, 4, 4, 3), dtype=torch.uint8)
    index = torch.tensor([8, 0, 3])
    nothing = Augmentation.named("none", 4)
    plan = nothing.plan(3, torch.Generator().manual_seed(0))
    assert not plan.any()
    torch.testing.assert_close(nothing.apply(images, index, plan), images[index])
    assert nothing.transforms(4) == []


@pytest.mark.parametrize("name", ["rotate", "", "Crop", "crop_flip_flip"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ValueError, match="none, flip, crop or crop_flip"):
        Augmentation.named(name, 4)
