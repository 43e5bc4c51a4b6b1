"""DISC: three epochs of three samples against one sample at a time, its permutation, and whole runs on digits."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lnl.data import Batch
from lnl.methods import DISC
from lnl.methods.disc import shuffled_within
from tests.conftest import above_chance, weights
from tests.methods.made import make

K = 3
SHARE = 0.8  # of the mixed images


@pytest.fixture(autouse=True)
def without_a_trainer(monkeypatch):
    """Nothing is logged where a method is asked alone."""
    log = DISC.log_term
    monkeypatch.setattr(DISC, "log_term", lambda self, *args: self._trainer and log(self, *args))


def method(**options):
    torch.manual_seed(0)
    return make(DISC, 8, K, lambda: nn.Linear(4, K), **{"warmup_epochs": 1, **options}).double()


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


class ByHand:
    """A sample at a time, in numpy."""

    def __init__(self, method):
        self.weight, self.bias = method.model.weight.detach().numpy(), method.model.bias.detach().numpy()
        self.options = method
        self.tau = {i: [1 / 8, 1 / 8] for i in range(8)}
        self.part, self.corrected = dict.fromkeys(range(8), "none"), {}

    def p(self, x):
        return softmax(self.weight @ x + self.bias)

    def step(self, batch, warm_up, order):
        views = [view.numpy() for view in batch.views]
        index, given = batch.index.tolist(), batch.labels.tolist()
        before = [self.part[i] for i in index]
        labels = [
            self.corrected[i] if part == "purified" else y for i, y, part in zip(index, given, before, strict=True)
        ]
        total = 0.0
        for place, (i, y, part) in enumerate(zip(index, given, before, strict=True)):
            for view in views:
                p = self.p(view[place])
                if warm_up or part == "clean":
                    total -= np.log(p[y]) / len(index)
                elif part == "hard":
                    total += self.options.lambda_h * (1 - p[y] ** 0.7) / 0.7 / len(index)
            self.divide(i, y, [self.p(view[place]) for view in views])
        chosen = [place for place, part in enumerate(before) if part != "none"]
        if warm_up or not chosen:
            return total
        for view in views:
            for place, other in zip(chosen, order[: len(chosen)], strict=True):
                p = self.p(SHARE * view[place] + (1 - SHARE) * view[other])
                mixed = SHARE * np.log(p[labels[place]]) + (1 - SHARE) * np.log(p[labels[other]])
                total -= mixed / len(chosen)
        return total

    def divide(self, i, y, p):
        votes = sum(p[view][y] > self.tau[i][view] for view in (0, 1))
        mean = (p[0] + p[1]) / 2
        if votes:
            self.part[i] = {2: "clean", 1: "hard"}[votes]
        elif mean.max() > min(sum(self.tau[i]) / 2 + self.options.sigma, 0.9):
            self.part[i] = "purified"
        else:
            self.part[i] = "none"
        self.corrected[i] = int(mean.argmax())
        m = self.options.momentum
        self.tau[i] = [m * self.tau[i][view] + (1 - m) * p[view].max() for view in (0, 1)]


def test_epochs_by_hand(monkeypatch):
    """Four epochs of two batches, five times: sets, labels, thresholds and losses are those of a sample at a time."""
    seen = [name for seed in range(5) for name in sets_of_a_run(seed, monkeypatch)]
    assert {name: seen.count(name) > 4 for name in sorted(set(seen))} == dict.fromkeys(
        ["clean", "hard", "none", "purified"], True
    )


def sets_of_a_run(seed, monkeypatch):
    """The sets that all but the last epoch ended with, which the next one has used."""
    disc = method(momentum=0.6, sigma=0.1, lambda_h=0.3)
    hand, seen = ByHand(disc), []
    generator = torch.Generator().manual_seed(seed)
    monkeypatch.setattr("lnl.methods.disc.random.betavariate", lambda *_: 1 - SHARE)  # the larger share is taken
    labels = torch.randint(K, (8,), generator=generator)
    for epoch in range(4):
        monkeypatch.setattr(DISC, "current_epoch", epoch)
        for index in torch.randperm(8, generator=generator).split(4):
            images = 2 * torch.randn(2, 4, 4, generator=generator, dtype=torch.float64)
            batch = Batch(images[0], labels[index], index, tuple(images))
            chosen = [place for place, i in enumerate(index.tolist()) if hand.part[i] != "none"]
            order = chosen[1:] + chosen[:1]  # each is mixed with the next one
            places = torch.arange(4)
            places[torch.tensor(chosen, dtype=torch.int64)] = torch.tensor(order, dtype=torch.int64)
            monkeypatch.setattr("lnl.methods.disc.shuffled_within", lambda marked, to=places: to)
            loss = disc.training_loss(batch)
            assert loss.item() == pytest.approx(hand.step(batch, epoch < 1, order), rel=1e-5)
            assert loss.requires_grad
        names = [("none", "clean", "hard", "purified")[number] for number in disc.part.tolist()]
        assert names == [hand.part[i] for i in range(8)]
        purified = [i for i in range(8) if names[i] == "purified"]
        assert disc.corrected[purified].tolist() == [hand.corrected[i] for i in purified]
        np.testing.assert_allclose(disc.tau, [hand.tau[i] for i in range(8)], rtol=1e-6)
        seen += names if epoch < 3 else []
    return seen


def divided(p, label, tau, sigma=0.5):
    disc = method(sigma=sigma, momentum=0.9)
    disc.tau[2] = torch.tensor(tau)
    given = torch.eye(K)[[label]].double()
    disc.divide(torch.tensor([2]), given, torch.tensor(p, dtype=torch.float64)[:, None])
    return int(disc.part[2]), int(disc.corrected[2]), disc.tau[2].tolist()


@pytest.mark.parametrize(
    ("label", "tau", "part"),
    [
        (0, [0.5, 0.5], 1),  # .6 and .8 are above both
        (0, [0.7, 0.5], 2),
        (0, [0.5, 0.9], 2),
        (1, [0.1, 0.3], 3),  # .7 is above .2 + .4
        (1, [0.3, 0.4], 0),  # but not above .35 + .4
    ],
)
def test_the_sets(label, tau, part):
    found, corrected, moved = divided([[0.6, 0.1, 0.3], [0.8, 0.1, 0.1]], label, tau, sigma=0.4)
    assert (found, corrected) == (part, 0)
    assert moved == pytest.approx([0.9 * tau[0] + 0.06, 0.9 * tau[1] + 0.08])


def test_no_more_than_a_probability_of_nine_tenths_is_asked_for():
    assert divided([[0.91, 0.09, 0.0], [0.91, 0.09, 0.0]], 1, [0.8, 0.8])[0] == 3
    assert divided([[0.89, 0.11, 0.0], [0.89, 0.11, 0.0]], 1, [0.8, 0.8])[0] == 0


def test_a_batch_of_which_nothing_is_known_is_no_step(monkeypatch):
    monkeypatch.setattr(DISC, "current_epoch", 5)
    disc, images = method(), torch.randn(2, 4, 4, dtype=torch.float64)
    loss = disc.training_loss(Batch(images[0], torch.tensor([0, 1, 2, 0]), torch.arange(4), tuple(images)))
    assert loss.item() == 0
    loss.backward()
    assert not disc.model.weight.grad.any()


def test_the_permutation_is_one_of_the_chosen_and_each_is_as_likely():
    torch.manual_seed(0)
    chosen = torch.tensor([False, True, True, False, True, False])
    seen = {}
    for _ in range(1200):
        order = shuffled_within(chosen).tolist()
        assert [order[place] for place in (0, 3, 5)] == [0, 3, 5]
        key = tuple(order[place] for place in (1, 2, 4))
        seen[key] = seen.get(key, 0) + 1
    assert sorted(seen) == [(1, 2, 4), (1, 4, 2), (2, 1, 4), (2, 4, 1), (4, 1, 2), (4, 2, 1)]
    assert all(abs(count - 200) < 5 * (1200 * 5 / 36) ** 0.5 for count in seen.values())
    assert shuffled_within(torch.zeros(3, dtype=torch.bool)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "options", [{"warmup_epochs": 0}, {"momentum": 1.0}, {"sigma": 1.5}, {"lambda_h": -1.0}, {"alpha": 0}]
)
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_a_run_divides_its_samples_and_learns(digits):
    options = ("method.warmup_epochs=3", "method.momentum=0.8", "trainer.max_epochs=7", "model=mlp_1x512")
    outcome = digits("method=disc", *options, "noise.rate=0.4", "optimizer.lr=0.05", "data.batch_size=64")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert (table["train/visited"] == 1).all()
    noise, state = np.load(outcome.folder / "noise.npz"), weights(outcome.folder)
    right = noise["noisy_labels"] == noise["clean_labels"]
    selected = np.isin(state["part"].numpy(), (1, 2))
    assert right[selected].mean() > 0.6 + 5 * (0.24 / selected.sum()) ** 0.5  # chance, and five standard deviations
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
