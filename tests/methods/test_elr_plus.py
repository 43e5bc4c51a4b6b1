"""ELR+: two steps, sample by sample, and whole runs on digits."""

import math
import random

import pandas as pd
import pytest
import torch
from torch import nn

from lnl.data import Batch
from lnl.methods import ELRPlus
from tests.conftest import above_chance, weights
from tests.methods.made import make

ORDERS = [[1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2]]  # of mixup: for each network, in each step
BETA, WEIGHT, GAMMA = 0.6, 2.0, 0.9


def method(network=lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), **options):
    return make(ELRPlus, 5, 3, network, **options)


@pytest.fixture(autouse=True)
def without_a_trainer(monkeypatch):
    """Nothing is logged where a method is asked alone."""
    log = ELRPlus.log_term
    monkeypatch.setattr(ELRPlus, "log_term", lambda self, *args: self._trainer and log(self, *args))


def softmax(logits):
    return [z.exp() / sum(logits.exp()) for z in logits]


def clamped(p):
    return [x.clamp(1e-4, 1 - 1e-4) for x in p]


def reference(images, labels, index, order, network, targets, believed):
    """The loss of one network; ``believed`` is the other one's average, ``targets`` are brought up to date."""
    for image, i in zip(images, index, strict=True):
        p = clamped(softmax(believed[0] @ image + believed[1]))
        for k in range(3):
            targets[i][k] = BETA * targets[i][k] + (1 - BETA) * float(p[k]) / float(sum(p))
    loss = 0.0
    for i, j in enumerate(order):  # .7 of sample i and .3 of sample j
        logits = network[0] @ (0.7 * images[i] + 0.3 * images[j]) + network[1]
        log_p, p = [x.log() for x in softmax(logits)], clamped(softmax(logits))
        loss -= (0.7 * log_p[labels[i]] + 0.3 * log_p[labels[j]]) / 3
        target = [0.7 * targets[index[i]][k] + 0.3 * targets[index[j]][k] for k in range(3)]
        loss += WEIGHT * (1 - sum(t * x for t, x in zip(target, p, strict=True))).log() / 3
    return loss


def test_two_steps_by_hand(monkeypatch):
    """Losses, gradients, targets and averages of two linear networks, with a step of descent between."""
    orders = iter(ORDERS)
    monkeypatch.setattr(torch, "randperm", lambda n, device: torch.tensor(next(orders)))
    monkeypatch.setattr(random, "betavariate", lambda a, b: 0.3)
    torch.manual_seed(0)
    elr = method(beta=BETA, weight=WEIGHT, gamma=GAMMA, ramp_epochs=2)
    parts = [elr.model, elr.second, elr.model_average, elr.second_average]
    first, second, first_average, second_average = ([p.detach().double() for p in part.parameters()] for part in parts)
    targets = [[[0.0] * 3 for _ in range(5)] for _ in range(2)]
    generator = torch.Generator().manual_seed(0)
    for step, (progress, index, labels) in enumerate([(0.5, [4, 0, 2], [0, 2, 1]), (7.0, [2, 3, 0], [1, 0, 2])]):
        elr.progress = progress
        images = 2 * torch.randn(3, 1, 1, 4, generator=generator)
        loss = elr.training_loss(Batch(images, torch.tensor(labels), torch.tensor(index)))
        parameters = [*elr.model.parameters(), *elr.second.parameters()]
        gradients = torch.autograd.grad(loss, parameters)

        gamma = GAMMA * math.exp(-5 * 0.75**2) if progress == 0.5 else GAMMA
        for average, network in ((first_average, first), (second_average, second)):
            for place in range(2):
                average[place] = gamma * average[place] + (1 - gamma) * network[place]
        exact = [p.requires_grad_() for p in (*first, *second)]
        flat = images.double().flatten(1)
        ours, theirs = ORDERS[2 * step : 2 * step + 2]
        expected = reference(flat, labels, index, ours, first, targets[0], second_average)
        expected = expected + reference(flat, labels, index, theirs, second, targets[1], first_average)
        slopes = torch.autograd.grad(expected, exact)

        torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
        for gradient, slope in zip(gradients, slopes, strict=True):
            torch.testing.assert_close(gradient.double(), slope, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(elr.targets, torch.tensor(targets).transpose(0, 1), rtol=1e-5, atol=1e-6)
        held = [p.double() for part in parts[2:] for p in part.parameters()]
        torch.testing.assert_close(held, [*first_average, *second_average], rtol=1e-5, atol=1e-6)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= 0.5 * gradient
            first, second = ([p - 0.5 * s for p, s in zip(n, g, strict=True)] for n, g in
                             ((first, slopes[:2]), (second, slopes[2:])))  # fmt: skip


def test_averages_are_in_checkpoints_and_in_no_optimizer():
    elr = method(lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3)))
    trained = {id(p) for group in elr.parameter_groups() for p in group["params"]}
    assert trained == {id(p) for part in (elr.model, elr.second) for p in part.parameters()}
    state = elr.state_dict()
    for part in ("model", "second"):
        torch.testing.assert_close(state[f"{part}_average.1.weight"], state[f"{part}.1.weight"], rtol=0, atol=0)
    assert elr(torch.ones(2, 4)).requires_grad


def test_an_average_takes_the_statistics_of_its_batch():
    """Batch norm gives three images that lie apart by 100 the same predictions as three that lie apart by 1."""
    believed = []
    for scale in (1.0, 100.0):
        torch.manual_seed(0)
        elr = method(lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3)), beta=0.0)
        images = scale * torch.randn(3, 1, 1, 4, generator=torch.Generator().manual_seed(0))
        elr.training_loss(Batch(images, torch.tensor([0, 1, 2]), torch.arange(3)))
        believed.append(elr.targets[:3])
    torch.testing.assert_close(*believed, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "options", [{"beta": 1.0}, {"weight": -1.0}, {"alpha": 0}, {"gamma": 1.0}, {"gamma": -0.1}, {"ramp_epochs": 0}]
)
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_a_run_learns_and_memorises_little(digits):
    outcome = digits("method=elr_plus", "noise.rate=0.4", "optimizer.lr=0.05", "trainer.max_epochs=6")
    assert outcome.code == 0, outcome.err
    assert outcome.result["config"]["method"]["ramp_epochs"] == 3
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert table["train/memorised"].iloc[-1] < 0.1
    assert (table[["train/regularizer_1", "train/regularizer_2"]] < 0).all(axis=None)
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
    state = weights(outcome.folder)
    name = "features.0.weight"
    for part in ("model", "second"):
        distance = (state[f"{part}_average.{name}"] - state[f"{part}.{name}"]).abs().mean()
        assert 0 < distance < (state[f"model.{name}"] - state[f"second.{name}"]).abs().mean()
