"""DivideMix: how samples are divided, and whole runs on digits."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from scipy.stats import norm
from torch import nn

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.data import Batch
from lnl.methods import DivideMix
from lnl.methods.functional import sharpen, small_loss_probability
from tests.conftest import above_chance, weights
from tests.methods.made import make

RUN = ("method=dividemix", "method.warmup_epochs=2", "method.ramp_epochs=2", "trainer.max_epochs=5", "noise.rate=0.4")


def test_a_small_loss_is_one_of_the_lower_gaussian():
    """Two Gaussians far apart: the fit finds them, and the posterior is theirs."""
    rng = np.random.default_rng(0)
    losses = np.concatenate([rng.normal(0.2, 0.02, 6000), rng.normal(0.8, 0.05, 4000)])
    found = small_loss_probability(torch.from_numpy(losses)).numpy()
    spread = np.ptp(losses)
    lower, upper = (
        share * norm(mean, np.sqrt(std**2 + 5e-4 * spread**2)).pdf(losses)  # 5e-4 is added to variances of [0, 1]
        for share, mean, std in ((0.6, 0.2, 0.02), (0.4, 0.8, 0.05))
    )
    np.testing.assert_allclose(found, lower / (lower + upper), atol=0.02)
    assert (found[:6000] > 0.5).all()
    assert (found[6000:] < 0.5).all()


def test_sharpening_is_the_power_of_the_inverse_temperature():
    p = torch.tensor([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]])
    torch.testing.assert_close(sharpen(p, 0.5), p**2 / (p**2).sum(dim=1, keepdim=True))


class Says(nn.Module):
    """A network of one parameter, whose logits are the image and which knows its number."""

    def __init__(self, number):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(float(number)))

    def forward(self, images):
        return images[:, 0] * (1 + self.shift)


def method(**options):
    numbers = iter([0, 1])
    return make(DivideMix, 8, 3, lambda: Says(next(numbers)), **options)


def test_each_network_is_given_what_the_other_one_finds(monkeypatch):
    """Sample 0 to 3 have small losses under the first network, 4 to 7 under the second."""
    mixed = method(warmup_epochs=0)
    losses = torch.tensor([[0.1, 2.0]] * 4 + [[2.0, 0.1]] * 4)
    monkeypatch.setattr(mixed, "over_training_set", lambda function: (torch.arange(8), losses))
    asked = []
    monkeypatch.setattr(mixed, "endless", lambda part, stream, views: asked.append((part.tolist(), stream, views)))
    first_labelled = mixed.training_set(0)
    assert first_labelled.tolist() == [4, 5, 6, 7]  # which the second network finds right
    views = ("weak", "weak")
    assert asked == [([0, 1, 2, 3], 0, views), ([0, 1, 2, 3], 1, views), ([4, 5, 6, 7], 2, views)]


def test_a_step_by_hand(monkeypatch):
    """Without mixing and ramp: L_x + lambda_u L_u + the divergence from equal shares, by one image at a time."""
    mixed = method(warmup_epochs=0, lambda_u=3.0, temperature=0.5)
    mixed.progress = 16.0
    monkeypatch.setattr(mixed, "mixup", lambda batch, classes: batch)
    mixed.right[:, 0] = torch.tensor([1.0, 0.25, 0, 0, 0, 0, 0, 0])
    images = torch.randn(4, 2, 1, 3, generator=torch.Generator().manual_seed(0))  # sample, view, one row of logits
    labelled = Batch(images[:2, 0], torch.tensor([2, 1]), torch.tensor([0, 1]), (images[:2, 0], images[:2, 1]))
    unlabelled = Batch(images[2:, 0], torch.tensor([0, 0]), torch.tensor([2, 3]), (images[2:, 0], images[2:, 1]))
    loss = mixed.semi_supervised_loss(0, labelled, unlabelled).double()

    z = images[:, :, 0].double()

    def power(p):
        return p**2 / (p**2).sum(-1, keepdim=True)

    p_first, p_second = z.softmax(-1), (2 * z).softmax(-1)
    one_hot = torch.eye(3).double()
    x0 = power(one_hot[2])
    x1 = power(0.25 * one_hot[1] + 0.75 * p_first[1].mean(0))
    guesses = [power((p_first[i].mean(0) + p_second[i].mean(0)) / 2) for i in (2, 3)]
    supervised = -sum((t * z[i, v].log_softmax(-1)).sum() for i, t in enumerate((x0, x1)) for v in (0, 1)) / 4
    squared = sum(((p_first[i, v] - guesses[i - 2]) ** 2).sum() for i in (2, 3) for v in (0, 1)) / (4 * 3)
    balance = (1 / 3 * ((1 / 3) / p_first.mean((0, 1))).log()).sum()
    torch.testing.assert_close(loss, supervised + 3 * squared + balance, rtol=1e-5, atol=1e-6)


# Table 7 of the paper: inclusive symmetric noise of 20, 50, 80 and 90 %, of which (K - 1) / K is wrong.
PUBLISHED = {"cifar10": (10, [0, 25, 25, 50]), "cifar100": (100, [25, 150, 150, 150])}


@pytest.mark.parametrize("data", PUBLISHED)
def test_lambda_u_is_the_published_value_for_the_noise(data):
    classes, expected = PUBLISHED[data]
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        options = compose("train", overrides=[f"data={data}", "method=dividemix"]).method
    table = options.lambda_u_by_rate
    mixed = make(DivideMix, 8, classes, nn.Identity, lambda_u=options.lambda_u, lambda_u_by_rate=table)
    for rate, value in zip((0.2, 0.5, 0.8, 0.9), expected, strict=True):
        for off in (-0.03, 0.0, 0.03):
            mixed.share = rate * (classes - 1) / classes + off
            assert mixed.by_rate(mixed.lambda_u, table) == value
    mixed.share = 0.2  # of asymmetric noise, 40 % of half of CIFAR-10's classes: 0, as the paper has it
    assert classes == 100 or mixed.by_rate("estimate", table) == 0
    assert mixed.by_rate(7.0, table) == 7


@pytest.mark.parametrize("table", [[], [[0.2]], [[1.5, 0]], [[0.2, -1]]])
def test_a_table_of_anything_else_is_refused(table):
    with pytest.raises(ValueError, match="lambda_u_by_rate must be"):
        method(lambda_u_by_rate=table)


def test_the_drawn_noise_is_an_oracle(digits):
    outcome = digits(*RUN[:-2], "noise=uniform", "noise.rate=0.8", "method.lambda_u=true", "trainer.max_epochs=3")
    assert outcome.code == 0, outcome.err
    assert outcome.result["oracle_options"] == {"lambda_u": pytest.approx(0.72)}


def test_a_run_learns_more_than_the_baseline_and_measures_what_is_memorised(digits):
    outcome = digits(*RUN)
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert table["train/visited"].iloc[:2].tolist() == [1.0, 1.0]
    noise, state = np.load(outcome.folder / "noise.npz"), weights(outcome.folder)
    right = noise["noisy_labels"] == noise["clean_labels"]
    train = state["right"].sum(dim=1).numpy() > 0
    found = state["right"][train].mean(dim=1).numpy() > 0.5
    assert (found == right[train]).mean() > above_chance(train.sum(), classes=2)
    folder, tested = outcome.folder, outcome.result["protocol"]["last"]["test"]["accuracy"]
    other = next(path for path in digits(*RUN[3:]).folders if path != folder)
    plain = json.loads((other / "result.json").read_text())["protocol"]["last"]["test"]["accuracy"]
    assert tested > plain


def test_another_loss_is_refused(digits):
    outcome = digits(*RUN, "loss=gce")
    assert outcome.code == 1
    assert "DivideMix does not use the one that was chosen (GeneralizedCrossEntropy)" in outcome.err


@pytest.mark.slow
def test_two_processes_divide_alike(digits):
    two = ("trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp", "data.batch_size=64")
    outcome = digits(*RUN, *two, "model=mlp_1x512")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)


@pytest.mark.parametrize("options", [{"threshold": 1.0}, {"temperature": 0}, {"lambda_u": -1}, {"alpha": 0}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)
