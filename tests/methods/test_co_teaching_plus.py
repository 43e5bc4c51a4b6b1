"""Co-teaching+: what it chooses in a batch, sample by sample, and a whole run on digits."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from lnl.data import Batch
from lnl.methods import CoTeachingPlus
from tests.conftest import above_chance
from tests.methods.made import make_two

# The probability of class 0, the label, by each network. They disagree about 1, 2, 4 and 5.
FIRST, SECOND = [0.9, 0.7, 0.2, 0.1, 0.6, 0.3], [0.8, 0.4, 0.9, 0.3, 0.1, 0.7]


def method(**options):
    return make_two(CoTeachingPlus, 6, 2, **options)


def batch(first=FIRST, second=SECOND):
    p = torch.tensor([first, second]).T
    images = torch.stack([p, 1 - p], dim=2).log().requires_grad_()
    return Batch(images, torch.zeros(len(p), dtype=torch.int64), torch.arange(len(p)))


@pytest.fixture
def logged(monkeypatch):
    """What was logged, by a method that is asked alone."""
    terms = {}
    monkeypatch.setattr(CoTeachingPlus, "log_term", lambda self, name, value, _: terms.update({name: value.item()}))
    return terms


def reference(candidates, count):
    """Loss and its slope for the label's logits ``[sample, network]``, by plain Python."""
    p = np.array([FIRST, SECOND], dtype=np.float64)
    chosen = [sorted(candidates, key=lambda i, own=own: -p[own, i])[:count] for own in (0, 1)]
    slope = np.zeros((6, 2))
    loss = 0.0
    for own in (0, 1):
        for i in chosen[1 - own]:
            loss -= math.log(p[own, i]) / count
            slope[i, own] = (p[own, i] - 1) / count
    return loss, slope


@pytest.mark.parametrize(
    ("epoch", "forget_rate", "candidates", "count", "kept"),
    [
        (10, 0.5, [1, 2, 4, 5], 2, 2 / 6),
        (10, 0.25, [1, 2, 4, 5], 3, 3 / 6),
        (10, 0.95, [1, 2, 4, 5], 1, 1 / 6),  # at least one
        (3, 0.5, range(6), 5, 5 / 6),  # of the warm-up: all are candidates, R = .85
    ],
)
def test_each_learns_what_the_other_finds_easy_where_they_disagree(
    logged, monkeypatch, epoch, forget_rate, candidates, count, kept
):
    monkeypatch.setattr(CoTeachingPlus, "current_epoch", epoch)
    given = batch()
    loss = method(forget_rate=forget_rate, warmup_epochs=5).training_loss(given)
    expected, slope = reference(candidates, count)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, given.images)
    np.testing.assert_allclose(gradient[:, :, 0], slope, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient[:, :, 1], -slope, rtol=1e-4, atol=1e-6)
    assert logged == pytest.approx({"kept": kept, "disagreement": 4 / 6})


def test_a_batch_that_both_agree_about_is_one_of_the_warm_up(logged, monkeypatch):
    monkeypatch.setattr(CoTeachingPlus, "current_epoch", 10)
    losses = [
        method(forget_rate=0.5, warmup_epochs=epochs).training_loss(batch(FIRST, FIRST)).item() for epochs in (0, 20)
    ]
    assert losses == pytest.approx([-2 * (math.log(0.9) + math.log(0.7) + math.log(0.6)) / 3] * 2, rel=1e-5)
    assert logged == {"kept": 0.5, "disagreement": 0.0}


@pytest.mark.parametrize("options", [{"warmup_epochs": -1}, {"forget_rate": 1.0}, {"ramp_epochs": 0}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_a_run_learns_from_disagreement(digits):
    arguments = ("method=co_teaching_plus", "method.forget_rate=0.4", "noise.rate=0.4", "optimizer.lr=0.05")
    outcome = digits(*arguments, "trainer.max_epochs=6", "method.ramp_epochs=1")
    assert outcome.code == 0, outcome.err
    assert outcome.result["config"]["method"]["warmup_epochs"] == 2
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    kept, differ = table["train/kept"], table["train/disagreement"]
    assert kept[:2].tolist() == pytest.approx([1, 0.6], abs=0.01)
    np.testing.assert_allclose(kept[2:], 0.6 * differ[2:], atol=0.01)
    assert differ.iloc[-1] > 0.1
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
