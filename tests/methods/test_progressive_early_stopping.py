"""PES: which layers are the later ones, what each stage trains, and who is confident."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lnl.data import Batch
from lnl.methods import ProgressiveEarlyStopping, SemiSupervisedPES
from lnl.methods.progressive_early_stopping import later_parts
from lnl.models import CNN8, MLP, PreActResNet18, ResNet9, SmallCNN, WideResNet
from lnl.models.resnet import resnet_small_images
from tests.conftest import above_chance, weights
from tests.methods.made import make, samples

RUN = ("trainer.max_epochs=4", "model=cnn", "optimizer.lr=0.05", "noise.rate=0.4", "data.batch_size=32")

HEAD = ["classifier.1", "classifier.2", "classifier.4"]
# Block 4 of a ResNet, and what takes its place in other networks.
PARTS = {
    "resnet18": (lambda: resnet_small_images("resnet18", 10), ["layer4.0", "layer4.1", "fc"]),
    "resnet34": (lambda: resnet_small_images("resnet34", 10), ["layer4.0", "layer4.1", "layer4.2", "fc"]),
    "preact": (lambda: PreActResNet18(10), ["blocks.6", "blocks.7", "norm", "classifier"]),
    "wide": (lambda: WideResNet(10, depth=10, k=1), ["blocks.2", "norm", "classifier"]),
    "resnet9": (lambda: ResNet9(10), ["features.4.1", "features.4.2", "features.5.pair", "classifier"]),
    "cnn8": (lambda: CNN8(10), ["features.14", "features.15", "features.17", "features.18", *HEAD]),
    "small": (lambda: SmallCNN(10), ["features.6", "features.8", "features.10", *HEAD]),
    "mlp": (lambda: MLP(10, depth=3), ["layers.5", "layers.7"]),
}


@pytest.mark.parametrize("name", PARTS)
def test_the_later_part_begins_where_the_image_is_last_halved(name):
    make_network, expected = PARTS[name]
    part, last = later_parts(make_network())
    if name == "resnet9":  # its last pooling is in a convolution of four modules
        assert part[-1] == "classifier"
        assert all(path.startswith(("features.4", "features.5", "classifier")) for path in part)
    else:
        assert part == expected
    assert last == expected[-1:]


def method(kind=ProgressiveEarlyStopping, **options):
    return make(kind, 6, 3, lambda: nn.Sequential(nn.Flatten(), nn.Linear(3, 3)), **options)


def test_stages_are_those_of_the_paper():
    made = make(ProgressiveEarlyStopping, 6, 3, lambda: PreActResNet18(3), part_epochs=[25, 7, 5])
    first, second, third, rest = made.stages(200)
    assert [stage.epochs for stage in (first, second, third, rest)] == [25, 7, 5, 163]
    assert second.fresh == second.trained == ["blocks.6", "blocks.7", "norm", "classifier"]
    assert third.fresh == third.trained == ["classifier"]
    assert not first.fresh
    assert not rest.fresh
    assert first.trained is rest.trained is None
    assert first.optimizer is rest.optimizer is None
    adam = second.optimizer([nn.Parameter(torch.zeros(1))])
    assert isinstance(adam, torch.optim.Adam)
    assert adam.defaults["lr"] == 1e-4


def test_classes_weigh_by_their_confident_samples():
    """Labels 0 0 0 1 1 2; of class 0 two samples are confident, of class 1 one, of class 2 none: the mean is 1.5."""
    made = method(samples=samples(6, 3, given=[0, 0, 0, 1, 1, 2]))
    confident = torch.tensor([True, True, False, True, False, False])
    assert made.divide(torch.arange(6), confident).tolist() == [0, 1, 3]
    torch.testing.assert_close(made.class_weights, torch.tensor([1.5 / 2, 1.5 / 1, 0.0]))
    z = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    made.model = nn.Identity()
    loss = made.training_loss(Batch(z, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 3])))
    by_sample = [-z[i].double().log_softmax(0)[label] for i, label in enumerate((0, 0, 1))]
    expected = (0.75 * by_sample[0] + 0.75 * by_sample[1] + 1.5 * by_sample[2]) / 3
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=1e-6)
    assert made.divide(torch.arange(6), torch.zeros(6, dtype=torch.bool)).tolist() == list(range(6))


class Fixed(nn.Module):
    """Images are logits."""

    def forward(self, images):
        return images[:, 0, 0]


def test_a_semi_supervised_step_by_hand(monkeypatch):
    """Without mixing: class weights on the confident ones, squared error from the sharpened mean of two views."""
    made = make(SemiSupervisedPES, 4, 3, Fixed, part_epochs=[2, 1], lambda_u=6.0, ramp_epochs=4)
    made._trainer = type("T", (), {"max_epochs": 20, "current_epoch": 4})()
    made.progress = 4.0  # one epoch after the parts: a quarter of the ramp
    made.mixup = lambda batch, classes: batch
    images = torch.randn(4, 2, 1, 1, 3, generator=torch.Generator().manual_seed(3))
    made.class_weights.copy_(torch.tensor([0.5, 2.0, 3.0]))
    seen = []
    made.listeners.append(lambda index, logits: seen.append((index.tolist(), logits)))
    labelled = Batch(images[:2, 0], torch.tensor([2, 1]), torch.tensor([0, 1]), (images[:2, 0], images[:2, 1]))
    other = Batch(images[2:, 0], torch.tensor([0, 0]), torch.tensor([2, 3]), (images[2:, 0], images[2:, 1]))
    made.streams = {0: iter([other])}
    loss = made.training_loss(labelled)

    z = images[:, :, 0, 0].double()
    p = z.softmax(-1)
    w = [0.5, 2.0, 3.0]
    supervised = -sum(w[y] * p[i, v, y].log() for i, y in ((0, 2), (1, 1)) for v in (0, 1)) / 4
    guesses = {i: p[i].mean(0) ** 2 / (p[i].mean(0) ** 2).sum() for i in (2, 3)}
    squared = sum(((p[i, v] - guesses[i]) ** 2).sum() for i in (2, 3) for v in (0, 1)) / (4 * 3)
    torch.testing.assert_close(loss.double(), supervised + 6 / 4 * squared, rtol=1e-5, atol=1e-6)
    assert [index for index, _ in seen] == [[2, 3], [0, 1]]
    torch.testing.assert_close(seen[1][1], images[:2, 0, 0, 0])
    assert made.mixup.alpha == 4
    made.progress, made.streams = 10.0, {0: iter([other])}
    made.training_loss(labelled)
    assert made.mixup.alpha == 0.75  # from the middle on


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (ProgressiveEarlyStopping, {"part_epochs": [5]}, "part_epochs must be two or three numbers"),
        (ProgressiveEarlyStopping, {"part_epochs": [5, 0, 1]}, "part_epochs must be at least 1"),
        (ProgressiveEarlyStopping, {"refine_lr": 0}, "refine_lr must be above 0"),
        (SemiSupervisedPES, {"lambda_u": -1}, "lambda_u must be"),
        (SemiSupervisedPES, {"late_alpha": 0}, "late_alpha must be"),
        (SemiSupervisedPES, {"temperature": 0}, "temperature must be"),
    ],
)
def test_values_outside_are_refused(kind, options, said):
    with pytest.raises(ValueError, match=said):
        method(kind, **options)


def test_a_run_freezes_renews_and_then_chooses(digits):
    outcome = digits("method=pes", *RUN, "trainer.max_epochs=7", "method.part_epochs=[2,1,1]", "scheduler=cosine")
    assert outcome.code == 0, outcome.err
    first, second, third, last = (weights(outcome.folder, name) for name in ("stage1", "stage2", "stage3", "last"))
    early, late, final = "model.features.0.weight", "model.features.8.weight", "model.classifier.4.weight"
    assert torch.equal(first[early], third[early])
    assert not torch.equal(first[late], second[late])
    assert torch.equal(second[late], third[late])
    assert not torch.equal(second[final], third[final])
    assert not any(torch.equal(third[name], last[name]) for name in (early, late, final))
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert (table["train/visited"][:4] == 1).all()
    assert (table["train/visited"][4:] < 1).all()
    refined = 2 * [1e-4 * 200 / 7]
    first = 0.05 * (1 + np.cos(np.pi / 7 * np.array([1, 2]))) / 2  # the start of a schedule over 7 epochs; after each
    np.testing.assert_allclose(table["lr"], [*first, *refined, 0.0375, 0.0125, 0], rtol=1e-6, atol=1e-12)
    assert table["train/memorised"].notna().all()
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)


def test_a_semi_supervised_run_learns(digits):
    outcome = digits("method=pes_semi", *RUN, "trainer.max_epochs=8", "method.ramp_epochs=2")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert np.isfinite(table["train/loss"]).all()
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
