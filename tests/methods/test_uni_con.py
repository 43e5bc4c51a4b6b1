"""UniCon: the division by divergence, alike in all classes, the contrast, and a step."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import nn

from lnl.data import Batch
from lnl.methods import UniCon
from lnl.methods.functional import contrastive_loss
from tests.conftest import above_chance, weights
from tests.methods.made import make, samples


def test_the_contrast_by_hand():
    """Of each of six vectors: minus the log of its other view's share among the five others."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    rows = np.concatenate([first, second])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    terms = []
    for i in range(6):
        others = [np.exp(rows[i] @ rows[j] / 0.3) for j in range(6) if j != i]
        terms.append(-np.log(np.exp(rows[i] @ rows[(i + 3) % 6] / 0.3) / sum(others)))
    found = contrastive_loss(torch.from_numpy(first), torch.from_numpy(second), 0.3)
    assert found.item() == pytest.approx(np.mean(terms), rel=1e-5)


class Scaled(nn.Module):
    """Logits are the image times the network's number, through a linear layer that changes nothing."""

    def __init__(self, number):
        super().__init__()
        self.number = number
        self.last = nn.Linear(3, 3, bias=False)
        nn.init.eye_(self.last.weight)

    def forward(self, images):
        return self.last(images[:, 0, 0] * self.number)


def method(count=8, **options):
    numbers = iter([1, 2])
    made = make(UniCon, count, 3, lambda: Scaled(next(numbers)), **options)
    made.log_term = lambda *_: None
    return made


@pytest.mark.parametrize("d_mu", [0.1, 1.0])
def test_each_class_has_equally_many_labelled(d_mu):
    """Against SciPy's divergence of whole distributions, and the paper's cutoff."""
    rng = np.random.default_rng(1)
    p, labels = rng.dirichlet([0.5] * 3, 60), rng.integers(0, 3, 60)
    d = np.array([jensenshannon(np.eye(3)[y], q, base=2) ** 2 for q, y in zip(p, labels, strict=True)])
    cutoff = d.mean() - (d.mean() - d.min()) / 5 if d.mean() > d_mu else d.mean()
    each = int((d < cutoff).sum() / 3)
    made = method(60, d_mu=d_mu)
    given, index = torch.from_numpy(labels), torch.arange(60)
    labelled = made.divide(index, torch.from_numpy(p).float().gather(1, given[:, None])[:, 0], given).numpy()
    for y in range(3):
        own = np.flatnonzero(labels == y)
        assert set(own[labelled[own]]) == set(own[np.argsort(d[own])[:each]])
    nats = d * np.log(2)
    np.testing.assert_allclose(made.right, np.where(nats < 0.5, 1, 1 - nats), atol=1e-6)


def test_a_certain_label_and_an_impossible_one_are_no_nan():
    made = method(4, samples=samples(4, 3, given=[0, 0, 1, 1]))
    labelled = made.divide(torch.arange(4), torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([0, 0, 1, 1]))
    assert made.right.tolist() == pytest.approx([1, 1 - np.log(2)] * 2)
    assert labelled.tolist() == [False] * 4  # two thirds of a sample of each of three classes


def test_all_samples_replace_an_empty_part(monkeypatch):
    made = method(4, warmup_epochs=0, samples=samples(4, 3, given=[0, 0, 1, 1]))
    p = torch.full((4, 3), 1 / 3)
    monkeypatch.setattr(made, "over_training_set", lambda function: (torch.arange(4), p))
    asked = []
    monkeypatch.setattr(made, "endless", lambda part, stream, size, views: asked.append((stream, size, part.tolist())))
    made._trainer = SimpleNamespace(datamodule=SimpleNamespace(batch_size=8))
    assert made.training_set(0).tolist() == [0, 1, 2, 3]
    assert asked == [(stream, size, [0, 1, 2, 3]) for stream, size in enumerate((4, 8, 4))]


def test_there_are_more_unlabelled_samples_in_a_step_where_few_are_labelled(monkeypatch):
    """A third of the samples is labelled: 8 of them and 8 / (2 / 3) others, of each network."""
    made = method(12, warmup_epochs=0, samples=samples(12, 3, given=[0, 1, 2] * 4))
    monkeypatch.setattr(made, "over_training_set", lambda function: (torch.arange(12), torch.eye(3).repeat(4, 1)))
    monkeypatch.setattr(made, "divide", lambda index, p, labels: index < 4)
    asked = []
    monkeypatch.setattr(made, "endless", lambda part, stream, size, views: asked.append((size, len(part))))
    made._trainer = SimpleNamespace(datamodule=SimpleNamespace(batch_size=8))
    assert len(made.training_set(0)) == 4
    assert asked == [(12, 8), (8, 4), (12, 8)]


def test_a_step_by_hand():
    torch.manual_seed(0)
    made = method(warmup_epochs=0, lambda_u=3.0, lambda_c=0.4, contrast_temperature=0.3, ramp_epochs=4)
    made.progress = 1.0
    made.mixup = lambda batch, classes: batch
    made.right[:2] = torch.tensor([1.0, 0.25])
    images = torch.randn(4, 4, 1, 1, 3)  # samples, views: two weak ones, two strong ones
    labelled, other = (
        Batch(part[:, 0], torch.tensor(labels), torch.tensor(index), tuple(part.unbind(1)))
        for part, labels, index in ((images[:2], [2, 1], [0, 1]), (images[2:], [0, 0], [2, 3]))
    )
    loss = made.semi_supervised_loss(1, labelled, other)  # the network whose logits are twice the image

    x = images[:, :, 0, 0].double()
    p_first, p_second = x.softmax(-1), (2 * x).softmax(-1)
    one_hot = torch.eye(3).double()

    def power(p):
        return p**2 / (p**2).sum(-1, keepdim=True)

    targets = [power(one_hot[2]), power(0.25 * one_hot[1] + 0.75 * p_second[1, :2].mean(0))]
    targets += [power((p_first[i, :2].mean(0) + p_second[i, :2].mean(0)) / 2) for i in (2, 3)]
    supervised = -sum((targets[i] * p_second[i, v].log()).sum() for i in (0, 1) for v in (2, 3)) / 4
    squared = sum(((p_second[i, v] - targets[i]) ** 2).sum() for i in (2, 3) for v in (2, 3)) / (4 * 3)
    balance = (1 / 3 * ((1 / 3) / p_second[:, 2:].mean((0, 1))).log()).sum()
    layer, rows = made.projectors[1][0], []
    for v in (2, 3):
        pair = torch.stack([layer.weight.double() @ (2 * x[i, v]) + layer.bias.double() for i in (2, 3)])
        for row in (pair - pair.mean(0)) / (pair.var(0, unbiased=False) + 1e-5).sqrt():
            rows.append(row / row.norm())
    terms = []
    for i in range(4):
        shares = torch.stack([(rows[i] @ rows[j] / 0.3).exp() for j in range(4) if j != i])
        terms.append(-((rows[i] @ rows[(i + 2) % 4] / 0.3).exp() / shares.sum()).log())
    expected = supervised + 3 / 4 * squared + balance + 0.4 * sum(terms) / 4
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    loss.backward()
    assert made.projectors[1][0].weight.grad.abs().sum() > 0
    assert made.networks[0].last.weight.grad is None


@pytest.mark.parametrize(
    "options",
    [{"d_mu": 1.1}, {"tau": 0.5}, {"temperature": 0}, {"lambda_u": -1}, {"lambda_c": -1}, {"contrast_temperature": 0}],
)
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_a_run_learns_and_tells_right_labels_from_wrong_ones(digits):
    settings = ("model=cnn", "noise.rate=0.4", "optimizer.lr=0.05", "data.batch_size=64", "augment@views.strong=none")
    outcome = digits("method=unicon", *settings, "method.ramp_epochs=2", "trainer.max_epochs=4")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
    noise, right = np.load(outcome.folder / "noise.npz"), weights(outcome.folder)["right"].numpy()
    train = right > 0
    wrong = noise["noisy_labels"] != noise["clean_labels"]
    assert right[train & ~wrong].mean() > right[train & wrong].mean() + 0.1
