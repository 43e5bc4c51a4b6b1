"""JoCoR: its joint loss in a batch, sample by sample, and a whole run on digits."""

import math

import pandas as pd
import pytest
import torch

from lnl.data import Batch
from lnl.methods import JoCoR
from tests.conftest import above_chance
from tests.methods.made import make_two


def method(**options):
    return make_two(JoCoR, 6, 3, **options)


def joint_loss(first, second, label, weight):
    """Of one sample: two cross entropies and two divergences, written out."""
    p, q = ([x / sum(e) for x in e] for e in ([z.exp() for z in logits] for logits in (first, second)))
    entropies = -p[label].log() - q[label].log()
    there = sum(a * (a / b).log() for a, b in zip(p, q, strict=True))
    back = sum(b * (b / a).log() for a, b in zip(p, q, strict=True))
    return (1 - weight) * entropies + weight * (there + back)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9])
def test_a_step_is_the_mean_of_the_smallest_joint_losses(monkeypatch, weight):
    """Of six samples the four with the smallest sum are kept, and both networks learn from all four."""
    logged = {}
    monkeypatch.setattr(JoCoR, "log_term", lambda self, name, value, batch: logged.update({name: value.item()}))
    monkeypatch.setattr(JoCoR, "current_epoch", 10)
    images = (2 * torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(3))).requires_grad_()
    labels = torch.tensor([0, 2, 1, 0, 2, 1])
    loss = method(weight=weight, forget_rate=1 / 3).training_loss(Batch(images, labels, torch.arange(6)))
    (gradient,) = torch.autograd.grad(loss, images)

    exact = images.detach().double().requires_grad_()
    losses = [joint_loss(*exact[i], int(labels[i]), weight) for i in range(6)]
    expected = sum(sorted(losses, key=float)[:4]) / 4
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=1e-6)
    (slope,) = torch.autograd.grad(expected, exact)
    torch.testing.assert_close(gradient.double(), slope, rtol=1e-5, atol=1e-6)
    assert (slope.abs().sum(dim=(1, 2)) > 0).sum() == 4
    assert logged["kept"] == pytest.approx(4 / 6)


def test_two_logits_by_hand(monkeypatch):
    """p = (.8, .2), q = (.5, .5): the divergences are .3 log 4 together; nothing is left out in the first epoch."""
    monkeypatch.setattr(JoCoR, "log_term", lambda *_: None)
    images = torch.tensor([[[0.8, 0.2], [0.5, 0.5]]]).log()
    loss = method(weight=0.9, forget_rate=0.5).training_loss(Batch(images, torch.tensor([0]), torch.tensor([0])))
    assert loss.item() == pytest.approx(0.1 * (-math.log(0.8) - math.log(0.5)) + 0.9 * 0.3 * math.log(4), rel=1e-5)


@pytest.mark.parametrize("options", [{"weight": 1.0}, {"weight": -0.1}, {"forget_rate": 1.0}, {"ramp_epochs": 0}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_a_run_learns_and_estimates_what_it_leaves_out(digits):
    outcome = digits("method=jocor", "noise.rate=0.4", "trainer.max_epochs=5", "optimizer.lr=0.05")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert table["train/kept"][0] == 1
    assert table["train/kept"].iloc[-1] == pytest.approx(0.6, abs=0.2)  # of 288 validation labels
    assert outcome.result["oracle_options"] == {}
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
