"""SOP and SOP+: two steps against one sample at a time and torch's SGD, a gradient by hand, whole runs on digits."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn

from lnl.data import Batch
from lnl.methods import SOP, SOPPlus
from tests.conftest import above_chance, weights
from tests.methods.made import make

K = 3


@pytest.fixture(autouse=True)
def without_a_trainer(monkeypatch):
    """Nothing is logged where a method is asked alone."""
    log = SOP.log_term
    monkeypatch.setattr(SOP, "log_term", lambda self, *args: self._trainer and log(self, *args))


def drawn(seed, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def method(kind, **options):
    """In float64, with u and v some of whose squares are above 1."""
    torch.manual_seed(0)
    made = make(kind, 6, K, lambda: nn.Linear(4, K), **options).double()
    made.u.copy_(drawn(1, 6, 1, scale=0.7))
    made.v.copy_(drawn(2, 6, K, scale=0.7))
    made.u[4], made.v[1, 0] = 1.2, -1.1
    return made


def batches(views):
    for seed, index in ((3, [4, 1, 3]), (4, [1, 0, 5])):
        images = tuple(drawn(10 * seed + view, 3, 4, scale=2.0) for view in range(views))
        yield Batch(images[0], torch.tensor([0, 2, 1]), torch.tensor(index), images)


def loss_by_hand(network, u, v, batch, consistency, balance):
    """A sample and a class at a time, with u and v of all samples as parameters."""
    total, tilde = 0.0, []
    for place, (i, y) in enumerate(zip(batch.index.tolist(), batch.labels.tolist(), strict=True)):
        p = network(batch.images[place]).softmax(0)
        first = int(p.argmax())
        squares = [u[i, 0] ** 2 if k == y else v[i, k] ** 2 for k in range(K)]
        squares = [square if square < 1 else torch.ones((), dtype=torch.float64) for square in squares]
        moved = [p[k] + squares[k] if k == y else p[k] - squares[k].detach() for k in range(K)]
        moved = [value if value > 1e-4 else torch.full((), 1e-4, dtype=torch.float64) for value in moved]
        whole = sum(moved)
        shares = [value / whole for value in moved]
        tilde.append([share if share > 1e-4 else torch.full((), 1e-4, dtype=torch.float64) for share in shares])
        total = total - torch.log(tilde[-1][y])
        for k in range(K):
            noise = squares[k] if k == y else -squares[k]
            total = total + (float(k == first) + noise - float(k == y)) ** 2
        if consistency:
            target, strong = p.detach(), network(batch.views[1][place]).softmax(0)
            total = total + consistency * sum(target[k] * torch.log(target[k] / strong[k]) for k in range(K))
    total = total / len(batch)
    mean = [sum(row[k] for row in tilde) / len(tilde) for k in range(K)]
    return total + balance * sum(-torch.log(mean[k]) / K for k in range(K))


@pytest.mark.parametrize(("kind", "consistency", "balance"), [(SOP, 0, 0), (SOPPlus, 0.9, 0.1), (SOPPlus, 0, 2.0)])
def test_two_steps_are_those_of_sgd_on_all_of_u_and_v(kind, consistency, balance):
    ratios = {"ratio_consistency": consistency, "ratio_balance": balance} if kind is SOPPlus else {}
    sop = method(kind, lr_u=0.5, lr_v=2.0, **ratios)
    network = nn.Linear(4, K).double()
    network.load_state_dict(sop.model.state_dict())
    u, v = nn.Parameter(sop.u.clone()), nn.Parameter(sop.v.clone())
    ours = torch.optim.SGD(sop.parameters(), lr=0.3)
    theirs = torch.optim.SGD(
        [{"params": [u], "lr": 0.5}, {"params": [v], "lr": 2.0}, {"params": network.parameters(), "lr": 0.3}]
    )
    before = sop.u.clone(), sop.v.clone()
    for batch in batches(2 if kind is SOPPlus else 1):
        ours.zero_grad()
        theirs.zero_grad()
        loss, expected = sop.training_loss(batch), loss_by_hand(network, u, v, batch, consistency, balance)
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)  # p is taken in float32
        loss.backward()
        expected.backward()
        ours.step()
        theirs.step()
        for found, parameter in ((sop.u, u), (sop.v, v), (sop.model.weight, network.weight)):
            torch.testing.assert_close(found.detach(), parameter.detach(), rtol=1e-5, atol=1e-6)
    pairs = zip((sop.u, sop.v), before, strict=True)
    changed = [(now != then).any(dim=1).nonzero()[:, 0].tolist() for now, then in pairs]
    assert changed == [[0, 1, 3, 5], [0, 1, 3, 4, 5]]  # 2 was not in a batch, and the square of u_4 is above 1


def test_the_gradients_of_one_sample_by_hand():
    """p = (.6, .3, .1), the label 2, u = .5, v = (.2, .1, .3); e is one-hot at 0.

    p + s is (.56, .29, .35), of sum 1.2. The first loss is -log(.35 / 1.2), with the slope 2u (1 / 1.2 - 1 / .35) in u.
    The second one is (1 - .04)^2 + .01^2 + (.25 - 1)^2, with slopes 4u (u^2 - 1), -4 v_0 (1 - .04) and 4 v_1^3.
    """
    sop = make(SOP, 1, 3, nn.Flatten, lr_u=1.0, lr_v=1.0)
    sop.u[0, 0], sop.v[0] = 0.5, torch.tensor([0.2, 0.1, 0.3])
    images = torch.tensor([[0.6, 0.3, 0.1]]).log().requires_grad_()
    loss = sop.training_loss(Batch(images, torch.tensor([2]), torch.tensor([0])))
    assert loss.item() == pytest.approx(-math.log(0.35 / 1.2) + 0.96**2 + 0.01**2 + 0.75**2, abs=1e-6)
    assert sop.u.item() == pytest.approx(0.5 - (1 / 1.2 - 1 / 0.35) - 2 * (0.25 - 1), abs=1e-5)
    expected = [0.2 + 0.8 * 0.96, 0.1 - 4 * 0.1**3, 0.3]  # v of the label has no part
    assert sop.v[0].tolist() == pytest.approx(expected, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, images)  # p (1 / 1.2 - y / .35) through the softmax
    a = torch.tensor([1 / 1.2, 1 / 1.2, 1 / 1.2 - 1 / 0.35])
    p = torch.tensor([0.6, 0.3, 0.1])
    torch.testing.assert_close(gradient[0], p * (a - (p * a).sum()), rtol=1e-4, atol=1e-5)


def test_a_process_with_part_of_a_step_counts_that_part():
    """The loss of a step is the mean over its processes, so the gradient of a sample is its share of the batch's."""
    whole, part = method(SOP, lr_u=0.5, lr_v=2.0), method(SOP, lr_u=0.5, lr_v=2.0)
    start, batch = part.v.clone(), next(batches(1))
    whole.training_loss(batch)
    part.training_loss(replace(batch, share=0.25))
    torch.testing.assert_close(part.v - start, (whole.v - start) / 4)


def test_a_label_that_is_contradicted_is_absorbed():
    """The network is sure of 0, the label is 1: u and v_0 go to 1, and nothing is left for the network to learn."""
    sop, images = make(SOP, 2, 2, nn.Flatten), torch.tensor([[5.0, -5.0]] * 2).requires_grad_()
    assert sop.u.abs().max() < 1e-6
    for _ in range(60):
        loss = sop.training_loss(Batch(images, torch.tensor([1, 0]), torch.tensor([0, 1])))
    assert sop.u[0].square().item() >= 1
    assert sop.v[0, 0].square().item() >= 1
    assert sop.u[1].abs().item() < 1e-3
    assert loss.item() < 1e-3
    (gradient,) = torch.autograd.grad(loss, images)
    assert gradient.abs().max() < 1e-3


@pytest.mark.parametrize("options", [{"lr_u": -1.0}, {"lr_v": -1.0}, {"ratio_consistency": -1}, {"ratio_balance": -1}])
def test_values_outside_are_refused(options):
    kind = SOPPlus if "ratio" in next(iter(options)) else SOP
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        make(kind, 2, 2, **options)


@pytest.mark.parametrize("name", ["sop", "sop_plus"])
def test_a_run_learns_and_keeps_u_and_v(digits, name):
    outcome = digits(f"method={name}", "noise.rate=0.4", "trainer.max_epochs=3", "data.batch_size=64")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
    state = weights(outcome.folder)
    assert state["u"].shape == (1438, 1)
    assert state["v"].shape == (1438, 10)
    assert (state["u"].abs() > 1e-7).any()


def test_another_loss_is_refused(digits):
    outcome = digits("method=sop", "loss=gce")
    assert "SOP does not use the one that was chosen (GeneralizedCrossEntropy)" in outcome.err


@pytest.mark.slow
def test_two_processes_have_the_u_and_v_of_one(digits):
    common = ("method=sop", "method.lr_u=2e4", "method.lr_v=1e5", "model=mlp_1x512", "data.subset=401")
    common += ("trainer.accelerator=cpu", "optimizer.lr=0.05", "noise.rate=0.4")
    one = digits(*common, "paths.output_dir=one").folder
    outcome = digits(*common, "paths.output_dir=two", "trainer.devices=2", "trainer.strategy=ddp")
    assert outcome.code == 0, outcome.err
    two = next(folder for folder in outcome.folders if folder != one)
    assert (weights(one)["u"].abs() > 1e-2).any()
    torch.testing.assert_close(weights(two), weights(one), rtol=1e-3, atol=1e-5)
