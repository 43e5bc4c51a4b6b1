"""Drawing labels: shapes, seeds, and counts, exact and binomial."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lnl.noise import asymmetric, corrupt, pairflip, symmetric, uniform

CIFAR10_MAP = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
MNIST_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
KINDS = {
    "symmetric": lambda r: symmetric(10, r),
    "uniform": lambda r: uniform(10, r),
    "pairflip": lambda r: pairflip(10, r),
    "asymmetric": lambda r: asymmetric(CIFAR10_MAP, 10, r),
    # No structure that a transposed or shifted draw could hide behind.
    "any": lambda r: (1 - r) * np.eye(10) + r * np.random.default_rng(0).dirichlet(np.full(10, 0.5), size=10),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
quick = settings(max_examples=40)
percents = st.integers(0, 100).map(lambda n: n / 100)


def confusion(clean, noisy, num_classes=10):
    counts = np.zeros((num_classes, num_classes), dtype=int)
    np.add.at(counts, (clean, noisy), 1)
    return counts


def assert_binomial(counts, matrix):
    """Within five standard deviations; where the probability is 0 or 1, not one off."""
    total = counts.sum(axis=1, keepdims=True)
    assert (np.abs(counts - total * matrix) <= 5 * np.sqrt(total * (matrix * (1 - matrix)).clip(0)) + 1e-6).all()


@every_kind
@pytest.mark.parametrize("exact", [False, True])
@quick
@given(labels=hnp.arrays(np.int32, hnp.array_shapes(min_dims=1, max_dims=2, min_side=0), elements=st.integers(0, 9)))
def test_labels_keep_their_shape_and_stay_what_they_were(kind, exact, labels):
    before = labels.copy()
    noisy = corrupt(labels, kind(0.7), seed=0, exact=exact)
    assert noisy.dtype == np.int64
    assert noisy.shape == labels.shape
    assert ((noisy >= 0) & (noisy < 10)).all()
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("exact", [False, True])
def test_the_seed_alone_decides_the_draw(exact):
    labels, matrix = np.arange(1000) % 10, symmetric(10, 0.5)
    first = corrupt(labels, matrix, seed=3, exact=exact)
    np.random.seed(0)  # noqa: NPY002  the global state must not matter
    np.testing.assert_array_equal(corrupt(labels, matrix, seed=3, exact=exact), first)
    assert (corrupt(labels, matrix, seed=4, exact=exact) != first).mean() > 0.2


@every_kind
def test_independent_draws_follow_the_matrix(kind):
    clean = np.random.default_rng(1).choice(10, size=50_000, p=np.arange(1, 11) / 55)
    assert_binomial(confusion(clean, corrupt(clean, kind(0.4), seed=2)), kind(0.4))


@every_kind
@quick
@given(counts=st.lists(st.integers(0, 60), min_size=10, max_size=10), rate=percents, seed=st.integers(0, 99))
def test_exact_counts_are_rounded_by_class_and_within_one_by_pair(kind, counts, rate, seed):
    clean = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), counts))
    matrix = kind(rate)
    got = confusion(clean, corrupt(clean, matrix, seed, exact=True))
    off = np.abs(got - np.array(counts)[:, None] * matrix)
    # Half a label off is what rounding is, ties included.
    assert (off.diagonal() <= 0.5 + 1e-6).all()
    # Strictly: a whole one off would be a label that the matrix rules out.
    assert (off < 1 - 1e-6).all()


def test_independent_draws_vary_as_a_binomial_does():
    labels, matrix = np.zeros(100, dtype=int), symmetric(10, 0.4)
    changed = [np.count_nonzero(corrupt(labels, matrix, seed)) for seed in range(400)]
    # The relative deviation of a variance estimated from n values is sqrt(2 / n); five of those.
    assert np.var(changed) == pytest.approx(100 * 0.4 * 0.6, rel=5 * np.sqrt(2 / 400))


def test_exact_draws_may_change_any_sample_to_any_class():
    labels, matrix = np.zeros(20, dtype=int), symmetric(10, 0.25)
    noisy = np.array([corrupt(labels, matrix, seed, exact=True) for seed in range(1000)])
    assert (np.count_nonzero(noisy, axis=1) == 5).all()
    by_sample = np.count_nonzero(noisy, axis=0)
    assert (np.abs(by_sample - 250) < 5 * np.sqrt(1000 * 0.25 * 0.75)).all()
    # Five of nine classes get a sample each time: which ones must not depend on their number.
    by_class = np.bincount(noisy.ravel(), minlength=10)[1:]
    assert (np.abs(by_class - 1000 * 5 / 9) < 5 * np.sqrt(1000 * 5 / 9 * 4 / 9)).all()


def test_cats_and_dogs_change_places_without_changing_back():
    clean = np.repeat(np.arange(10), 5000)
    matrix = asymmetric(CIFAR10_MAP, 10, 0.4)
    exact = confusion(clean, corrupt(clean, matrix, seed=0, exact=True))
    assert exact[3, 5] == exact[5, 3] == exact[9, 1] == 2000
    assert exact.trace() == 40_000
    drawn = confusion(clean, corrupt(clean, matrix, seed=0))
    # Re-reading changed labels leaves 24 % of cats wrong and 18.4 % overall: 23 and 10 deviations off.
    assert_binomial(drawn, matrix)
    assert drawn.trace() / 50_000 == pytest.approx(0.8, abs=5 * np.sqrt(0.5 * 0.4 * 0.6 / 50_000))


def test_classes_of_unequal_size_get_the_same_rate():
    clean = np.repeat(np.arange(10), MNIST_COUNTS)
    exact = confusion(clean, corrupt(clean, symmetric(10, 0.8), seed=0, exact=True))
    np.testing.assert_array_equal(exact.diagonal(), [n - round(0.8 * n) for n in MNIST_COUNTS])
    drawn = confusion(clean, corrupt(clean, symmetric(10, 0.8), seed=0))
    # An equal count for every class gives digit 5 a rate of .885.
    assert drawn[5, 5] / 5421 == pytest.approx(0.2, abs=5 * np.sqrt(0.2 * 0.8 / 5421))


NO_MATRIX = [np.full((3, 3), 0.3), [[1.5, -0.5], [0, 1]], np.eye(3)[:2], np.full((2, 2), np.nan), [0.5, 0.5]]


@pytest.mark.parametrize("matrix", NO_MATRIX)
def test_a_matrix_that_is_not_row_stochastic_raises(matrix):
    with pytest.raises(ValueError, match="rows that are probabilities"):
        corrupt([0, 1], matrix, seed=0)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("label", [-1, 10])
def test_a_label_that_is_no_class_raises_and_is_shown(label, exact):
    with pytest.raises(ValueError, match=rf"0\.\.9, got .*{label}"):
        corrupt([0, 9, label], np.eye(10), seed=0, exact=exact)
