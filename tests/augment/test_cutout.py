"""Cutout against one image at a time."""

import numpy as np
import pytest
import torch

from lnl.augment import Cutout


@pytest.mark.parametrize(("share", "sides"), [(0.5, (5, 4)), (0.25, (2, 2)), (1.0, (10, 8))])
def test_a_square_of_each_image_is_grey_where_its_draw_says(share, sides):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 100, (300, 10, 8, 3), generator=generator, dtype=torch.uint8)
    transform = Cutout(share)
    drawn = transform.draw(300, generator)
    expected = images.numpy().copy()
    for image, centre in zip(expected, drawn.tolist(), strict=True):
        places = [int(c * n) - side // 2 for c, n, side in zip(centre, (10, 8), sides, strict=True)]
        rows, columns = (slice(max(0, p), p + side) for p, side in zip(places, sides, strict=True))
        image[rows, columns] = 128
    np.testing.assert_array_equal(transform.apply(images, drawn, drawn), expected)
    assert images.max() < 100  # the batch itself is as it was


def test_centres_are_all_over_the_image():
    drawn = Cutout().draw(10_000, torch.Generator().manual_seed(0))
    assert abs(drawn.mean(dim=0) - 0.5).max() < 0.02
    assert abs(drawn.var(dim=0) - 1 / 12).max() < 0.005


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_a_share_of_nothing_or_more_than_all_is_refused(share):
    with pytest.raises(ValueError, match=rf"share must be in \(0, 1\], got {share}"):
        Cutout(share)
