"""VolMinNet: its T, its loss and gradients in float64, and a whole run on digits."""

import numpy as np
import pandas as pd
import pytest
import torch

from lnl.data import Batch
from lnl.methods import VolMin
from tests.conftest import above_chance, weights
from tests.methods.made import make

LOGITS = np.random.default_rng(0).normal(0, 2, (5, 4))
LABELS = np.array([0, 3, 2, 1, 0])


@pytest.fixture(autouse=True)
def without_a_trainer(monkeypatch):
    """Nothing is logged where a method is asked alone."""
    log = VolMin.log_term
    monkeypatch.setattr(VolMin, "log_term", lambda self, *args: self._trainer and log(self, *args))


def by_hand(w):
    """T, entry by entry."""
    count = len(w)
    rows = [[1.0 if i == j else 1 / (1 + np.exp(-w[i, j])) for j in range(count)] for i in range(count)]
    return np.array([[entry / sum(row) for entry in row] for row in rows])


def objective(w, logits, weight):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = [-np.log(row @ by_hand(w)[:, label]) for row, label in zip(p, LABELS, strict=True)]
    return np.mean(losses) + weight * np.log(abs(np.linalg.det(by_hand(w))))


def method(w, **options):
    made = make(VolMin, 5, 4, **options).double()
    made.w.data.copy_(torch.from_numpy(w))
    return made


@pytest.mark.parametrize("seed", range(4))
def test_t_has_rows_of_probabilities_of_which_the_diagonal_is_the_largest(seed):
    w = np.random.default_rng(seed).normal(0, 5, (4, 4))
    found = method(w).learned().detach().numpy()
    np.testing.assert_allclose(found, by_hand(w), rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    assert (found > 0).all()
    assert (found.argmax(axis=1) == np.arange(4)).all()


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_the_loss_and_its_gradients_by_finite_differences(weight):
    w = np.random.default_rng(1).normal(-1, 1, (4, 4))
    made, images = method(w, weight=weight), torch.from_numpy(LOGITS).requires_grad_()
    loss = made.training_loss(Batch(images, torch.from_numpy(LABELS), torch.arange(5)))
    assert loss.item() == pytest.approx(objective(w, LOGITS, weight), rel=1e-12)
    of_w, of_logits = (gradient.numpy() for gradient in torch.autograd.grad(loss, [made.w, images]))
    for place in np.ndindex(4, 4):
        bump = np.zeros((4, 4))
        bump[place] = 1e-6
        ends = [objective(w + sign * bump, LOGITS, weight) for sign in (1, -1)]
        assert of_w[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-9)
    for place in np.ndindex(5, 4):
        bump = np.zeros((5, 4))
        bump[place] = 1e-6
        ends = [objective(w, LOGITS + sign * bump, weight) for sign in (1, -1)]
        assert of_logits[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-9)


def test_at_the_start_all_classes_are_alike():
    made = make(VolMin, 5, 10, init=2.0)
    off = 1 / (1 + np.exp(2))
    expected = (np.eye(10) + off * (1 - np.eye(10))) / (1 + 9 * off)
    np.testing.assert_allclose(made.learned().detach(), expected, rtol=1e-6)
    assert expected[0, 0] == pytest.approx(0.48, abs=0.005)


@pytest.mark.parametrize("options", [{"weight": -1.0}, {"lr": -0.1}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        make(VolMin, 5, 4, **options)


def test_a_run_learns_t_with_the_network(digits):
    outcome = digits("method=volmin", "noise.rate=0.4", "trainer.max_epochs=5", "optimizer.lr=0.05", "method.lr=0.5")
    assert outcome.code == 0, outcome.err
    checkpoint = torch.load(outcome.folder / "checkpoints/last.ckpt", weights_only=True)
    network, own = checkpoint["optimizer_states"][0]["param_groups"]
    assert (own["lr"], own["weight_decay"], len(own["params"])) == (0.5, 0.0, 1)
    assert (network["lr"], network["weight_decay"]) == (0.05, 1e-4)
    state = weights(outcome.folder)
    np.testing.assert_allclose(state["transition"], by_hand(state["w"].double().numpy()), atol=1e-6)
    np.testing.assert_allclose(np.load(outcome.folder / "transition.npz")["believed"], state["transition"], atol=1e-6)
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert table["train/log_volume"].nunique() == 5
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
