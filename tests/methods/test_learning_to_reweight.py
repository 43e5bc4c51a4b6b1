"""Learning to Reweight: its weights in closed form and by finite differences, and a whole run on digits."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lnl.data import Batch
from lnl.methods import LearningToReweight
from tests.conftest import above_chance, weights
from tests.methods.made import make


def batches():
    rng = np.random.default_rng(0)
    return [
        Batch(torch.from_numpy(rng.normal(size=(count, 4))), torch.from_numpy(rng.integers(0, 3, count)), index)
        for count, index in ((7, torch.arange(7)), (5, torch.arange(7, 12)))
    ]


def method(model=lambda: nn.Linear(4, 3)):
    torch.manual_seed(0)
    return make(LearningToReweight, 12, 3, model).double()


def gradients(made, batch):
    """Of each sample's loss, ``[B, parameters]``: of a linear model (p - y) x and p - y."""
    x, label = batch.images.numpy(), batch.labels.numpy()
    z = x @ made.model.weight.detach().numpy().T + made.model.bias.detach().numpy()
    error = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - np.eye(3)[label]
    return np.concatenate([(error[:, :, None] * x[:, None]).reshape(len(x), -1), error], axis=1)


def test_a_weight_is_the_part_of_the_trusted_gradient_that_a_sample_has():
    made = method()
    noisy, trusted = batches()
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    inner = gradients(made, noisy) @ gradients(made, trusted).mean(axis=0)
    expected = inner.clip(min=0) / inner.clip(min=0).sum()
    assert 0 < (inner > 0).sum() < 7
    np.testing.assert_allclose(made.weights(noisy, trusted), expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(made.model.state_dict(), before, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in made.model.parameters())


@pytest.mark.parametrize("rate", [0.01, 3.0])
def test_at_any_rate_it_is_how_fast_the_trusted_loss_falls(rate):
    """By finite differences of a network of two layers, with batch norm, which sees the batch only."""

    def network():
        return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))

    made = method(network)
    noisy, trusted = batches()
    found = made.weights(noisy, trusted).numpy()
    statistics = made.model[1].running_mean.clone()

    def trusted_loss(epsilon):
        copy = method(network).model
        copy.load_state_dict(made.model.state_dict())
        losses = F.cross_entropy(copy(noisy.images), noisy.labels, reduction="none")
        steps = torch.autograd.grad((epsilon * losses).sum(), list(copy.parameters()))
        with torch.no_grad():
            for parameter, step in zip(copy.parameters(), steps, strict=True):
                parameter -= rate * step
        return F.cross_entropy(copy(trusted.images), trusted.labels).item()

    bumps = 1e-5 * torch.eye(7).double()
    falls = np.array([trusted_loss(-bump) - trusted_loss(bump) for bump in bumps]).clip(min=0)
    np.testing.assert_allclose(found, falls / falls.sum(), rtol=1e-5, atol=1e-8)
    assert torch.equal(made.model[1].running_mean, statistics)


def test_samples_that_all_do_harm_are_not_trained_on(monkeypatch):
    made = method()
    _, trusted = batches()
    opposite = Batch(-trusted.images, trusted.labels, trusted.index)
    with torch.no_grad():
        made.model.weight.zero_()
        made.model.bias.zero_()
    alike = Batch(trusted.images[:1], trusted.labels[:1], trusted.index[:1])
    wrong = Batch(alike.images, (alike.labels + 1) % 3, alike.index)
    assert made.weights(wrong, alike).tolist() == [0.0]
    assert made.weights(alike, alike).tolist() == [1.0]
    monkeypatch.setattr(LearningToReweight, "log_term", lambda *_: None)
    made.streams[0] = iter([alike])
    loss = made.training_loss(wrong)
    assert loss.item() == 0
    assert not any(gradient.any() for gradient in torch.autograd.grad(loss, list(made.model.parameters())))
    assert torch.isfinite(made.weights(opposite, trusted)).all()


def test_values_outside_are_refused():
    with pytest.raises(ValueError, match="trusted_batch_size must be"):
        make(LearningToReweight, 12, 3, trusted_batch_size=0)


def test_a_run_learns_from_samples_that_help(digits):
    options = ("data.trusted=100", "noise.rate=0.4", "trainer.max_epochs=3", "optimizer.lr=0.05")
    outcome = digits("method=l2rw", *options, "model=mlp_1x512")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert table["train/left_out"].between(0.1, 0.9).all()
    assert table["train/visited"].iloc[0] == pytest.approx(1 - 100 / outcome.result["data"]["train"])
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
    assert all(name.startswith("model.") for name in weights(outcome.folder))
