"""Meta Label Correction: the corrector, its gradient through the virtual step, the loss, and a whole run on digits."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lnl.data import Batch
from lnl.methods import MetaLabelCorrection
from tests.conftest import above_chance, weights
from tests.methods.made import assert_gradients, make

RATE = 0.7


@pytest.fixture
def method(monkeypatch):
    torch.manual_seed(0)
    made = make(MetaLabelCorrection, 12, 3, network, label_dim=2, hidden=4, virtual_lr=RATE).double()
    monkeypatch.setattr(MetaLabelCorrection, "log_term", lambda *_: None)
    return made


def network():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def batches():
    rng = np.random.default_rng(0)
    return [
        Batch(torch.from_numpy(rng.normal(size=(count, 4))), torch.from_numpy(rng.integers(0, 3, count)), index)
        for count, index in ((6, torch.arange(6)), (5, torch.arange(6, 11)))
    ]


def corrected(method, features, labels):
    """g, by hand."""
    first, second, last = (layer for layer in method.corrector.layers if isinstance(layer, nn.Linear))
    rows = []
    for h, label in zip(features, labels, strict=True):
        x = torch.cat([h, method.corrector.embedding[label]])
        x = torch.tanh(first.weight @ x + first.bias)
        z = last.weight @ torch.tanh(second.weight @ x + second.bias) + last.bias
        rows.append(z.exp() / z.exp().sum())
    return torch.stack(rows)


def losses(parameters, images):
    """Minus the log probabilities of the network with these parameters, and its features."""
    w1, b1, w2, b2 = parameters
    features = torch.tanh(F.linear(images, w1, b1))
    return -F.linear(features, w2, b2).log_softmax(dim=1), features


def training_objective(method, parameters, noisy, trusted):
    """The mean over six corrected labels and the two last trusted ones of five."""
    by_label, features = losses(parameters, noisy.images)
    of_noisy = (corrected(method, features.detach(), noisy.labels).detach() * by_label).sum(dim=1)
    of_trusted = losses(parameters, trusted.images[3:])[0].gather(1, trusted.labels[3:, None])[:, 0]
    return torch.cat([of_noisy, of_trusted]).mean()


def test_a_step_by_finite_differences(method):
    """The corrector descends on three trusted samples' loss after the step; the model on the old corrector's labels."""
    noisy, trusted = batches()
    before = {name: value.clone() for name, value in method.model.state_dict().items()}
    parameters = [value.detach().clone().requires_grad_() for value in method.model.parameters()]
    expected = training_objective(method, parameters, noisy, trusted)
    seen, taken = [], []
    method.listeners.append(lambda index, logits: seen.append(index))
    method.inner["corrector"].step = lambda: taken.append([p.grad.clone() for p in method.corrector.parameters()])
    method.streams[0] = iter([trusted])
    loss = method.training_loss(noisy)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    assert torch.cat(seen).tolist() == [0, 1, 2, 3, 4, 5, 9, 10]
    found = torch.autograd.grad(loss, list(method.model.parameters()), retain_graph=True)
    torch.testing.assert_close(list(found), list(torch.autograd.grad(expected, parameters)), rtol=1e-10, atol=1e-14)

    def meta_loss():
        steps = torch.autograd.grad(training_objective(method, parameters, noisy, trusted), parameters)
        moved = [value - RATE * step for value, step in zip(parameters, steps, strict=True)]
        return F.nll_loss(-losses(moved, trusted.images[:3])[0], trusted.labels[:3]).item()

    assert_gradients(method.corrector, taken.pop(), meta_loss, atol=1e-9)
    assert not taken
    torch.testing.assert_close(method.model.state_dict(), before, rtol=0, atol=0)


def test_the_loss_has_no_gradient_for_the_corrector(method):
    noisy, trusted = batches()
    method.streams[0] = iter([trusted])
    before = method.corrector.embedding.detach().clone()
    loss = method.training_loss(noisy)
    assert not torch.equal(method.corrector.embedding, before)  # it has made its own step
    grads = torch.autograd.grad(loss, list(method.corrector.parameters()), allow_unused=True)
    assert grads == (None,) * len(grads)


def test_soft_labels_are_embedded_in_parts(method):
    features = torch.randn(2, 5, dtype=torch.float64)
    whole = method.corrector(features, torch.tensor([0, 2]))
    torch.testing.assert_close(method.corrector(features, torch.eye(3).double()[[0, 2]]), whole)
    torch.testing.assert_close(whole, corrected(method, features, torch.tensor([0, 2])))


@pytest.mark.parametrize("options", [{"label_dim": 0}, {"hidden": 0}, {"virtual_lr": 0.0}, {"trusted_batch_size": 1}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        make(MetaLabelCorrection, 12, 3, network, **options)


def test_a_run_trains_the_corrector_apart_and_learns(digits):
    options = ("data.trusted=100", "noise.rate=0.4", "trainer.max_epochs=4", "optimizer.lr=0.05", "method.lr=0.003")
    outcome = digits("method=mlc", *options, "model=mlp_1x512", "data.batch_size=64")
    assert outcome.code == 0, outcome.err
    checkpoint = torch.load(outcome.folder / "checkpoints/last.ckpt", weights_only=True)
    (group,) = checkpoint["optimizer_states"][0]["param_groups"]
    networks = [
        name for name in weights(outcome.folder) if name.startswith("model.") and name.endswith(("weight", "bias"))
    ]
    assert len(group["params"]) == len(networks)
    steps = {state["step"].item() for state in checkpoint["inner"]["corrector"]["state"].values()}
    assert steps == {checkpoint["global_step"]}
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert table["train/label_kept"].between(0, 1).all()
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
