"""A dataset that several runs share is read once, and nothing of one run is seen by another."""

import hashlib

import numpy as np
import pytest

from lnl.corruption import NoCorruption
from lnl.data import Form, reading
from lnl.datasets import digits as source
from tests.conftest import weights


@pytest.fixture
def readings(monkeypatch):
    """Counts how often digits are read, from a memory that is empty."""
    monkeypatch.setattr(reading, "_kept", type(reading._kept)())
    count = []
    read = source.Digits.read

    def counted(self, form, progress=False):
        count.append(form.image_size)
        return read(self, form, progress)

    monkeypatch.setattr(source.Digits, "read", counted)
    return count


@pytest.mark.slow
def test_a_sweep_reads_a_dataset_once_for_each_way_images_are_prepared(digits, readings):
    varied = ("noise.rate=0.1,0.6", "seed=0,1", "data.augment=none,crop", "data.split_seed=0,1")
    outcome = digits("-m", *varied, "trainer.max_epochs=1", "data.subset=100")
    assert outcome.code == 0, outcome.err
    assert len(outcome.folders) == 16
    assert readings == [8]
    assert digits("-m", "data.image_size=8,12", "corruption=none,shuffled_pixels", "trainer.max_epochs=1").code == 0
    assert readings == [8, 8, 12, 12]


@pytest.mark.slow
def test_runs_that_share_a_dataset_have_the_numbers_that_they_have_alone(digits, readings):
    varied = ("noise=symmetric,asymmetric,instance", "noise.rate=0.5", "trainer.max_epochs=1")
    swept = digits("-m", *varied, "paths.output_dir=swept")
    shared = {folder.name: folder for folder in swept.folders}
    assert readings == [8]
    for noise in varied[0].removeprefix("noise=").split(","):
        reading._kept.clear()
        outcome = digits(f"noise={noise}", *varied[1:], "paths.output_dir=alone")
        alone = next(f for f in outcome.folders if "alone" in str(f) and f"-{noise}0.5-" in f.name)
        ours, theirs = (np.load(folder / "noise.npz") for folder in (shared[alone.name], alone))
        np.testing.assert_array_equal(ours["noisy_labels"], theirs["noisy_labels"])
        np.testing.assert_array_equal(ours["clean_labels"], theirs["clean_labels"])
        ours, theirs = weights(shared[alone.name]), weights(alone)
        assert all((ours[name] == theirs[name]).all() for name in ours)


def test_what_is_shared_cannot_be_written(digits, readings):
    digits("trainer.max_epochs=1", "data.augment=crop_flip", "data.crop_padding=1")
    (clean,) = reading._kept.values()
    fresh = reading.read(source.Digits(), Form(image_size=8, channels=1), NoCorruption())
    for name, images in clean.images.items():
        kept, again = clean.original, fresh.original
        labels = (kept.labels.given, again.labels.given) if name == "train" else (kept.test_labels, again.test_labels)
        for array, other in ((images, fresh.images[name]), labels):
            assert hashlib.sha256(array.tobytes()).digest() == hashlib.sha256(other.tobytes()).digest()
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_what_is_kept_is_limited(monkeypatch, readings):
    monkeypatch.setattr(reading, "MAX_BYTES", 250_000)  # digits have 115,008 bytes

    def read(size):
        return reading.read_once(source.Digits(), Form(image_size=size, channels=1), NoCorruption(), config={})

    for size in (8, 9, 8, 10, 8, 11, 9):
        clean = read(size)
        assert clean.nbytes == 1797 * 64 + (1797 * size**2 if size != 8 else 0)
    assert readings == [8, 9, 10, 11, 9]  # 8 was used last whenever room was needed, but for the last time
