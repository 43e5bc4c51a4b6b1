"""The photo protocol against torchvision's functions on one image at a time."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from lnl.augment import ColorJitter, RandomResizedCrop


def random_images(count=20, height=16, width=16, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, height, width, channels), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("size", "height", "width"), [(12, 16, 16), (None, 16, 16), (24, 9, 14)])
def test_each_image_is_the_part_of_its_draw_resized(size, height, width):
    images = random_images(height=height, width=width)
    transform = RandomResizedCrop(size)
    drawn = transform.draw(len(images), torch.Generator().manual_seed(1))
    done = transform.apply(images, drawn, drawn)
    out = [size or height, size or width]
    assert list(done.shape) == [len(images), *out, 3]
    for image, got, (left, top, w, h, flip) in zip(images, done, drawn.tolist(), strict=True):
        w, h = max(1, round(w * width)), max(1, round(h * height))
        left, top = min(round(left * width), width - w), min(round(top * height), height - h)
        expected = F.resized_crop(image.permute(2, 0, 1).float(), top, left, h, w, out, antialias=False)
        expected = expected.flip(2) if flip else expected
        assert (got.permute(2, 0, 1).float() - expected).abs().max() <= 0.51
    assert set(drawn[:, 4].tolist()) == {0, 1}


def test_parts_have_the_areas_and_shapes_asked_for_and_lie_anywhere():
    left, top, width, height, flip = RandomResizedCrop().draw(20_000, torch.Generator().manual_seed(0)).T
    area, ratio = width * height, width / height
    assert area.min() >= 0.08 - 1e-6
    assert 0.75 - 1e-6 <= ratio.min() < ratio.max() <= 4 / 3 + 1e-6
    assert torch.maximum(left + width, top + height).max() <= 1 + 1e-6
    assert abs((left / (1 - width).clamp(min=1e-6))[width < 0.99].mean() - 0.5) < 0.02
    assert abs(flip.mean() - 0.5) < 0.02
    assert abs(ratio.log().mean()) < 0.01
    assert 0.4 < area.mean() < 0.54  # below the middle of 0.08 and 1: large parts of other shapes do not fit


def test_a_part_of_fixed_size_is_a_random_crop_of_the_pixels_as_they_are():
    images = random_images(height=8, width=8)
    transform = RandomResizedCrop(7, scale=(0.765625, 0.765625), ratio=(1, 1), flip=False)
    drawn = transform.draw(len(images), torch.Generator().manual_seed(0))
    parts = [[image[y : y + 7, x : x + 7] for y in (0, 1) for x in (0, 1)] for image in images]
    for got, possible in zip(transform.apply(images, drawn, drawn), parts, strict=True):
        assert any(torch.equal(got, part) for part in possible)


@pytest.mark.parametrize("channels", [3, 1])
def test_colours_change_as_torchvision_changes_them(channels):
    images = random_images(channels=channels)
    transform = ColorJitter(0.4, 0.5, 0.6)
    drawn = transform.draw(len(images), torch.Generator().manual_seed(0))
    assert (drawn.amin(dim=0) >= torch.tensor([0.6, 0.5, 0.4])).all()
    assert (drawn.amax(dim=0) <= torch.tensor([1.4, 1.5, 1.6])).all()
    for image, got, (b, c, s) in zip(images, transform.apply(images, drawn, drawn), drawn.tolist(), strict=True):
        pixels = image.permute(2, 0, 1).float() / 255
        expected = F.adjust_contrast(F.adjust_brightness(pixels, b), c)
        expected = F.adjust_saturation(expected, s) if channels == 3 else expected
        np.testing.assert_allclose(got.permute(2, 0, 1).float(), 255 * expected, atol=0.6)


def test_strengths_of_zero_change_nothing():
    images = random_images()
    transform = ColorJitter(0, 0, 0)
    drawn = transform.draw(len(images), torch.Generator())
    assert torch.equal(transform.apply(images, drawn, drawn), images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (0, 1)}, r"scale\[0\] must be in \(0, 1\], got 0"),
        ({"scale": (0.5, 0.2)}, r"scale and ratio are \[least, largest\]"),
        ({"ratio": (0, 1)}, r"ratio\[0\] must be above 0"),
        ({"size": 0}, "size must be at least 1, got 0"),
    ],
)
def test_impossible_parts_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RandomResizedCrop(**options)
