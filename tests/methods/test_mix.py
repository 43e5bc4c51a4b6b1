"""mixup and CutMix against one image at a time, and beside every kind of method."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from lnl.data import Batch
from lnl.losses import CrossEntropy, GeneralizedCrossEntropy
from lnl.methods import CutMix, LabelSmoothing, Mixup
from tests.conftest import weights

CLASSES = 4


def batch(count=12, size=(8, 6)):
    generator = torch.Generator().manual_seed(0)
    views = tuple(torch.rand(count, 3, *size, generator=generator) for _ in range(2))
    labels = torch.randint(CLASSES, (count,), generator=generator)
    return Batch(views[0], labels, torch.arange(count), views)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 8.0])
def test_mixup_is_the_same_mean_of_images_views_and_labels(alpha):
    """Each image has one bright pixel, at its own place, so that a mixed one says what it is made of."""
    labels = torch.randint(CLASSES, (12,), generator=torch.Generator().manual_seed(0))
    images = torch.eye(12).view(12, 1, 3, 4)
    given = Batch(images, labels, torch.arange(12), (images, 2 * images))
    one_hot, shares = torch.nn.functional.one_hot(labels, CLASSES).float(), set()
    for _ in range(50):
        mixed = Mixup(alpha)(given, CLASSES)
        parts = mixed.images.flatten(1)  # of image j in mixed image i
        own = parts.diagonal()
        assert (own >= 0.5).all()
        assert ((parts > 0).sum(dim=1) <= 2).all()
        torch.testing.assert_close(parts.sum(dim=0), torch.ones(12))  # each image is the partner of one
        torch.testing.assert_close(mixed.labels, parts @ one_hot)
        torch.testing.assert_close(mixed.views, (mixed.images, 2 * mixed.images))
        shares.add(round(own.min().item(), 6))
    assert len(shares) > 40


def test_cutmix_puts_a_rectangle_of_one_other_image_and_its_share_of_the_label():
    given = batch()
    areas = []
    for _ in range(200):
        mixed = CutMix()(given, CLASSES)
        changed = (mixed.images != given.images).any(dim=1)  # [B, H, W]
        for view, original in zip(mixed.views, given.views, strict=True):
            torch.testing.assert_close((view != original).any(dim=1), changed)
        rows, columns = changed.any(dim=0).any(dim=1).nonzero(), changed.any(dim=0).any(dim=0).nonzero()
        if not len(rows):
            continue
        inside = changed[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        moved = inside.flatten(1).any(dim=1)
        assert inside[moved].all()  # a whole rectangle
        area = inside[0].numel() / (8 * 6)
        areas.append(area)
        assert area <= 0.55
        own = mixed.labels.gather(1, given.labels[:, None])[:, 0]
        assert (own >= 1 - area - 1e-6).all()
        torch.testing.assert_close(mixed.labels.sum(dim=1), torch.ones(12))
    assert len(set(areas)) > 10


def test_the_loss_of_a_mixed_label_is_the_mean_of_both():
    logits = torch.randn(5, CLASSES)
    labels = torch.tensor([[0.7, 0.3, 0, 0]]).expand(5, -1)
    for loss in (CrossEntropy(), GeneralizedCrossEntropy()):
        first, second = (loss(logits, torch.full((5,), k)) for k in (0, 1))
        torch.testing.assert_close(loss(logits, labels), 0.7 * first + 0.3 * second)


@pytest.mark.parametrize("alpha", [0, -1])
def test_an_alpha_of_nothing_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be above 0"):
        Mixup(alpha)


@pytest.mark.parametrize(
    "method", ["baseline", "elr", "co_teaching", "dynamic_weight", "label_correction", "dividemix"]
)
def test_every_method_is_mixed_and_measured(digits, method):
    settings = ["data.trusted=200", "data.batch_size=256", "trainer.max_epochs=2", "noise.rate=0.4"]
    settings += ["method.stage1_epochs=1"] if method == "label_correction" else []
    outcome = digits("-m", f"method={method}", "mix=none,mixup,cutmix", *settings)
    assert outcome.code == 0, outcome.err
    tables = [pd.read_csv(folder / "metrics.csv") for folder in outcome.folders]
    measured = "train/accuracy" if method == "label_correction" else "train/memorised"  # it trains on trusted labels
    assert all(table[measured].notna().all() for table in tables)
    assert len({tuple(table["train/loss"]) for table in tables}) == 3
    identities = {json.loads((folder / "result.json").read_text())["identity"] for folder in outcome.folders}
    assert len(identities) == 3


def test_the_l1_norm_of_all_trained_parameters_is_added(digits):
    """After one step of plain descent each weight is nearer to 0 by the learning rate times delta."""
    still = ("model=mlp_1x512", "optimizer.momentum=0", "optimizer.weight_decay=0", "trainer.max_epochs=1")
    one = ("trainer.limit_train_batches=1", "trainer.gradient_clip_val=null", "optimizer.lr=0.1")
    folders = {}
    for delta in (0, 0.01):
        outcome = digits(*still, *one, f"loss.l1_norm={delta}", f"paths.output_dir=at{delta}")
        assert outcome.code == 0, outcome.err
        folders[delta] = next(folder for folder in outcome.folders if f"/at{delta}/" in str(folder))
    plain, drawn = (weights(folders[delta]) for delta in (0, 0.01))
    moved = torch.cat([(drawn[name] - plain[name]).flatten() for name in plain])
    assert (moved.abs() > 0).float().mean() > 0.9
    steps = moved[moved != 0].abs()
    torch.testing.assert_close(steps, torch.full_like(steps, 0.001), rtol=1e-3, atol=1e-6)
    assert (moved * torch.cat([value.flatten() for value in plain.values()]) <= 0).float().mean() > 0.99


@pytest.mark.parametrize("classes", [4, 5])  # AUM's labels have one class more
def test_smoothed_labels_sum_to_one(classes):
    labels = torch.nn.functional.one_hot(torch.tensor([1, 0]), classes).float()
    smoothed = LabelSmoothing(0.1)(replace(batch(2), labels=labels), 4).labels
    torch.testing.assert_close(smoothed, 0.9 * labels + 0.1 / classes)


def test_label_smoothing_moves_the_target_towards_equal_shares(digits):
    """Of a network that is not trained: the smoothed loss is that of the label and of all labels, (1 - e) and e."""
    losses = {}
    for epsilon in (0.0, 0.4, 1 - 1e-9):
        still = ("optimizer.lr=1e-12", "trainer.max_epochs=1", "model=mlp_1x512", "noise=none")
        outcome = digits(*still, f"loss.label_smoothing={epsilon}", f"paths.output_dir=at{epsilon}")
        folder = next(folder for folder in outcome.folders if f"at{epsilon}" in str(folder))
        losses[epsilon] = pd.read_csv(folder / "metrics.csv")["train/loss"][0]
        assert "label_smoothing" in (folder / "result.json").read_text()
    assert losses[0.4] == pytest.approx(0.6 * losses[0.0] + 0.4 * losses[1 - 1e-9], rel=1e-5)
    assert losses[0.0] != pytest.approx(losses[0.4], rel=1e-3)
