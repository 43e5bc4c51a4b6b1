"""Each operation against torchvision's, and what is drawn against the papers."""

from collections import Counter, defaultdict

import pytest
import torch
from torchvision.transforms import v2

from lnl.augment import AutoAugment, RandAugment
from lnl.augment.policies import DIRECTED, NAMES, Operations

THEIRS = {name: "".join(part.capitalize() for part in name.split("_")) for name in NAMES}
IMAGES = torch.randint(0, 256, (6, 24, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class One(Operations):
    bins = 31

    def choose(self, count, generator):
        raise AssertionError


def code(name, magnitude, negative=False, bins=31):
    return (NAMES.index(name) * bins + magnitude) * 2 + negative


def theirs(images, name, magnitude, negative):
    """What torchvision's RandAugment does to a batch."""
    policy = v2.RandAugment()
    magnitudes = policy._AUGMENTATION_SPACE.get(THEIRS[name], (lambda *_: None, False))[0](31, *images.shape[1:3])
    strength = 0.0 if magnitudes is None else float(magnitudes[magnitude]) * (-1 if negative else 1)
    fill = defaultdict(lambda: None)
    pixels = images.permute(0, 3, 1, 2)
    nearest = v2.InterpolationMode.NEAREST
    return policy._apply_image_or_video_transform(pixels, THEIRS[name], strength, nearest, fill).permute(0, 2, 3, 1)


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_is_that_of_torchvision(name):
    for magnitude in (0, 3, 9, 17, 30):
        for negative in (False, True) if NAMES.index(name) < DIRECTED else (False,):
            drawn = torch.full((6, 1), code(name, magnitude, negative))
            ours = One().apply(IMAGES, drawn, drawn).int()
            difference = (ours - theirs(IMAGES, name, magnitude, negative).int()).abs()
            assert difference.max() <= 1  # saturation and sharpness round in another order
            assert (difference == 0).float().mean() > 0.99


def test_each_sample_has_the_operation_that_was_drawn_for_it():
    names = ["invert", "rotate", "invert", "brightness", "identity", "brightness"]
    negative = [False, True, False, True, False, False]
    drawn = torch.tensor([[code(name, 12, sign)] for name, sign in zip(names, negative, strict=True)])
    ours = One().apply(IMAGES, drawn, drawn)
    for place, (name, sign) in enumerate(zip(names, negative, strict=True)):
        torch.testing.assert_close(ours[place], theirs(IMAGES[place : place + 1], name, 12, sign)[0], rtol=0, atol=1)


def test_operations_are_applied_one_after_the_other():
    drawn = torch.tensor([[code("translate_x", 30), code("invert", 0)]]).expand(6, 2)
    reverse = drawn.flip(1)
    first, second = (One().apply(IMAGES, codes, codes) for codes in (drawn, reverse))
    assert (first[:, :, 0] == 255).all()  # what came in black was inverted
    assert (second[:, :, 0] == 0).all()


def read(drawn, bins):
    return [[(NAMES[c // (2 * bins)], c // 2 % bins, c % 2) for c in row] for row in drawn.tolist()]


def test_randaugment_draws_each_operation_equally_often_for_each_sample():
    drawn = read(RandAugment(2, 9).draw(14_000, torch.Generator().manual_seed(0)), 31)
    assert {magnitude for row in drawn for _, magnitude, _ in row} == {9}
    for step in (0, 1):
        counts = Counter(row[step][0] for row in drawn)
        assert counts.keys() == set(NAMES) - {"invert"}
        assert all(abs(count - 1000) < 5 * 1000**0.5 for count in counts.values())
    signs = [sign for row in drawn for name, _, sign in row if name == "rotate"]
    assert abs(sum(signs) / len(signs) - 0.5) < 0.1
    assert not any(sign for row in drawn for name, _, sign in row if name in ("solarize", "identity"))


def test_autoaugment_draws_the_published_pairs_with_their_chances():
    policy = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)._policies
    ours = AutoAugment()
    for pair, operations, chances, magnitudes in zip(
        policy, ours.operations.tolist(), ours.chances.tolist(), ours.magnitudes.tolist(), strict=True
    ):
        assert [name for name, _, _ in pair] == [THEIRS[NAMES[operation]] for operation in operations]
        assert [chance for _, chance, _ in pair] == pytest.approx(chances)
        assert [magnitude or 0 for _, _, magnitude in pair] == magnitudes
    drawn = read(ours.draw(50_000, torch.Generator().manual_seed(0)), 10)
    counts = Counter((row[0][0], row[1][0]) for row in drawn)
    assert abs(counts["translate_y", "translate_y"] - 50_000 / 25 * 0.9 * 0.7) < 5 * 1300**0.5


@pytest.mark.parametrize(("options", "said"), [((0, 9), "operations"), ((2, 31), "magnitude"), ((2, -1), "magnitude")])
def test_values_outside_are_refused(options, said):
    with pytest.raises(ValueError, match=f"{said} must be"):
        RandAugment(*options)
