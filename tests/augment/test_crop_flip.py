"""Crops and flips against one image at a time."""

import numpy as np
import pytest
import torch

from lnl.augment import CropFlip


def one(image, row, column, flip, padding):
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    window = padded[row : row + image.shape[0], column : column + image.shape[1]]
    return window[:, ::-1] if flip else window


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("padding", "flip"), [(0, True), (2, False), (2, True), (4, True)])
def test_a_batch_is_cropped_and_flipped_as_one_image_at_a_time(padding, flip, channels):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (200, 5, 7, channels), generator=generator, dtype=torch.uint8)
    transform = CropFlip(padding, flip)
    drawn = transform.draw(200, generator)
    expected = [one(image.numpy(), *rows, padding) for image, rows in zip(images, drawn.tolist(), strict=True)]
    np.testing.assert_array_equal(transform.apply(images, drawn, drawn), np.stack(expected))


@pytest.mark.parametrize("flip", [False, True])
def test_every_shift_and_flip_is_drawn_equally_often(flip):
    drawn = CropFlip(2, flip).draw(50_000, torch.Generator().manual_seed(0))
    outcomes, counts = drawn.unique(dim=0, return_counts=True)
    allowed = {(r, c, f) for r in range(5) for c in range(5) for f in range(1 + flip)}
    assert {tuple(outcome) for outcome in outcomes.tolist()} == allowed
    expected = 50_000 / len(allowed)
    assert (counts - expected).abs().max() < 5 * expected**0.5


def test_images_are_left_as_they_are_without_either():
    images = torch.randint(256, (3, 4, 4, 3), dtype=torch.uint8)
    drawn = CropFlip().draw(3, torch.Generator().manual_seed(0))
    assert not drawn.any()
    torch.testing.assert_close(CropFlip().apply(images, drawn, drawn), images)


def test_a_negative_padding_is_refused():
    with pytest.raises(ValueError, match="padding must be at least 0, got -1"):
        CropFlip(-1)
