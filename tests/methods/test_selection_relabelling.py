"""SSR: who votes for what, who is selected, and a step."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lnl.data import Batch
from lnl.methods import SelectionRelabelling
from lnl.methods.functional import class_balanced, neighbour_votes
from tests.conftest import above_chance, weights
from tests.methods.made import make, samples


def test_the_nearest_vote():
    """Against one sample at a time, in float64."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 5)), rng.integers(0, 4, 60)
    votes = neighbour_votes(torch.from_numpy(features), torch.from_numpy(labels), 4, 7).numpy()
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    for i in range(60):
        nearest = sorted(range(60), key=lambda j: -rows[i] @ rows[j])[:7]
        assert nearest[0] == i
        assert votes[i].tolist() == [sum(labels[j] == c for j in nearest) for c in range(4)]


def test_every_class_has_as_many_as_the_largest():
    index, labels = torch.arange(10, 20), torch.tensor([0, 0, 0, 0, 0, 0, 2, 2, 2, 2])
    chosen = class_balanced(index, labels).tolist()
    times = Counter(chosen)
    assert len(chosen) == 12
    assert all(times[i] == 1 for i in range(10, 16))
    assert sorted(times[i] for i in range(16, 20)) == [1, 1, 2, 2]
    extra = set()
    for _ in range(50):
        times = Counter(class_balanced(index, labels).tolist())
        extra.add(tuple(sorted(i for i in times if times[i] == 2)))
    assert len(extra) == 6  # every pair is drawn


def method(count=6, **options):
    return make(SelectionRelabelling, count, 3, lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), **options)


def test_votes_count_by_the_inverse_of_a_class_size(monkeypatch):
    """Five of class 0 and three of class 1: four votes to three are fewer than 4/5 to 3/3."""
    made = method()
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1])
    votes = torch.tensor([[4.0, 3, 0]] * 8)
    monkeypatch.setattr("lnl.methods.selection_relabelling.neighbour_votes", lambda *_: votes)
    assert made.select(torch.zeros(8, 2), labels).tolist() == [False] * 5 + [True] * 3
    made.theta_s = 0.8
    assert made.select(torch.zeros(8, 2), labels).all()


def test_confident_predictions_relabel_and_agreeing_ones_are_selected(monkeypatch):
    """Samples 0 to 2 lie at one place, 3 to 5 at another; 2 has a wrong label and is relabelled, 5 is not."""
    made = method(samples=samples(6, 3, given=[0, 0, 1, 1, 1, 0]), theta_r=0.8, k=3)
    p = [[0.9, 0.05, 0.05], [0.7, 0.2, 0.1], [0.85, 0.1, 0.05], [0.1, 0.6, 0.3], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]]
    features = torch.tensor([[1.0, 0.01 * i] for i in range(3)] + [[0.01 * i, 1.0] for i in range(3)])
    seen = torch.cat([torch.tensor(p).log(), features], dim=1)
    monkeypatch.setattr(made, "over_training_set", lambda function: (torch.arange(6), seen))
    asked = {}
    monkeypatch.setattr(made, "endless", lambda part, stream, views: asked.update({stream: (part.tolist(), views)}))
    assert made.training_set(0) is None
    assert made.relabelled.tolist() == [0, 0, 0, 1, 1, 0]
    part, views = asked[0]
    assert set(part) == {0, 1, 2, 3, 4}  # 5 has two neighbours of class 1
    assert len(part) == 6
    assert views == ("strong", "strong")


def test_a_step_by_hand():
    torch.manual_seed(0)
    made = method(lambda_fc=0.7).eval()
    made.mixup = lambda batch, classes: Batch(batch.images, nn.functional.one_hot(batch.labels, 3).float(), batch.index)
    made.log_term = lambda *_: None
    made.relabelled = torch.tensor([2, 1, 0, 0, 0, 0])
    images = torch.randn(4, 2, 4)
    every = Batch(images[2:, 0], torch.tensor([0, 0]), torch.tensor([2, 3]), (images[2:, 0], images[2:, 1]))
    chosen = Batch(images[:2, 0], torch.tensor([0, 0]), torch.tensor([0, 1]), (images[:2, 0], images[:2, 1]))
    made.streams = {0: iter([chosen])}
    loss = made.training_loss(every)

    def head(parts, x):
        first, norm, _, last = parts
        hidden = (first.weight.double() @ x + first.bias.double()) / (1 + norm.eps) ** 0.5
        return last.weight.double() @ hidden.clamp(min=0) + last.bias.double()

    linear, x = made.model[1], images.double()
    z = x @ linear.weight.double().T + linear.bias.double()
    supervised = -sum(z[i, v].log_softmax(0)[y] for i, y in ((0, 2), (1, 1)) for v in (0, 1)) / 4
    cosines = []
    for i in (2, 3):  # the features of a network of one linear layer are the image
        target = head(made.projector, x[i, 0])
        seen = head(made.predictor, head(made.projector, x[i, 1]))
        cosines.append(seen @ target / (seen.norm() * target.norm()))
    torch.testing.assert_close(loss.double(), supervised - 0.7 * sum(cosines) / 2, rtol=1e-5, atol=1e-6)
    loss.backward()
    assert made.projector[0].weight.grad.abs().sum() > 0


def test_the_weak_view_has_no_gradient():
    made = method().eval()
    made.log_term = lambda *_: None
    weak = torch.randn(2, 4, requires_grad=True)
    strong = torch.randn(2, 4, requires_grad=True)
    other = Batch(strong, torch.tensor([0, 0]), torch.tensor([0, 1]), (torch.randn(2, 4),) * 2)
    made.streams, made.relabelled = {0: iter([other])}, torch.zeros(6, dtype=torch.int64)
    made.training_loss(Batch(weak, other.labels, other.index, (weak, strong))).backward()
    assert weak.grad is None
    assert strong.grad.abs().sum() > 0


@pytest.mark.parametrize("options", [{"theta_s": 1.1}, {"theta_r": -0.1}, {"k": 0}, {"lambda_fc": -1}, {"alpha": 0}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_a_run_learns_and_relabels(digits):
    settings = ("model=cnn", "noise.rate=0.4", "optimizer.lr=0.05", "data.batch_size=32", "augment@views.strong=none")
    outcome = digits("method=ssr", *settings, "method.k=20", "trainer.max_epochs=4")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
    noise, labels = np.load(outcome.folder / "noise.npz"), weights(outcome.folder)["relabelled"].numpy()
    changed = (labels >= 0) & (labels != noise["noisy_labels"])
    right = labels == noise["clean_labels"]
    assert right[changed].mean() > above_chance(changed.sum())
