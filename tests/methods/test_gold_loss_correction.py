"""Gold Loss Correction: its matrix and loss by hand, and a whole run on digits."""

import numpy as np
import pandas as pd
import pytest
import torch

from lnl.data import Batch
from lnl.methods import GoldLossCorrection
from tests.conftest import above_chance, weights
from tests.methods.made import make, samples

P = np.random.default_rng(0).dirichlet(np.ones(3), 8)
TRUSTED, RIGHT = [1, 4, 6, 7], [0, 2, 0, 0]


def method():
    return make(GoldLossCorrection, 8, 3, samples=samples(8, 3, [0, 0, 1, 2, 2, 1, 0, 0], TRUSTED, RIGHT))


@pytest.fixture
def corrected(monkeypatch):
    """In stage 2, after a stage 1 that predicts P."""
    made = method().double()
    monkeypatch.setattr(made, "over_training_set", lambda function: (torch.arange(8), torch.from_numpy(P)))
    made.begin_stage(1)
    assert made.kept.nonzero()[:, 0].tolist() == [0, 2, 3, 5]
    made.begin_stage(2)
    assert made.kept.all()
    return made


def test_a_row_is_the_mean_prediction_for_the_trusted_samples_of_a_class(corrected):
    expected = np.stack([(P[1] + P[6] + P[7]) / 3, [0, 1, 0], P[4]])  # no trusted sample is of class 1
    np.testing.assert_allclose(corrected.transition, expected, rtol=1e-12)


@pytest.mark.parametrize("in_stage_2", [False, True])
def test_the_loss_of_others_is_corrected_and_that_of_trusted_ones_is_not(corrected, in_stage_2):
    made = corrected if in_stage_2 else method().double()
    index, labels = np.array([0, 4, 5, 7]), np.array([2, 2, 1, 0])
    logits = np.random.default_rng(1).normal(0, 2, (4, 3))
    images = torch.from_numpy(logits).requires_grad_()
    loss = made.training_loss(Batch(images, torch.from_numpy(labels), torch.from_numpy(index)))
    matrix, terms, gradients = made.transition.numpy(), [], []
    for z, label, number in zip(logits, labels, index, strict=True):
        p = np.exp(z) / np.exp(z).sum()
        column = np.eye(3)[label] if number in TRUSTED else matrix[:, label]
        terms.append(-np.log(p @ column))
        gradients.append(p * (1 - column / (p @ column)) / 4)
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-12)
    np.testing.assert_allclose(torch.autograd.grad(loss, images)[0], gradients, rtol=1e-10, atol=1e-14)


def test_values_outside_are_refused():
    with pytest.raises(ValueError, match="stage1_epochs must be"):
        make(GoldLossCorrection, 8, 3, stage1_epochs=0)


def test_a_run_corrects_by_the_trusted_samples_and_learns(digits):
    options = ("data.trusted=200", "noise.rate=0.5", "trainer.max_epochs=6", "method.stage1_epochs=2")
    outcome = digits("method=glc", *options, "optimizer.lr=0.05")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    visited = table["train/visited"]
    assert visited.iloc[0] == pytest.approx(1 - 200 / outcome.result["data"]["train"])
    assert visited.iloc[-1] == 1
    believed = np.load(outcome.folder / "transition.npz")["believed"]
    np.testing.assert_allclose(believed.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(weights(outcome.folder)["transition"], believed, atol=1e-6)
    assert outcome.result["noise_believed"]["transition_error"] < 1  # which the identity has
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)


def test_it_needs_trusted_samples(digits):
    assert "this method needs samples with trusted labels" in digits("method=glc").err
