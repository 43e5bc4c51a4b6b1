"""Random Fourier features: what their cosines are, and what they do not see."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from lnl.models import RandomFourierModel

IMAGES = torch.rand(30, 1, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_cosines_are_the_gaussian_kernel_of_the_correlation(gamma):
    model = RandomFourierModel(6, 10, in_channels=1, num_features=40_000, gamma=gamma)
    features = model.features(IMAGES)
    cosines = cosine_similarity(features[:, None], features[None], dim=2)
    correlation = np.corrcoef(IMAGES.flatten(1).numpy())
    np.testing.assert_allclose(cosines, np.exp(-gamma * (1 - correlation)), atol=0.03)


def test_brightness_and_contrast_do_not_count_but_the_place_of_pixels_does():
    model = RandomFourierModel(6, 10, in_channels=1)
    torch.testing.assert_close(model.features(3 * IMAGES - 5), model.features(IMAGES), atol=1e-4, rtol=0)
    assert (model.features(IMAGES.flip(3)) - model.features(IMAGES)).abs().max() > 0.5


def test_it_is_the_same_in_every_run_and_only_its_head_learns():
    model, again = RandomFourierModel(6, 10), RandomFourierModel(6, 10)
    assert model.digest() == again.digest() != RandomFourierModel(6, 10, gamma=1.0).digest()
    assert {name for name, _ in model.named_parameters()} == {"head.weight", "head.bias"}
    assert model(IMAGES.expand(-1, 3, -1, -1)).shape == (30, 10)


@pytest.mark.parametrize("options", [{"num_features": 7}, {"num_features": 0}, {"gamma": 0.0}])
def test_other_sizes_are_refused(options):
    with pytest.raises(ValueError, match="must be even and gamma above 0"):
        RandomFourierModel(6, 10, **options)
