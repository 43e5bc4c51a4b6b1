"""T-Revision: its weights and gradients in float64, and a whole run on digits."""

import numpy as np
import pandas as pd
import pytest
import torch

from lnl.data import Batch
from lnl.methods import TRevision
from tests.conftest import above_chance, weights
from tests.methods.made import make

T = np.array([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.3, 0.1, 0.6]])
CHANGE = np.array([[0.05, -0.1, 0.02], [0.0, 0.03, 0.0], [-0.2, 0.01, 0.1]])
LOGITS = np.random.default_rng(0).normal(0, 2, (5, 3))
LABELS = np.array([0, 1, 2, 2, 0])


def method(revising, change=CHANGE):
    made = make(TRevision, 5, 3).double()
    made.transition.copy_(torch.from_numpy(T))
    made.on_train_epoch_start()
    made.revision.data.copy_(torch.from_numpy(change))
    made.revising = revising
    return made


def by_hand(logits, transition):
    """w and the loss w (-log p_y) of each sample."""
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    importance = [row[y] / sum(row[i] * transition[i, y] for i in range(3)) for row, y in zip(p, LABELS, strict=True)]
    return np.array(importance), importance * -np.log(p[np.arange(5), LABELS])


def step(made):
    images = torch.from_numpy(LOGITS).requires_grad_()
    loss = made.training_loss(Batch(images, torch.from_numpy(LABELS), torch.arange(5)))
    return loss.item(), *(gradient.numpy() for gradient in torch.autograd.grad(loss, [images, made.revision]))


def test_samples_count_by_importance_which_has_no_gradient_before_the_revision():
    loss, gradient, _ = step(method(revising=False, change=np.zeros((3, 3))))
    importance, losses = by_hand(LOGITS, T)
    assert loss == pytest.approx(losses.mean(), rel=1e-12)
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(gradient, importance[:, None] * (p - np.eye(3)[LABELS]) / 5, rtol=1e-10, atol=1e-14)


def test_the_revision_has_the_gradient_of_the_whole_by_finite_differences():
    loss, gradient, of_change = step(method(revising=True))
    assert loss == pytest.approx(by_hand(LOGITS, T + CHANGE)[1].mean(), rel=1e-12)
    for place in np.ndindex(3, 3):
        bump = np.zeros((3, 3))
        bump[place] = 1e-6
        ends = [by_hand(LOGITS, T + CHANGE + sign * bump)[1].mean() for sign in (1, -1)]
        assert of_change[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-9)
    for place in np.ndindex(5, 3):
        bump = np.zeros((5, 3))
        bump[place] = 1e-6
        ends = [by_hand(LOGITS + sign * bump, T + CHANGE)[1].mean() for sign in (1, -1)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-9)


def test_stages_take_what_is_left_and_only_the_last_one_trains_the_revision():
    made = make(TRevision, 5, 3, torch.nn.Flatten, stage1_epochs=2, revision_epochs=3)
    assert [(stage.epochs, bool(stage.fresh)) for stage in made.stages(9)] == [(2, False), (4, False), (3, False)]
    told = make(TRevision, 5, 3, transition=True, revision_epochs=3)
    assert [stage.epochs for stage in told.stages(9)] == [6, 3]
    assert told.oracles == ["transition"]
    assert not made.parameter_groups()[0]["params"]


@pytest.mark.parametrize("options", [{"revision_epochs": 0}, {"revision_lr": -1.0}, {"revision_weight_decay": -1.0}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        make(TRevision, 5, 3, **options)


def test_a_run_revises_t_and_learns(digits):
    stages = ("method.stage1_epochs=2", "method.revision_epochs=1", "method.revision_lr=1e-3")
    options = ("noise.rate=0.4", "trainer.max_epochs=6", "optimizer.lr=0.05", "method.percentile=0.95")
    outcome = digits("method=t_revision", *stages, *options)
    assert outcome.code == 0, outcome.err
    first, second, last = (weights(outcome.folder, name) for name in ("stage1", "stage2", "last"))
    assert torch.equal(first["transition"], torch.eye(10))
    assert not torch.equal(second["transition"], torch.eye(10))
    assert not second["revision"].any()
    assert torch.equal(last["start"], second["transition"])
    torch.testing.assert_close(last["transition"], last["start"] + last["revision"])
    checkpoint = torch.load(outcome.folder / "checkpoints/last.ckpt", weights_only=True)
    (group,) = checkpoint["optimizer_states"][0]["param_groups"]
    assert (group["lr"], group["weight_decay"], "betas" in group) == (1e-3, 1e-4, True)
    moved = last["revision"].abs().max().item()
    assert 0 < moved < 0.1  # 5 steps of Adam, of 1e-3 at first
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    believed = np.load(outcome.folder / "transition.npz")["believed"]
    np.testing.assert_allclose(believed, last["transition"], atol=1e-6)
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
