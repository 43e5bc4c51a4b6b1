"""ProMix: which samples are reliable, what both heads learn from them, and the running means."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lnl.data import Batch
from lnl.methods import ProMix
from lnl.methods.functional import rank_in_class
from lnl.methods.mix import mixup_among
from tests.conftest import above_chance
from tests.methods.made import make, samples

ALPHA, T, RAMP = 0.8, 0.5, 4


def test_ranks_within_classes():
    rng = np.random.default_rng(0)
    values, labels = rng.integers(0, 5, 40).astype(float), rng.integers(0, 3, 40)
    ranks = rank_in_class(torch.from_numpy(values), torch.from_numpy(labels)).tolist()
    for i in range(40):
        before = [j for j in range(40) if labels[j] == labels[i] and (values[j], j) < (values[i], i)]
        assert ranks[i] == len(before)


def test_mixup_takes_partners_among_the_chosen():
    chosen = torch.tensor([True, False, True, True, False, False, True, True])
    images = torch.eye(8)[:, None, :, None]  # which says who it is
    for _ in range(20):
        mixed, targets = mixup_among(images, torch.eye(8), chosen, 1.0)
        assert torch.equal(mixed[:, 0, :, 0], targets)
        others = targets - torch.diag(targets.diagonal())
        partners = others.argmax(dim=1)
        assert (targets.diagonal() >= 0.5).all()
        assert chosen[partners[chosen]].all()
        assert sorted(partners[chosen].tolist()) == [0, 2, 3, 6, 7]  # each is the partner of one
        assert (partners[chosen] != torch.arange(8)[chosen]).all()
    alone = torch.arange(8) == 5
    assert torch.equal(mixup_among(images, torch.eye(8), alone, 1.0)[1][5], torch.eye(8)[5])
    assert mixup_among(images, torch.eye(8), torch.zeros(8, dtype=torch.bool), 1.0)[0].isfinite().all()


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3))


def method(count=6, epoch=0, **options):
    made = make(ProMix, count, 3, network, **options)
    made._trainer = type("T", (), {"max_epochs": 100, "current_epoch": epoch})()
    made.log_term = lambda *_: None
    return made


def test_each_class_has_its_share_of_small_losses(monkeypatch):
    """rho n / K = .7 * 6 / 3 = 1.4: the two smallest losses of each given class, at most."""
    made = method(warmup_epochs=0, rho=0.7, samples=samples(6, 3, given=[0, 0, 0, 1, 1, 2]))
    losses = torch.tensor([[3.0, 1], [1, 2], [2, 3], [9, 8], [5, 9], [7, 7]])
    monkeypatch.setattr(made, "over_training_set", lambda function: (torch.arange(6), losses))
    made.training_set(0)
    assert made.selected[:, 0].tolist() == [False, True, True, True, True, True]
    assert made.selected[:, 1].tolist() == [True, True, False, True, True, True]


@pytest.mark.parametrize(("wrong", "rho"), [(0.0, 0.7), (0.2 * 2 / 3, 0.7), (0.5 * 2 / 3, 0.5), (0.6, 0.5)])
def test_rho_follows_the_estimated_noise(wrong, rho):
    made = method()
    made.share = wrong
    assert made.by_rate(made.rho, made.rho_by_rate) == rho


def reference(made, batch, guessing):
    """The loss of network 0 and its new running means, one sample at a time in float64, from the paper."""
    net, head = made.networks[0][1], made.second_heads[0]
    h = [[getattr(layer, name).detach().double() for layer in (net, head)] for name in ("weight", "bias")]
    other = made.networks[1][1]
    pi = made.shares[0].double()
    x, s = (view.double() for view in batch.views)

    def logits(which, image):
        return h[0][which] @ image + h[1][which]

    def ce(z, part, target):
        return -(target * (z + ALPHA * pi[part].log()).log_softmax(0)).sum()

    eye = torch.eye(3).double()
    reliable, targets, p, guesses = [], [], [], []
    for i, y in enumerate(batch.labels.tolist()):
        z = logits(0, x[i])
        p.append(z.softmax(0))
        taken = bool(made.selected[batch.index[i], 0]) or bool(p[i][y] > made.tau)
        targets.append(eye[y] if taken else eye[(z - ALPHA * pi[0].log()).argmax()])
        if guessing and not taken:
            q = (other.weight.double() @ x[i] + other.bias.double()).softmax(0)
            taken = bool(p[i].argmax() == q.argmax() and p[i].max() > made.tau and q.max() > made.tau)
        reliable.append(taken)
        sharp = (z - ALPHA * pi[1].log()).softmax(0) ** (1 / T)
        guesses.append(sharp / sharp.sum())
    good, bad = ([i for i, flag in enumerate(reliable) if flag is wanted] for wanted in (True, False))
    w, lambda_u = made.current_epoch / RAMP, 0.1 * made.current_epoch / (2 * RAMP)
    loss = 0
    for which in (0, 1):
        loss = loss + sum(ce(logits(which, x[i]), 0, targets[i]) for i in good) / len(good)
        loss = loss + w * sum(ce(logits(which, s[i]), 0, targets[i]) for i in good) / len(good)
        loss = loss + w * sum(ce(logits(which, x[i]), 0, targets[i]) for i in good) / len(good)  # mixed with itself
    for view, weight in ((x, 1.0), (s, w)):
        loss = loss + lambda_u * weight * sum(ce(logits(1, view[i]), 1, guesses[i]) for i in bad) / len(bad)
    means = [0.9 * pi[part] + 0.1 * sum(p[i] for i in group) / len(group) for part, group in enumerate((good, bad))]
    return loss, torch.stack(means), reliable


@pytest.mark.parametrize("guessing", [False, True])
def test_a_step_by_hand(monkeypatch, guessing):
    torch.manual_seed(1)
    options = {"ramp_epochs": RAMP, "momentum": 0.9, "tau": 0.5, "guess_epochs": 99 * guessing}
    made = method(count=16, epoch=2, warmup_epochs=0, **options)
    monkeypatch.setattr("lnl.methods.pro_mix.mixup_among", lambda images, targets, reliable, alpha: (images, targets))
    made.shares.copy_(torch.rand(2, 2, 3).softmax(dim=2))
    made.selected[:3, 0] = True
    views = (4 * torch.randn(16, 4), torch.randn(16, 4))
    batch = Batch(views[0], torch.arange(16) % 3, torch.arange(16), views)
    expected, means, reliable = reference(made, batch, guessing)
    assert sum(reliable) == (7 if guessing else 6)  # three were selected before, three are confident, one is guessed
    seen = [made.heads(number, views[0]) for number in (0, 1)]
    both = torch.stack([first.detach() for first, _ in seen])
    loss = made.loss_of(0, batch, seen[0], both)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(made.shares[0].double(), means, rtol=1e-5, atol=1e-6)


def test_guesses_fill_a_batch_up_to_its_share():
    """Four samples are sure, of a batch of ten with six reliable ones and a share of .9: the three surest."""
    made = method(tau=0.5)
    sure = torch.tensor([0.0] * 6 + [0.7, 0.9, 0.6, 0.8])
    p = torch.stack([sure, 1 - sure, torch.zeros(10)], dim=1)
    reliable = torch.tensor([True] * 6 + [False] * 4)
    assert made.agreed(reliable, torch.stack([p, p])).nonzero()[:, 0].tolist() == [6, 7, 9]
    assert not made.agreed(reliable, torch.stack([p, p.flip(1)])).any()  # they do not agree


def test_no_reliable_sample_is_no_nan():
    made = method(epoch=2, warmup_epochs=0, tau=1.0, guess_epochs=0)
    before, views = made.shares.clone(), (torch.randn(4, 4), torch.randn(4, 4))
    loss = made.training_loss(Batch(views[0], torch.tensor([0, 1, 2, 0]), torch.arange(4), views))
    assert math.isfinite(loss)
    loss.backward()
    assert torch.equal(made.shares[:, 0], before[:, 0])
    assert not torch.equal(made.shares[:, 1], before[:, 1])


@pytest.mark.parametrize(
    "options", [{"rho": 0}, {"tau": 1.1}, {"momentum": 1}, {"debias": -1}, {"temperature": 0}, {"guess_share": 2}]
)
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_a_run_learns(digits):
    settings = ("model=cnn", "noise.rate=0.4", "optimizer.lr=0.05", "data.batch_size=64", "augment@views.strong=none")
    outcome = digits("method=promix", *settings, "method.tau=0.9", "trainer.max_epochs=5")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
    assert outcome.result["noise_believed"]["rate"] > 0
