"""Self-training: how samples are divided, a step by hand, and whole runs on digits."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lnl.data import Batch
from lnl.methods import SelfTraining
from tests.conftest import above_chance, weights
from tests.methods.made import make

PLAIN = ("trainer.max_epochs=6", "noise.rate=0.4", "model=mlp_1x512", "optimizer.lr=0.05")
RUN = ("method=self_training", "method.warmup_epochs=2", *PLAIN)


@pytest.fixture(autouse=True)
def without_a_trainer(monkeypatch):
    """Nothing is logged where a method is asked alone."""
    log = SelfTraining.log_term
    monkeypatch.setattr(SelfTraining, "log_term", lambda self, *args: self._trainer and log(self, *args))


def method(**options):
    """Its logits are the images."""
    return make(SelfTraining, 8, 3, nn.Flatten, warmup_epochs=0, **options)


def batch(seed, scale=3.0):
    images = scale * torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(seed))
    views = tuple(view.requires_grad_() for view in images)
    return Batch(views[0], torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([7, 1, 5, 0, 3, 2]), views)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("threshold", [0.95, 0.6])
def test_a_step_by_hand(seed, threshold):
    """Samples 7, 1 and 5 keep their label: w is above 0.7. The others have one where the weak view is sure enough."""
    made = method(clean_probability=0.7, threshold=threshold, lambda_u=2.0)
    made.right.copy_(torch.tensor([0.7, 0.9, 0.1, 0.0, 0.0, 0.71, 0.0, 1.0]))
    given = batch(seed)
    loss = made.training_loss(given)
    z = [view.detach().numpy().astype(float) for view in given.views]
    p = [np.exp(view) / np.exp(view).sum(axis=1, keepdims=True) for view in z]
    total, weak, strong, guesses = 0.0, np.zeros((6, 3)), np.zeros((6, 3)), 0
    for i, label in enumerate(given.labels.tolist()):
        best = int(np.argmax(p[0][i]))
        if i < 3:
            total -= np.log(p[0][i][label])
            weak[i] = p[0][i] - np.eye(3)[label]
        elif p[0][i][best] >= threshold:
            total -= 2.0 * np.log(p[1][i][best])
            strong[i] = 2.0 * (p[1][i] - np.eye(3)[best])
            guesses += 1
    assert loss.item() == pytest.approx(total / 6, rel=1e-5)
    gradients = torch.autograd.grad(loss, given.views)
    for found, expected in zip(gradients, (weak, strong), strict=True):
        np.testing.assert_allclose(found.numpy(), expected / 6, rtol=1e-4, atol=1e-6)
    assert guesses or threshold > 0.9


def test_a_batch_without_any_label_is_no_step():
    made = method(threshold=1.0)
    made.right.zero_()
    given = batch(0, scale=0.1)
    loss = made.training_loss(given)
    assert loss.item() == 0
    assert all((gradient == 0).all() for gradient in torch.autograd.grad(loss, given.views))


def test_small_losses_keep_their_label(monkeypatch):
    made = method()
    losses = torch.tensor([0.1, 2.0, 0.15, 2.1, 0.05, 1.9, 0.12, 2.0])
    monkeypatch.setattr(made, "over_training_set", lambda function: (torch.arange(8), losses))
    assert made.training_set(0) is None
    assert (made.right > 0.5).tolist() == [True, False] * 4


def test_the_warm_up_is_the_baseline(monkeypatch):
    made = make(SelfTraining, 8, 3, nn.Flatten, warmup_epochs=1)
    monkeypatch.setattr(made, "over_training_set", lambda function: pytest.fail("nothing is divided yet"))
    assert made.training_set(0) is None
    given = batch(0)
    expected = nn.functional.cross_entropy(given.images, given.labels)
    torch.testing.assert_close(made.training_loss(given), expected)


@pytest.mark.parametrize(
    "options", [{"threshold": 1.1}, {"clean_probability": 1.0}, {"lambda_u": -1.0}, {"warmup_epochs": -1}]
)
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        make(SelfTraining, 2, 2, **options)


def test_a_run_divides_the_labels_and_learns_more_than_the_baseline(digits):
    outcome = digits(*RUN)
    assert outcome.code == 0, outcome.err
    folder, tested = outcome.folder, outcome.result["protocol"]["last"]["test"]["accuracy"]
    table = pd.read_csv(folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert (table["train/visited"] == 1).all()
    assert table["train/labelled"].iloc[2:].between(0.3, 0.9).all()
    noise = np.load(folder / "noise.npz")
    right = noise["noisy_labels"] == noise["clean_labels"]
    believed = weights(folder)["right"].numpy()
    train = believed != 1  # validation samples have their first value
    assert ((believed > 0.5) == right)[train].mean() > above_chance(train.sum(), classes=2)
    other = next(path for path in digits(*PLAIN).folders if path != folder)
    plain = json.loads((other / "result.json").read_text())["protocol"]["last"]["test"]["accuracy"]
    assert tested > plain
