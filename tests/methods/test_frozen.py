"""Baselines on frozen features, against scikit-learn and sums over neighbours."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from lnl.methods.frozen import LinearHead, NeighbourHead


def drawn(count=120, features=10, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    rows = rng.standard_normal((classes, features))[labels] + 1.2 * rng.standard_normal((count, features))
    labels[::6] = (labels[::6] + 1) % classes
    return rows.astype(np.float32), labels


def test_the_linear_head_is_the_regression_of_the_best_strength():
    rows, labels = drawn()
    strengths = [0.01, 1.0, 100.0]
    head = LinearHead(10, 3, strengths, folds=4)
    head.fit(rows, labels)
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    fits = [LogisticRegression(C=strength, max_iter=300).fit(directions, labels) for strength in strengths]
    ours = head(torch.from_numpy(rows)).softmax(dim=1).numpy()
    (chosen,) = [place for place, fit in enumerate(fits) if np.allclose(fit.predict_proba(directions), ours, atol=1e-4)]
    scores = [cross_val_score(fit, directions, labels, cv=4).mean() for fit in fits]
    assert scores[chosen] > max(scores) - 0.05


def test_classes_without_samples_are_never_predicted_and_two_are_enough():
    rows, labels = drawn(classes=2)
    head = LinearHead(10, 4, [1.0, 10.0], folds=3)
    head.fit(rows, 2 * labels)
    probabilities = head(torch.from_numpy(rows)).softmax(dim=1)
    assert probabilities[:, [1, 3]].max() == 0
    assert (probabilities.argmax(dim=1).numpy() == 2 * labels).mean() > 0.7


@pytest.mark.parametrize("reliability", [False, True])
def test_neighbours_are_weighed_by_their_cosine_and_reliability(reliability):
    rows, labels = drawn(count=40)
    asked, _ = drawn(count=5, seed=1)
    head = NeighbourHead(10, 3, 50, neighbours=6, temperature=0.2, reliability=reliability)
    head.fit(rows, labels)
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16).astype(float)

    def shares(row, weights, leave_out=None):
        similar = unit @ (row / np.linalg.norm(row))
        order = [place for place in np.argsort(-similar) if place != leave_out][:6]
        votes = np.bincount(labels[order], np.exp(similar[order] / 0.2) * weights[order], 3)
        return votes / votes.sum()

    weights = np.ones(40)
    if reliability:
        weights = np.array([shares(row, np.ones(40), place)[labels[place]] for place, row in enumerate(unit)])
    expected = np.array([shares(row.astype(float), weights) for row in asked])
    np.testing.assert_allclose(head(torch.from_numpy(asked)).exp().numpy(), expected, atol=2e-3)


@pytest.mark.parametrize("method", ["knn", "linear_probe"])
def test_baselines_of_frozen_features_train_and_predict(train, predict, method, tmp_path):
    network = ["model=timm", "model.name=test_resnet", "model.freeze=true", "data.image_size=32", "data.channels=3"]
    preparation = ["data.mean=[0.5,0.5,0.5]", "data.std=[0.5,0.5,0.5]"]
    outcome = train("data=digits", *network, *preparation, f"method={method}", "data.subset=400")
    assert outcome.result["epochs"] == 1
    assert outcome.result["features"] == "backbone"
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > 0.3  # of a network from scratch; chance is 0.1


def test_images_without_a_frozen_network_are_refused(train):
    refused = train("data=digits", "method=linear_probe").err
    assert "LinearProbe needs frozen features: features=backbone, fourier or PATH" in refused
