"""AUM: margins and thresholds worked out apart, and whole runs on digits."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lnl.data import Batch
from lnl.methods import AUM
from tests.conftest import above_chance, weights
from tests.methods.made import make, samples

RUN = ("method=aum", "method.aum_epochs=4", "trainer.max_epochs=12", "noise.rate=0.4", "scheduler=cosine")


def method(count=8, classes=3, **options):
    torch.manual_seed(0)
    return make(AUM, count, classes, lambda: nn.Linear(4, classes), **options).double()


def test_margins_are_summed_with_the_extra_class_in_place():
    """Samples 2 and 5 are threshold samples, of this stage and of the other one."""
    aum = method()
    aum.threshold_stage[2], aum.threshold_stage[5] = 2, 1
    aum.measuring = 2
    index, given = torch.tensor([2, 5, 7]), torch.tensor([0, 1, 2])
    weight = torch.cat([aum.model.weight, aum.extra_class.weight]).detach().numpy()
    bias = torch.cat([aum.model.bias, aum.extra_class.bias]).detach().numpy()
    sums, losses = np.zeros(8), []
    for seed in (1, 2):
        images = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        batch = Batch(images, given, index)
        batch.labels = aum.labels_of(batch)
        loss = aum.training_loss(batch)
        for i, y, x in zip(index.tolist(), (3, 1, 2), images.numpy(), strict=True):
            logits = weight @ x + bias
            sums[i] += logits[y] - max(logits[k] for k in range(4) if k != y)
            losses.append(np.log(np.exp(logits).sum()) - logits[y])
        assert loss.item() == pytest.approx(np.mean(losses[-3:]), abs=1e-5)
    np.testing.assert_allclose(aum.margins[:, 1], sums, atol=1e-5)
    assert aum.visits[:, 1].tolist() == [0, 0, 2, 0, 0, 2, 0, 2]
    assert not aum.margins[:, 0].any()
    loss.backward()
    assert aum.extra_class.weight.grad.abs().sum() > 0


def test_the_last_stage_is_plain_training_on_the_given_labels():
    aum = method()
    aum.threshold_stage[:] = 1
    aum.measuring = 0
    batch = Batch(torch.randn(3, 4, dtype=torch.float64), torch.tensor([0, 1, 2]), torch.tensor([2, 5, 7]))
    assert aum.labels_of(batch) is batch.labels
    torch.testing.assert_close(aum.training_loss(batch), F.cross_entropy(aum.model(batch.images), batch.labels))
    assert not aum.visits.any()


def test_threshold_samples_are_two_sets_of_their_share():
    aum = method(46, 10, samples=samples(60, 10))
    aum.begin_stage(1)
    assert torch.bincount(aum.threshold_stage, minlength=3).tolist() == [50, 5, 5]  # 60 / 11 of each
    assert aum.kept.all()


@pytest.mark.parametrize("percentile", [99.0, 50.0])
def test_a_sample_is_kept_that_one_of_its_judges_finds_right(percentile):
    aum = method(300, 10, percentile=percentile)
    rng = np.random.default_rng(0)
    which, margins, visits = rng.integers(0, 3, 300), rng.normal(size=(300, 2)), rng.integers(1, 5, (300, 2))
    aum.threshold_stage.copy_(torch.from_numpy(which))
    aum.margins.copy_(torch.from_numpy(margins * visits))
    aum.visits.copy_(torch.from_numpy(visits))
    cuts = [np.percentile(margins[which == stage, stage - 1], percentile) for stage in (1, 2)]
    expected = [
        any(which[i] != stage and margins[i, stage - 1] > cuts[stage - 1] for stage in (1, 2)) for i in range(300)
    ]
    assert aum.right().tolist() == expected
    aum.begin_stage(3)
    assert aum.kept.tolist() == expected
    assert 0 < sum(expected) < 300


def test_all_are_trained_on_where_none_is_found_right():
    aum = method(33, 10)
    aum.begin_stage(1)
    aum.begin_stage(3)  # all margins are equal
    assert aum.kept.all()


@pytest.mark.parametrize("options", [{"aum_epochs": 0}, {"percentile": 101.0}, {"percentile": -1.0}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)


def test_a_run_leaves_wrong_labels_out_and_learns(digits):
    outcome = digits(*RUN, "optimizer.lr=0.05", "data.batch_size=64")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert table["stage"].tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert (table["lr"].iloc[:8] == 0.05).all()  # the schedule is the last stage's
    assert table["lr"].iloc[8:].is_monotonic_decreasing
    assert table["lr"].iloc[11] < 0.01
    noise, state = np.load(outcome.folder / "noise.npz"), weights(outcome.folder)
    right, train = noise["noisy_labels"] == noise["clean_labels"], state["visits"][:, 0].numpy() > 0
    kept = state["kept"].numpy()[train]
    assert train.sum() == outcome.result["data"]["train"]
    assert right[train][kept].mean() > 0.6 + 5 * (0.24 / kept.sum()) ** 0.5  # chance, and five standard deviations
    assert right[train][~kept].mean() < 0.6 - 5 * (0.24 / (~kept).sum()) ** 0.5
    assert table["train/visited"].iloc[-1] == pytest.approx(kept.mean())
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)


def test_a_training_too_short_is_refused(digits):
    outcome = digits("method=aum", "trainer.max_epochs=2")
    assert "leaves no epochs to stage 3 of 3 (method.aum_epochs=1)" in outcome.err
