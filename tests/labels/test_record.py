import numpy as np
import pandas as pd
import pytest

from lnl.labels import empirical_transition


def test_the_empirical_transition_matrix_counts():
    rng = np.random.default_rng(0)
    clean, noisy = rng.integers(0, 3, 500), rng.integers(0, 4, 500)
    ours = empirical_transition(clean, noisy, 4)
    theirs = pd.crosstab(clean, noisy, normalize="index")
    np.testing.assert_allclose(ours[:3], theirs)
    assert ours[3].tolist() == [0, 0, 0, 1]  # nothing is known of an absent class
    smooth = empirical_transition(clean[:1], noisy[:1], 4, smoothing=1.0)
    assert smooth.min() == pytest.approx(1 / 5)
