import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lnl.models import HistogramLogistic
from tests.conftest import above_chance

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def normalised(images):
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (200, 16, 16, 3), dtype=np.uint8)


def test_features_are_numpys_histograms(images):
    images[0] = np.array([0, 51, 102, 153, 204, 255, 50, 254] * 96).reshape(16, 16, 3)  # the edges themselves
    features = HistogramLogistic(4, 3, MEAN, STD).features(normalised(images))
    edges = np.linspace(0, 255, 6)
    expected = [np.concatenate([np.histogram(image[..., c], edges)[0] for c in range(3)]) for image in images]
    np.testing.assert_array_equal(features, expected)


@pytest.mark.parametrize("classes", [(0, 1, 2, 3), (1, 3)])
def test_probabilities_are_scikit_learns(images, classes):
    labels = np.random.default_rng(1).choice(classes, len(images))
    model = HistogramLogistic(4, 3, MEAN, STD)
    features = model.features(normalised(images)).numpy()
    model.fit(features, labels)
    with torch.autocast("cpu", torch.bfloat16):
        ours = model(normalised(images)).softmax(dim=1).numpy()
    theirs = LogisticRegression().fit(features.astype(float), labels).predict_proba(features.astype(float))
    np.testing.assert_allclose(ours[:, list(classes)], theirs, atol=1e-4)
    assert np.delete(ours, classes, axis=1).sum() == 0


def test_it_is_a_run_like_any_other(digits):
    outcome = digits("model=histogram_logistic", "noise=none")
    assert outcome.code == 0, outcome.err
    assert (outcome.result["method"], outcome.result["epochs"]) == ("fit_once", 1)
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(
        359
    )  # grey histograms of digits say a little
    assert digits("model=histogram_logistic", "method=baseline").code == 1
    wrong = digits("method=fit_once", "model=cnn")
    assert "needs a model that is fitted at once" in wrong.err
