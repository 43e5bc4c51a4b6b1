"""Transition matrices against the table of definitions, entry by entry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnl.noise import (
    AsymmetricNoise,
    InstanceNoise,
    PairflipNoise,
    SymmetricNoise,
    UniformNoise,
    asymmetric,
    pairflip,
    symmetric,
    uniform,
)

quick = settings(max_examples=50)
sizes, rates = st.integers(2, 30), st.floats(0, 1)
KINDS = [symmetric, uniform, pairflip, lambda k, r: asymmetric({0: 1}, k, r)]


def entries(num_classes, entry):
    return np.array([[entry(i, j) for j in range(num_classes)] for i in range(num_classes)])


@quick
@given(k=sizes, r=rates)
def test_symmetric_spreads_the_rate_over_the_other_classes(k, r):
    np.testing.assert_allclose(symmetric(k, r), entries(k, lambda i, j: 1 - r if i == j else r / (k - 1)), atol=1e-12)


@quick
@given(k=sizes, r=rates)
def test_uniform_spreads_the_rate_over_all_classes(k, r):
    np.testing.assert_allclose(uniform(k, r), entries(k, lambda i, j: (1 - r) * (i == j) + r / k), atol=1e-12)


@quick
@given(k=sizes, r=rates)
def test_pairflip_moves_the_rate_to_the_next_class(k, r):
    expected = entries(k, lambda i, j: (1 - r) * (i == j) + r * (j == (i + 1) % k))
    np.testing.assert_allclose(pairflip(k, r), expected, atol=1e-12)


@quick
@given(k=sizes, r=rates, data=st.data())
def test_asymmetric_moves_the_rate_of_mapped_classes_alone(k, r, data):
    label = st.integers(0, k - 1)
    mapping = data.draw(st.dictionaries(label, label))
    expected = entries(k, lambda i, j: (1 - r) * (i == j) + r * (j == mapping[i]) if i in mapping else float(i == j))
    np.testing.assert_allclose(asymmetric(mapping, k, r), expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@quick
@given(k=sizes, r=rates)
def test_rows_are_probabilities(kind, k, r):
    matrix = kind(k, r)
    assert matrix.shape == (k, k)
    assert matrix.min() >= -1e-12
    np.testing.assert_allclose(matrix.sum(axis=1), 1)


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_a_rate_that_is_no_share_raises_and_is_shown(rate):
    for kind in KINDS:
        with pytest.raises(ValueError, match=f"between 0 and 1, got {rate}"):
            kind(10, rate)
    for noise in (SymmetricNoise, UniformNoise, PairflipNoise, AsymmetricNoise, InstanceNoise):
        with pytest.raises(ValueError, match=f"between 0 and 1, got {rate}"):
            noise(rate=rate)


@pytest.mark.parametrize("mapping", [{10: 0}, {0: 10}, {-1: 0}, {0: -1}])
def test_a_mapping_to_or_from_no_class_raises(mapping):
    with pytest.raises(ValueError, match=r"names class (10|-1), but classes go from 0 to 9"):
        asymmetric(mapping, 10, 0.3)
