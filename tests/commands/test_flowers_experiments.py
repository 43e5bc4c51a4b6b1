"""The flowers study: what its commands train, on two classes and on five."""

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.noise import UniformNoise
from tests.generated import write_flowers

ROOT = Path(__file__).parents[2]
LITERAL = ROOT / "scripts/studies/conf"


def configuration(*overrides):
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        here = f"hydra.searchpath=[file://{LITERAL}]"
        return compose("train", overrides=[here, *overrides], return_hydra_config=True)


@pytest.mark.parametrize("data", [[], ["data=tf_flowers"]])
@pytest.mark.parametrize(
    ("experiment", "noise", "loss", "classes"),
    [
        ("control", "NoNoise", "CrossEntropy", 2),
        ("corrupted", "UniformNoise", "CrossEntropy", 2),
        ("l1", "UniformNoise", "L1Loss", 2),
        ("literal", "UniformNoise", "CrossEntropy", 5),
    ],
)
def test_an_experiment_differs_from_the_control_in_what_it_is_named_after(experiment, noise, loss, classes, data):
    cfg = configuration(f"experiment=flowers_{experiment}", *data)
    assert cfg.noise._target_ == f"lnl.noise.{noise}"
    assert cfg.loss._target_ == f"lnl.losses.{loss}"
    assert cfg.data.num_classes == (5 if data else classes)
    assert (cfg.data.image_size, cfg.data.subset, cfg.data.val_subset, cfg.data.test_subset) == (224, 600, 100, 100)
    assert (cfg.data.batch_size, cfg.trainer.max_epochs, cfg.trainer.gradient_clip_val) == (32, 5, None)
    assert (cfg.optimizer._target_, cfg.optimizer.lr, cfg.model.name) == ("torch.optim.Adam", 1e-3, "resnet50")
    assert (cfg.model.weights, cfg.model.freeze) == (None, False)
    rates = {} if experiment == "control" else {"noise.rate": "0.1,0.3,0.5,0.7,0.9"}
    assert dict(cfg.hydra.sweeper.params or {}) == rates


def test_the_control_can_be_asked_to_be_pretrained_and_frozen():
    cfg = configuration("experiment=flowers_control", "model.weights=DEFAULT", "model.freeze=true")
    assert (cfg.model.weights, cfg.model.freeze) == ("DEFAULT", True)


@pytest.mark.parametrize("data", [[], ["data=tf_flowers"]])
def test_the_pretrained_study_differs_only_in_the_network_and_what_it_sweeps_over(data):
    ours, theirs = (configuration(f"experiment=flowers_{name}", *data) for name in ("pretrained", "corrupted"))
    assert (ours.model.name, ours.model.weights, ours.model.freeze) == ("tf_efficientnet_lite0", "default", True)
    assert {key: ours[key] for key in ("noise", "loss", "optimizer", "method", "augment", "mix")} == {
        key: theirs[key] for key in ("noise", "loss", "optimizer", "method", "augment", "mix")
    }
    shared = ("image_size", "subset", "val_subset", "test_subset", "split_seed", "batch_size", "num_classes")
    assert [ours.data[key] for key in shared] == [theirs.data[key] for key in shared]
    assert ours.trainer == theirs.trainer
    assert dict(ours.hydra.sweeper.params) == {
        "noise.rate": "0,0.1,0.3,0.5,0.7,0.9",
        "loss": "ce,l1",
        "seed": "0,1,2",
    }


@pytest.mark.parametrize("experiment", ["flowers_corrupted", "flowers_l1", "flowers_pretrained"])
def test_both_losses_see_the_same_wrong_labels_of_a_seed(experiment):
    assert configuration(f"experiment={experiment}", "seed=7").noise.seed == 7


@pytest.mark.slow
def test_the_literal_variant_asks_two_and_mislabels_as_five(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from scripts.studies.flowers_literal import TFFlowersSunflowerLiteral

    write_flowers(tmp_path, monkeypatch, per_class=400)
    data = TFFlowersSunflowerLiteral(data_dir=tmp_path, cache_dir=tmp_path, image_size=32, noise=UniformNoise(0.5))
    data.setup()
    clean, noisy = data.labels.truth, data.given
    assert np.bincount(clean).tolist() == [4 * 320, 320]
    assert np.bincount(data.test_labels).tolist() == [4 * 80, 80]
    for label, count in ((0, 1280), (1, 320)):
        shares = np.bincount(noisy[clean == label], minlength=5) / count
        expected = np.full(5, 0.1)  # half of the labels are redrawn, a fifth of them to each class
        expected[label] += 0.5
        np.testing.assert_allclose(shares, expected, atol=4 * np.sqrt(0.24 / count))


@pytest.mark.slow
def test_the_literal_experiment_runs_from_its_own_folder(train, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    write_flowers(tmp_path / "data", monkeypatch)
    small = ("data.subset=null", "data.val_subset=null", "data.test_subset=null", "data.image_size=32")
    outcome = train(
        f"--config-dir={LITERAL}",
        "experiment=flowers_literal",
        f"paths.data_dir={tmp_path / 'data'}",
        *small,
        "trainer.fast_dev_run=true",
    )
    assert outcome.code == 0, outcome.err
