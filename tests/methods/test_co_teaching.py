"""Co-teaching: its choice in a batch that is written down, its schedule, and whole runs on digits."""

import json
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from lnl import NoisyLabelClassifier
from lnl.data import Batch
from lnl.labels import Labels
from lnl.methods import CoTeaching
from lnl.noise import AsymmetricNoise, PairflipNoise, SymmetricNoise, UniformNoise
from lnl.reporting.results import read_runs
from lnl.training.assembly import tell_noise
from tests.conftest import above_chance, weights
from tests.methods.made import make, make_two

# The probability of the label, by each network.
FIRST, SECOND = [0.9, 0.5, 0.2, 0.1], [0.3, 0.8, 0.1, 0.7]


def method(**options):
    return make_two(CoTeaching, 4, 2, **options)


def batch():
    p = torch.tensor([FIRST, SECOND]).T
    images = torch.stack([p, 1 - p], dim=2).log().requires_grad_()
    return Batch(images, torch.zeros(4, dtype=torch.int64), torch.arange(4))


@pytest.fixture
def logged(monkeypatch):
    """What was logged, by a method that is asked alone."""
    terms = {}
    monkeypatch.setattr(CoTeaching, "log_term", lambda self, name, value, batch: terms.update({name: value.item()}))
    return terms


def test_each_network_learns_what_the_other_one_has_small_losses_on(logged, monkeypatch):
    """Of four samples two are kept: the first network has 0 and 1 for the second, the second 1 and 3 for the first."""
    monkeypatch.setattr(CoTeaching, "current_epoch", 10)
    given = batch()
    loss = method(forget_rate=0.5).training_loss(given)
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2 - (math.log(0.3) + math.log(0.8)) / 2)
    (gradient,) = torch.autograd.grad(loss, given.images)
    p = torch.tensor([[0, 0.5, 0, 0.1], [0.3, 0.8, 0, 0]]).T
    expected = torch.where(p > 0, (p - 1) / 2, 0)  # (p - y) / 2 of cross entropy, for the label's logit
    torch.testing.assert_close(gradient, torch.stack([expected, -expected], dim=2))
    assert logged == {"kept": 0.5}


def test_nothing_is_left_out_in_the_first_epoch_and_one_sample_is_always_kept(logged, monkeypatch):
    everything = -np.log([FIRST, SECOND]).mean(axis=1).sum()
    assert method(forget_rate=0.9).training_loss(batch()).item() == pytest.approx(everything)
    assert logged == {"kept": 1.0}
    monkeypatch.setattr(CoTeaching, "current_epoch", 10)
    least = method(forget_rate=0.9).training_loss(batch())  # 0.4 samples: 0 and 1 are each other's
    assert least.item() == pytest.approx(-math.log(0.5) - math.log(0.3))
    assert logged == {"kept": 0.25}
    method(forget_rate=0.35).training_loss(batch())  # 2.6 samples
    assert logged == {"kept": 0.75}


@pytest.mark.parametrize(("epoch", "kept"), [(0, 1.0), (1, 0.96), (5, 0.8), (9, 0.64), (10, 0.6), (199, 0.6)])
def test_the_schedule(epoch, kept):
    assert method(forget_rate=0.4, ramp_epochs=10).keep_rate(epoch) == pytest.approx(kept)


def test_the_prediction_is_the_mean_of_the_logits():
    images = torch.tensor([[[1.0, 2.0], [3.0, -6.0]]])
    assert method(forget_rate=0.1)(images).tolist() == [[2.0, -2.0]]


@pytest.mark.parametrize("options", [{"forget_rate": 1.0}, {"forget_rate": -0.1}, {"forget_rate": 0, "ramp_epochs": 0}])
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{list(options)[-1]} must be"):
        method(**options)


@pytest.mark.parametrize("noise", ["none", "file"])
def test_noise_that_was_not_drawn_is_no_oracle(digits, tmp_path, noise):
    (tmp_path / "labels.csv").write_text("label\n" + "3\n" * 1438)
    arguments = ("method=co_teaching", f"noise={noise}", *(["noise.path=labels.csv"] if noise == "file" else []))
    outcome = digits(*arguments, "method.forget_rate=true")
    assert outcome.code == 1
    assert outcome.err.strip().endswith("method.forget_rate=estimate estimates it.")
    assert not outcome.folders
    given = digits(*arguments, "method.forget_rate=0.2", "trainer.max_epochs=1")
    assert given.code == 0
    assert given.result["oracle_options"] == {}
    assert "TRUE NOISE" not in given.out
    assert set(read_runs([given.folder])["method"]) == {"co_teaching"}


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ("symmetric", 0.4),
        ("uniform", 0.36),  # a tenth of those redrawn is right again
        ("pairflip", 0.4),
        ("asymmetric", 0.4 * 5 / 10),  # as on CIFAR-10, 5 of 10 equal classes
    ],
)
def test_the_true_share_is_what_the_noise_makes_wrong(noise, expected):
    mapping = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
    kind = {"symmetric": SymmetricNoise, "uniform": UniformNoise, "pairflip": PairflipNoise}.get(
        noise, lambda rate: AsymmetricNoise(mapping, rate)
    )(rate=0.4)
    clean = np.arange(1000) % 10
    labels = kind(Labels.true(clean, [str(i) for i in range(10)]), np.zeros((1000, 1, 1, 1), np.uint8))
    data = SimpleNamespace(noise=kind, labels=labels, dataset=SimpleNamespace(clean_val=False))
    told = make(CoTeaching, 4, 10, forget_rate=True)
    tell_noise(told, data)
    assert told.oracles == ["forget_rate"]
    assert told.noise_rate.item() == pytest.approx(expected)
    torch.testing.assert_close(told.transition.double(), torch.from_numpy(labels.noise.transition), rtol=0, atol=1e-6)
    given = make(CoTeaching, 4, 10, forget_rate=0.2)
    tell_noise(given, data)  # what is given is no oracle
    assert given.oracles == []
    assert given.noise_rate == 0


@pytest.fixture
def run(digits):
    return digits(
        "method=co_teaching",
        "method.forget_rate=true",
        "noise.rate=0.5",
        "method.ramp_epochs=2",
        "trainer.max_epochs=4",
    )


def test_a_run_forgets_as_much_as_the_noise_has_and_says_that_it_was_told(run):
    assert run.code == 0, run.err
    assert run.result["config"]["method"]["forget_rate"] is True
    assert run.result["oracle_options"] == {"forget_rate": 0.5}
    assert "method.forget_rate=true IS THE TRUE NOISE (50.0% wrong labels)" in run.out
    assert run.result["noise_believed"]["rate"] == 0.5
    assert run.result["noise_believed"]["transition_error"] == pytest.approx(0, abs=1e-6)
    assert set(read_runs([run.folder])["method"]) == {"co_teaching (oracle)"}
    table = pd.read_csv(run.folder / "metrics.csv")
    assert table["train/kept"].tolist() == pytest.approx([1.0, 0.75, 0.5, 0.5], abs=0.01)
    assert table["train/accuracy"].notna().all()
    assert [column for column in table if "second" in column] == ["seconds"]


def test_the_networks_are_two(run):
    state = weights(run.folder)
    second = {name: value for name, value in state.items() if name.startswith("second.")}
    first = [name for name in state if name.startswith("model.")]
    assert len(first) == len(second)
    for name, value in second.items():
        if name.endswith("weight") and value.ndim > 1:
            assert (value - state[name.replace("second.", "model.")]).abs().mean() > 0.01


def test_what_is_evaluated_and_exported_are_both(run, evaluate, export):
    own = pd.read_csv(run.folder / "predictions.csv")[[f"p_{digit}" for digit in range(10)]].to_numpy()
    assert evaluate(f"runs={run.folder}").code == 0
    record = json.loads((run.folder / "evaluations/digits-last.json").read_text())
    assert record["test"] == run.result["protocol"]["last"]["test"]
    outcome = export(f"run={run.folder}", "format=[torchscript,safetensors]")
    assert outcome.code == 0, outcome.err
    from tests.commands.test_export import LOADERS, digits_test

    for name in ("model.pt", "model.safetensors"):
        made = LOADERS[name](run.folder / "export/last" / name, digits_test())
        np.testing.assert_allclose(made, own, atol=1e-5)


def test_an_audit_can_ask_it(digits):
    """What a step predicts is seen by the callbacks that listen to the method, though each network is asked alone."""
    outcome = digits("method=co_teaching", "callbacks=sample_history", "trainer.max_epochs=1")
    assert outcome.code == 0, outcome.err
    history = np.load(outcome.folder / "sample_history.npz")
    assert len(history["train_index"]) == outcome.result["data"]["train"]
    assert np.isfinite(history["training_margin"]).all()
    assert history["neighbours"].shape == (outcome.result["data"]["val"], 10)


def test_a_notebook_keeps_both():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    images = (labels[:, None, None] * 80 + rng.integers(0, 20, (120, 8, 8))).astype(np.uint8)
    options = {"model": "mlp_1x512", "accelerator": "cpu", "epochs": 20, "overrides": ["method.forget_rate=0.1"]}
    classifier = NoisyLabelClassifier("co_teaching", **options).fit(images, labels)
    assert classifier.score(images, labels) > above_chance(120, classes=3)
    copy = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(copy.predict_proba(images), classifier.predict_proba(images))


@pytest.mark.slow
def test_two_processes_choose_each_from_its_part(digits):
    arguments = ("method=co_teaching", "method.forget_rate=0.4", "noise.rate=0.4", "method.ramp_epochs=2")
    two = ("trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp")
    outcome = digits(*arguments, *two, "optimizer.lr=0.05", "trainer.max_epochs=6")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/kept"].tolist()[2:] == pytest.approx([0.6] * 4, abs=0.01)
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)
