"""CORES²: three epochs, sample by sample, and a whole run on digits."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lnl.data import Batch
from lnl.methods import CORES2
from tests.app.test_resolvers import composed
from tests.conftest import above_chance, weights
from tests.methods.made import make, samples

GIVEN = [0, 2, 1, 0, 2, 2, 1, 0]


def method(**options):
    return make(CORES2, 8, 3, nn.Flatten, samples=samples(8, 3, GIVEN), **options)


@pytest.fixture(autouse=True)
def without_a_trainer(monkeypatch):
    """Nothing is logged where a method is asked alone."""
    log = CORES2.log_term
    monkeypatch.setattr(CORES2, "log_term", lambda self, *args: self._trainer and log(self, *args))


def reference(p, labels, beta, prior, sieve):
    """Loss and kept samples, of probabilities ``p`` (lists of tensors), by plain Python."""
    values, kept = [], []
    for own, label in zip(p, labels, strict=True):
        of_every_label = [-(x + 1e-8).log() for x in own]
        kept.append(not sieve or bool(-own[label].log() <= sum(of_every_label) / 3))
        values.append(-own[label].log() - beta * sum(s * loss for s, loss in zip(prior, of_every_label, strict=True)))
    chosen = [value for value, keep in zip(values, kept, strict=True) if keep]
    return sum(chosen) / len(chosen) / (1 + beta), kept


def test_three_epochs_of_which_the_last_ones_sieve(monkeypatch):
    """beta is 0, then 1/2 of 2 with the sieve, then 2, with the prior of what is left."""
    cores = method(beta=2.0, warmup_epochs=1, ramp_epochs=2, sieve_epoch=2)
    generator = torch.Generator().manual_seed(1)
    kept, dropped = [True] * 8, 0
    for epoch, beta in ((0, 0.0), (1, 0.0), (2, 1.0), (3, 2.0)):
        monkeypatch.setattr(CORES2, "current_epoch", epoch)
        assert cores.training_set(epoch) is None
        counts = [sum(keep and label == k for keep, label in zip(kept, GIVEN, strict=True)) for k in range(3)]
        prior = [count / sum(counts) for count in counts]
        now = list(kept)
        for index in ([0, 1, 2, 3], [4, 5, 6, 7]):
            images = (3 * torch.randn(4, 1, 3, generator=generator)).requires_grad_()
            labels = [GIVEN[i] for i in index]
            loss = cores.training_loss(Batch(images, torch.tensor(labels), torch.tensor(index)))
            (gradient,) = torch.autograd.grad(loss, images)
            exact = images.detach().double().requires_grad_()
            p = [[z.exp() / sum(own.exp()) for z in own] for own in exact[:, 0]]
            expected, now[index[0] : index[-1] + 1] = reference(p, labels, beta, prior, epoch >= 2)
            (slope,) = torch.autograd.grad(expected, exact)
            torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(gradient.double(), slope, rtol=1e-4, atol=1e-6)
        kept = now
        dropped += kept.count(False)
        assert cores.kept.tolist() == kept
    assert 0 < dropped < 16
    assert cores.prior.tolist() == pytest.approx(prior)
    assert prior != pytest.approx([3 / 8, 2 / 8, 3 / 8])


@pytest.mark.parametrize(("epoch", "beta"), [(0, 0), (10, 0), (11, 2 / 30), (25, 1), (40, 2), (99, 2)])
def test_the_schedule(epoch, beta):
    assert method().beta_at(epoch) == pytest.approx(beta)


@pytest.mark.parametrize(
    ("epochs", "expected"), [("100", (10, 30, 30)), ("300", (10, 30, 30)), ("20", (2, 6, 6)), ("1", (1, 1, 1))]
)
def test_short_trainings_have_the_same_shares(epochs, expected):
    cfg = composed("method=cores2", f"trainer.max_epochs={epochs}").method
    assert (cfg.warmup_epochs, cfg.ramp_epochs, cfg.sieve_epoch) == expected


def test_a_batch_of_which_nothing_is_left_teaches_nothing(monkeypatch):
    """And a model that is sure has a finite reward: -2 log(1e-8) / 3 for each of two labels."""
    images = torch.tensor([[50.0, -50.0, -50.0]]).requires_grad_()
    wrong = Batch(images, torch.tensor([1]), torch.tensor([1]))
    monkeypatch.setattr(CORES2, "current_epoch", 40)
    cores = method()
    cores.prior.fill_(1 / 3)
    loss = cores.training_loss(wrong)
    assert loss == 0
    assert torch.autograd.grad(loss, images)[0].abs().max() == 0
    right = Batch(images, torch.tensor([0]), torch.tensor([0]))
    assert cores.training_loss(right).item() == pytest.approx(2 * 2 / 3 * math.log(1e-8) / 3)
    cores.kept.fill_(False)
    cores.training_set(41)
    assert cores.prior.tolist() == [0, 0, 0]


@pytest.mark.parametrize("options", [{"beta": -1.0}, {"warmup_epochs": -1}, {"ramp_epochs": 0}, {"sieve_epoch": -1}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_another_loss_is_refused(digits):
    assert "CORES2 does not use the one that was chosen" in digits("method=cores2", "loss=gce").err


def test_a_run_finds_what_is_wrong(digits):
    outcome = digits("method=cores2", "noise.rate=0.4", "optimizer.lr=0.05", "trainer.max_epochs=7")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert table["train/kept"][:2].tolist() == [1, 1]
    noise, kept = np.load(outcome.folder / "noise.npz"), weights(outcome.folder)["kept"].numpy()
    right = noise["noisy_labels"] == noise["clean_labels"]
    dropped = ~kept  # those that are not trained on stay kept
    assert 200 < dropped.sum() < 600
    assert right[dropped].mean() < 0.2
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
