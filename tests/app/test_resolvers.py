"""Defaults that follow from what else was chosen."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR, build_loss


def composed(*overrides):
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.mark.parametrize(
    ("chosen", "cifar10", "mnist", "cifar100"),
    [
        ("method=elr", {"beta": 0.7, "weight": 3}, {"beta": 0.7, "weight": 3}, {"beta": 0.9, "weight": 7}),
        ("loss=sce", {"alpha": 0.1, "beta": 1}, {"alpha": 0.01, "beta": 1}, {"alpha": 6, "beta": 0.1}),
        ("loss=ngce", {"q": 0.1}, {"q": 0.1}, {"q": 0.7}),
        ("loss=phuber", {"tau": 2}, {"tau": 10}, {"tau": 10}),
        ("loss=apl_nce_rce", {"alpha": 1, "beta": 1}, {"alpha": 1, "beta": 10}, {"alpha": 10, "beta": 0.1}),
        ("loss=apl_nfl_mae", {"alpha": 1, "beta": 1}, {"alpha": 1, "beta": 10}, {"alpha": 10, "beta": 1}),
        ("loss=apl_ngce_rce", {"active": {"q": 0.1}}, {"active": {"q": 0.1}}, {"active": {"q": 0.7}}),
    ],
)
def test_the_authors_settings_follow_the_dataset(chosen, cifar10, mnist, cifar100):
    """Settings of arXiv:2007.00151, 1908.06112 and 2006.13554; other data has those of CIFAR-10."""
    group = chosen.partition("=")[0]
    for data, expected in {"cifar10": cifar10, "mnist": mnist, "cifar100": cifar100, "digits": cifar10}.items():
        found = OmegaConf.to_container(composed(f"data={data}", chosen)[group], resolve=True)
        assert OmegaConf.merge(found, expected) == found


@pytest.mark.parametrize("data", ["webvision", "webvision_imagenet"])
def test_webvision_has_its_values_whatever_it_is_tested_on(data):
    loss = composed(f"data={data}", "loss=apl_nce_rce").loss
    assert (loss.alpha, loss.beta) == (50, 0.1)
    assert composed("data=tiny_imagenet", "loss=apl_nce_rce").loss.alpha == 1


def test_the_loss_that_is_built_has_the_settings_of_its_dataset():
    loss = build_loss(composed("data=cifar100", "loss=sce", "loss.label_smoothing=0.1").loss)
    assert (loss.alpha, loss.beta) == (6.0, 0.1)


def test_what_is_given_comes_before_the_authors_settings():
    cfg = composed("data=cifar100", "method=elr", "method.beta=0.5", "loss=ngce", "loss.q=0.2")
    assert (cfg.method.beta, cfg.method.weight, cfg.loss.q) == (0.5, 7, 0.2)


def test_the_study_has_its_own_weights_on_mnist():
    cfg = composed("experiment=apl_mnist", "experiment/apl@_global_=apl_nfl_rce")
    assert (cfg.data._target_, cfg.loss.alpha, cfg.loss.beta) == ("lnl.data.MNIST", 1, 1)


@pytest.mark.parametrize(
    ("epochs", "ramp"), [("1", 1), ("2", 1), ("7", 2), ("29", 9), ("30", 10), ("200", 10), ("null", 10)]
)
def test_co_teaching_leaves_out_all_that_it_is_to_within_a_third_of_the_epochs(epochs, ramp):
    assert composed("method=co_teaching", f"trainer.max_epochs={epochs}").method.ramp_epochs == ramp


@pytest.mark.parametrize(("epochs", "parts"), [("4", [1, 1, 1]), ("20", [5, 2, 2]), ("200", [25, 7, 5])])
def test_the_parts_of_pes_leave_half_of_the_epochs(epochs, parts):
    assert list(composed("method=pes", f"trainer.max_epochs={epochs}").method.part_epochs) == parts


@pytest.mark.parametrize(("epochs", "factor"), [("20", 10), ("200", 1), ("400", 1), ("null", 1)])
def test_rates_of_long_trainings_are_made_for_short_ones(epochs, factor):
    of = {name: composed(f"method={name}", f"trainer.max_epochs={epochs}").method for name in ("pes", "disc")}
    assert of["pes"].refine_lr == pytest.approx(1e-4 * factor)
    assert of["disc"].momentum == pytest.approx(0.99**factor)
