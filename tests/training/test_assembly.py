"""What is left to the number of samples."""

import math

import pytest
from omegaconf import OmegaConf

from lnl.data.preparation import batch_size_for
from lnl.models import TimmModel
from lnl.training.assembly import epochs_for, optimizer_factory


@pytest.mark.parametrize(
    ("samples", "batch_size", "epochs"),
    [(24, 32, 60), (250, 32, 60), (1000, 32, 32), (2500, 32, 13), (2501, 64, 25), (10_000, 64, 10), (300_000, 64, 10)],
)
def test_few_samples_are_seen_more_often_in_smaller_batches(samples, batch_size, epochs):
    assert batch_size_for(samples) == batch_size
    assert epochs_for(samples, batch_size) == epochs


def test_as_many_epochs_as_make_a_thousand_steps_and_not_one_more():
    for samples in range(1100, 6000):  # fewer are seen 60 times, more 10 times
        epochs, steps = epochs_for(samples, 64), math.ceil(samples / 64)
        assert (epochs - 1) * steps < 1000 <= epochs * steps


def test_a_backbone_learns_at_its_share_of_the_rate():
    model = TimmModel("test_resnet", 3)
    config = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.5, "momentum": 0.9, "backbone_lr_scale": 0.1}
    optimizer = optimizer_factory(OmegaConf.create(config))([{"params": list(model.parameters())}])
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert {rates[id(parameter)] for parameter in model.backbone.parameters()} == {0.05}
    assert {rates[id(parameter)] for parameter in model.head.parameters()} == {0.5}
    assert len(rates) == len(list(model.parameters()))
    plain = optimizer_factory(OmegaConf.create(config | {"backbone_lr_scale": 1}))([{"params": model.parameters()}])
    assert [group["lr"] for group in plain.param_groups] == [0.5]
