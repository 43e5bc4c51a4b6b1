"""The kinds of noise as a user calls them, and the record they leave."""

import hashlib
import json
import struct
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnl.labels import NoiseRecord
from lnl.noise import (
    AsymmetricNoise,
    InstanceNoise,
    NoNoise,
    PairflipNoise,
    SymmetricNoise,
    UniformNoise,
    corrupt,
)
from tests.noise.drawn import record_of

CLASSES = [str(i) for i in range(10)]
CLEAN = np.random.default_rng(0).integers(0, 10, 5000)
IMAGES = np.random.default_rng(1).integers(0, 256, (5000, 2, 2, 1), dtype=np.uint8)
NOISES = [
    noise(rate=0.4, seed=7, exact=exact)
    for noise in (SymmetricNoise, UniformNoise, PairflipNoise, partial(AsymmetricNoise, {3: 5, 5: 3}), InstanceNoise)
    for exact in (False, True)
]


def name(noise):
    return f"{noise.kind}-exact" if noise.exact else noise.kind


every_noise = pytest.mark.parametrize("noise", NOISES, ids=name)


def record(noisy, clean=None):
    clean = None if clean is None else np.array(clean)
    return NoiseRecord(np.array(noisy), clean, np.eye(3), "given", "from a file", 0.0, 0, False)


@every_noise
def test_noise_is_drawn_from_clean_labels_however_often_it_is_called(noise):
    given = CLEAN.copy()
    first, again = record_of(noise, given, IMAGES, CLASSES), record_of(noise, given, IMAGES, CLASSES)
    np.testing.assert_array_equal(given, CLEAN)
    np.testing.assert_array_equal(first.truth, CLEAN)
    np.testing.assert_array_equal(again.truth, CLEAN)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.actual_rate() > 0
    assert (first.kind, first.convention, first.rate, first.seed) == (noise.kind, noise.convention, 0.4, 7)


@pytest.mark.parametrize("noise", NOISES[:-2], ids=name)
def test_class_conditional_noise_is_drawn_by_matrix_and_seed_whatever_the_images(noise):
    made = record_of(noise, CLEAN, IMAGES, CLASSES)
    np.testing.assert_array_equal(made.labels, corrupt(CLEAN, made.transition, seed=7, exact=noise.exact))
    np.testing.assert_array_equal(made.labels, record_of(noise, CLEAN, 255 - IMAGES, CLASSES).labels)


def test_no_noise_leaves_labels_as_they_are():
    made = record_of(NoNoise(), CLEAN, IMAGES, CLASSES)
    np.testing.assert_array_equal(made.labels, CLEAN)
    np.testing.assert_array_equal(made.transition, np.eye(10))
    assert made.actual_rate() == 0


@pytest.mark.parametrize(("kind", "rate"), [(SymmetricNoise, 0.9), (UniformNoise, 0.81)])
def test_conventions_differ_in_the_rate_that_is_wrong(kind, rate):
    clean = np.arange(50_000) % 10
    images = np.zeros((50_000, 0, 0, 1), dtype=np.uint8)
    assert record_of(kind(0.9), clean, images, CLASSES).actual_rate() == pytest.approx(
        rate, abs=5 * np.sqrt(rate * (1 - rate) / 5e4)
    )
    assert record_of(kind(0.9, exact=True), clean, images, CLASSES).actual_rate() == pytest.approx(rate, abs=1e-12)


@settings(max_examples=50)
@given(labels=st.lists(st.integers(0, 99), min_size=1, max_size=20), data=st.data())
def test_the_hash_is_that_of_the_noisy_labels_alone(labels, data):
    hashed = record(labels).sha256
    assert hashed == hashlib.sha256(struct.pack(f"<{len(labels)}q", *labels)).hexdigest()
    same = NoiseRecord(np.array(labels, dtype=np.uint8), np.zeros(len(labels)), np.eye(2), "human", "", 0.2, 5, True)
    assert same.sha256 == hashed
    position = data.draw(st.integers(0, len(labels) - 1))
    changed = [label + (i == position) for i, label in enumerate(labels)]
    assert record(changed).sha256 != hashed


def test_the_actual_rate_is_the_share_of_wrong_labels():
    made = record([0, 1, 2, 0, 1], clean=[0, 1, 2, 1, 0])
    assert made.actual_rate() == 0.4
    assert made.actual_rate(np.array([0, 3])) == 0.5
    assert made.actual_rate(np.array([3, 4])) == 1
    assert made.actual_rate(np.array([], dtype=int)) == 0


def test_the_rate_is_unknown_where_the_truth_is():
    made = record([0, 1, 2])
    assert made.actual_rate() is None
    assert made.actual_rate(np.array([1])) is None


@every_noise
def test_the_description_is_json_and_says_what_was_asked_and_what_came(noise):
    made = record_of(noise, CLEAN, IMAGES, CLASSES)
    told = json.loads(json.dumps(made.describe()))
    assert told["rate"] == 0.4
    assert told["actual_rate"] == (made.labels != CLEAN).mean()
    assert (told["kind"], told["seed"], told["exact"], told["sha256"]) == (noise.kind, 7, noise.exact, made.sha256)


def test_the_saved_record_is_read_without_pickle(tmp_path):
    made = record_of(SymmetricNoise(0.4), CLEAN, IMAGES, CLASSES)
    made.save(tmp_path / "noise.npz")
    with np.load(tmp_path / "noise.npz", allow_pickle=False) as saved:
        assert set(saved) == {"noisy_labels", "clean_labels", "transition_matrix"}
        np.testing.assert_array_equal(saved["noisy_labels"], made.labels)
        np.testing.assert_array_equal(saved["clean_labels"], CLEAN)
        np.testing.assert_array_equal(saved["transition_matrix"], made.transition)


def test_clean_labels_that_nobody_knows_are_not_saved(tmp_path):
    record([0, 1, 2]).save(tmp_path / "noise.npz")
    with np.load(tmp_path / "noise.npz", allow_pickle=False) as saved:
        assert set(saved) == {"noisy_labels", "transition_matrix"}
