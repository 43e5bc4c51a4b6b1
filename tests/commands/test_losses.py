"""Losses that are made of other losses, by the command line, and one that sees several views of an image."""

import json

import pytest
import torch

from lnl.data import Batch
from lnl.losses import GeneralizedJensenShannon
from lnl.methods import Baseline
from tests.methods.made import samples

SMALL = ("trainer.max_epochs=1", "model=mlp_1x512", "data.subset=200")


def test_apl_of_two_keys_is_the_short_form(digits):
    long = digits(*SMALL, "loss=apl", "loss.active=nfl", "loss.passive=mae")
    assert long.code == 0, long.err
    assert long.result["loss"] == "apl_nfl_mae"
    assert "-baseline-apl_nfl_mae-seed0-" in long.folder.name
    assert "finished already" in digits(*SMALL, "loss=apl_nfl_mae").out
    assert len(long.folders) == 1


def test_any_pair_is_trained_and_named(digits):
    outcome = digits("-m", *SMALL, "loss=apl", "loss.active=nce,ce", "loss.passive=agce,nnce")
    assert outcome.code == 0, outcome.err
    names = {json.loads((folder / "result.json").read_text())["loss"] for folder in outcome.folders}
    assert names == {f"apl_{active}_{passive}" for active in ("nce", "ce") for passive in ("agce", "nnce")}
    assert "loss.active=" in outcome.out
    assert "loss@" not in outcome.out


@pytest.mark.parametrize("loss", ["logit_clip", "peer"])
def test_a_loss_goes_around_any_other(digits, loss):
    outcome = digits(*SMALL, f"loss={loss}", "loss.loss=gce", "loss.loss.q=0.5")
    assert outcome.code == 0, outcome.err
    assert outcome.result["loss"] == f"{loss}_gce"
    assert outcome.result["config"]["loss"]["loss"] == {"_target_": "lnl.losses.GeneralizedCrossEntropy", "q": 0.5}


def test_the_baseline_gives_a_loss_as_many_views_as_it_wants():
    loss = GeneralizedJensenShannon(pi1=0.3, views=3)
    method = Baseline(model=torch.nn.Identity, loss=loss, optimizer=lambda groups: None, samples=samples(5, 4))
    assert method.views == ("weak",) * 3
    views = tuple(torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)))
    labels = torch.tensor([0, 1, 2, 3, 0])
    found = method.training_loss(Batch(views[0], labels, torch.arange(5), views))
    torch.testing.assert_close(found, loss(torch.stack(views), labels).mean())
    assert (found - loss(views[0], labels).mean()).abs() > 1e-3


def test_a_run_with_several_views_measures_what_is_memorised(digits):
    outcome = digits("loss=gjs", "augment=crop", "trainer.max_epochs=2", "data.subset=200")
    assert outcome.code == 0, outcome.err
    assert 0 <= outcome.result["protocol"]["last"]["train"]["memorised"] <= 1
