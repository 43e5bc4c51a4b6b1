"""A dataset that several runs share is read once, and nothing of one run is seen by another."""

import hashlib

import numpy as np
import pytest

from lnl.data import Digits, read_once
from tests.conftest import weights


@pytest.fixture
def readings(monkeypatch):
    """Counts how often digits are read, from a memory that is empty."""
    monkeypatch.setattr(read_once, "_kept", type(read_once._kept)())
    count = []
    load = Digits.load

    def counted(self):
        count.append(self.image_size)
        return load(self)

    monkeypatch.setattr(Digits, "load", counted)
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
        read_once._kept.clear()
        outcome = digits(f"noise={noise}", *varied[1:], "paths.output_dir=alone")
        alone = next(f for f in outcome.folders if "alone" in str(f) and f"-{noise}0.5-" in f.name)
        ours, theirs = (np.load(folder / "noise.npz") for folder in (shared[alone.name], alone))
        np.testing.assert_array_equal(ours["noisy_labels"], theirs["noisy_labels"])
        np.testing.assert_array_equal(ours["clean_labels"], theirs["clean_labels"])
        ours, theirs = weights(shared[alone.name]), weights(alone)
        assert all((ours[name] == theirs[name]).all() for name in ours)


def test_what_is_shared_cannot_be_written(digits, readings):
    digits("trainer.max_epochs=1", "data.augment=crop_flip", "data.crop_padding=1")
    (clean,) = read_once._kept.values()
    fresh = Digits(num_classes=10, channels=1, image_size=8, mean=[0.3], std=[0.4]).read()
    for kept, anew in ((clean.train, fresh.train), (clean.test, fresh.test)):
        for array, other in ((kept.images, anew.images), (kept.labels, anew.labels)):
            assert hashlib.sha256(array.tobytes()).digest() == hashlib.sha256(other.tobytes()).digest()
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_what_is_kept_is_limited(monkeypatch, readings):
    monkeypatch.setattr(read_once, "MAX_BYTES", 250_000)  # digits have 115,008 bytes

    def read(size):
        options = {"num_classes": 10, "channels": 1, "image_size": size, "mean": [0.3], "std": [0.4]}
        config = {"data": {"_target_": "lnl.data.Digits", **options, "batch_size": 1}, "corruption": {}}
        return read_once.read_once(config, Digits(**options).read)

    for size in (8, 9, 8, 10, 8, 11, 9):
        clean = read(size)
        assert clean.nbytes == 1797 * 64 + (1797 * size**2 if size != 8 else 0)
    assert readings == [8, 9, 10, 11, 9]  # 8 was used last whenever room was needed, but for the last time
