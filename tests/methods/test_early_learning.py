"""ELR: two steps on one sample, worked out by hand, and whole runs on digits."""

import json
import math

import pytest
import torch

from lnl.data import Batch
from lnl.methods import EarlyLearningRegularization
from tests.conftest import weights
from tests.methods.made import make


@pytest.fixture(autouse=True)
def without_a_trainer(monkeypatch):
    """Nothing is logged where a method is asked alone."""
    log = EarlyLearningRegularization.log_term
    monkeypatch.setattr(EarlyLearningRegularization, "log_term", lambda self, *args: self._trainer and log(self, *args))


def method(**options):
    return make(EarlyLearningRegularization, 5, 2, torch.nn.Flatten, **options)


def test_two_steps_by_hand():
    """beta .7, lambda 3; the predictions (.8, .2), then (.6, .4), for sample 3, which is labelled 1 at last.

    Targets: .3 (.8, .2) = (.24, .06), then .7 (.24, .06) + .3 (.6, .4) = (.348, .162). With p they give .204, .2736.
    """
    elr, index = method(), torch.tensor([3])
    first = elr.training_loss(Batch(torch.tensor([[0.8, 0.2]]).log(), torch.tensor([0]), index))
    assert first.item() == pytest.approx(-math.log(0.8) + 3 * math.log(1 - 0.204), abs=1e-6)
    images = torch.tensor([[0.6, 0.4]]).log().requires_grad_()
    second = elr.training_loss(Batch(images, torch.tensor([1]), index))
    assert second.item() == pytest.approx(-math.log(0.4) + 3 * math.log(1 - 0.2736), abs=1e-6)
    torch.testing.assert_close(elr.targets, torch.tensor([[0.0, 0.0]] * 3 + [[0.348, 0.162]] + [[0.0, 0.0]]))
    (gradient,) = torch.autograd.grad(second, images)
    pull = 3 * 0.6 * (0.2736 - 0.348) / (1 - 0.2736)  # p - y and, of the second term, 3 p (<t, p> - t) / (1 - <t, p>)
    torch.testing.assert_close(gradient, torch.tensor([[0.6 + pull, -0.6 - pull]]))
    assert 0.18 < -pull < 0.19  # against the label


def test_a_model_that_is_sure_of_itself_has_a_loss():
    """p is (1 - 1e-4, 1e-4) at most, and with beta 0 the target too: 1 - <t, p> = 2e-4 - 2e-8."""
    sure = Batch(torch.tensor([[1000.0, -1000.0]]), torch.tensor([0]), torch.tensor([0]))
    assert method(beta=0.0, weight=1.0).training_loss(sure).item() == pytest.approx(math.log(2e-4 - 2e-8), abs=1e-3)


@pytest.mark.parametrize("options", [{"beta": 1.0}, {"beta": -0.1}, {"weight": -1.0}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_without_its_second_term_it_is_the_baseline(digits):
    baseline = digits().folder
    elr = next(folder for folder in digits("method=elr", "method.weight=0").folders if folder != baseline)
    samples = json.loads((elr / "result.json").read_text())["data"]["train"]
    state = weights(elr)
    targets = state.pop("targets")
    torch.testing.assert_close(state, weights(baseline), rtol=0, atol=0)
    total = targets.sum(dim=1)  # of two epochs
    torch.testing.assert_close(total[total > 0], torch.full((samples,), 1 - 0.7**2))


@pytest.mark.slow
def test_two_processes_have_the_targets_of_one(digits):
    common = ("method=elr", "model=mlp_1x512", "data.subset=401", "trainer.accelerator=cpu", "optimizer.lr=0.05")
    one = digits(*common, "paths.output_dir=one").folder
    outcome = digits(*common, "paths.output_dir=two", "trainer.devices=2", "trainer.strategy=ddp")
    assert outcome.code == 0, outcome.err
    two = next(folder for folder in outcome.folders if folder != one)
    torch.testing.assert_close(weights(two), weights(one), rtol=1e-3, atol=1e-5)
    assert (weights(two)["targets"].sum(dim=1) > 0).sum() == 401
