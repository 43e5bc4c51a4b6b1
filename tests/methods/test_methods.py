"""What a method is, what it sees, and what kinds of method fit."""

import dataclasses
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from lnl.data import NoisyDataModule
from lnl.data.sampler import training_set
from lnl.errors import UserError
from tests.conftest import weights
from tests.methods.extensions import Spy

HERE = "tests.methods.extensions"


def test_apl_trains_exactly_as_baseline_and_shows_both_terms(digits):
    baseline = digits("loss=apl_nfl_rce", "method=baseline").folder
    apl = next(folder for folder in digits("loss=apl_nfl_rce", "method=apl").folders if folder != baseline)
    torch.testing.assert_close(weights(apl), weights(baseline), rtol=0, atol=0)
    tables = [pd.read_csv(folder / "metrics.csv") for folder in (baseline, apl)]
    terms = tables[1][["train/active_loss", "train/passive_loss"]]
    np.testing.assert_allclose(terms.sum(axis=1), tables[0]["train/loss"], rtol=1e-5)
    assert (terms > 0).all(axis=None)


def test_apl_brings_a_loss_of_its_own(digits):
    assert digits("method=apl").result["loss"] == "apl_nce_rce"


def test_no_clean_training_label_and_no_test_label_is_in_a_batch(digits):
    Spy.seen.clear()
    outcome = digits(f"method._target_={HERE}.Spy", "noise.rate=0.5")
    noise = np.load(outcome.folder / "noise.npz")
    parts = {part for part, _ in Spy.seen}
    assert parts == {"train", "val", "test"}
    for part in parts:
        batches = [batch for name, batch in Spy.seen if name == part]
        index = torch.cat([batch.index for batch in batches]).numpy()
        labels = torch.cat([batch.labels for batch in batches]).numpy()
        if part == "test":
            assert (labels == -1).all()
        else:
            np.testing.assert_array_equal(labels, noise["noisy_labels"][index])
            assert (labels != noise["clean_labels"][index]).mean() > 0.4
    fields = {field.name for field in dataclasses.fields(Spy.seen[0][1])}
    assert fields == {"images", "labels", "index", "views", "share"}


@pytest.mark.parametrize("name", ["Spy", "TrustingSpy"])
def test_trusted_labels_are_for_methods_that_declare_it_alone(digits, name):
    Spy.seen.clear()
    outcome = digits(
        f"method._target_={HERE}.{name}", "noise.rate=0.9", "data.trusted=first-200", "data.trusted_test=50"
    )
    noise = np.load(outcome.folder / "noise.npz")
    index, labels = (
        torch.cat([getattr(batch, field) for part, batch in Spy.seen if part == "train"]).numpy()
        for field in ("index", "labels")
    )
    trusted = index < 200
    assert len(np.unique(index[trusted])) == 150  # the others are held out
    right = noise["clean_labels" if name == "TrustingSpy" else "noisy_labels"]
    train = np.unique(index)
    had = np.where(train < 200, right[train], noise["noisy_labels"][train])
    wrong = (had != noise["clean_labels"][train]).sum()
    assert f"trained on {len(train):,} labels, {wrong:,} of them wrong" in outcome.out
    assert ", 150 trusted\n" in outcome.out
    np.testing.assert_array_equal(labels[trusted], right[index[trusted]])
    np.testing.assert_array_equal(labels[~trusted], noise["noisy_labels"][index[~trusted]])
    for part, batch in Spy.seen:
        assert part == "train" or (part == "val" and (batch.index >= 200).all()) or (batch.labels == -1).all()


CORRECTION = (
    "method=label_correction",
    "data.trusted=300",
    "data.trusted_test=100",
    "method.given_label_evidence=true",
)


def nonsense_of(labels, truth):
    return dataclasses.replace(labels, truth=truth, noise=dataclasses.replace(labels.noise, truth=truth))


@pytest.mark.parametrize("options", [(), CORRECTION], ids=["baseline", "label_correction"])
def test_the_truth_changes_no_weight_and_no_choice_of_epoch(digits, monkeypatch, options):
    """Training with the true labels replaced by nonsense, after the noise was drawn, gives the same model."""
    honest = digits("trainer.max_epochs=4", "paths.output_dir=honest", *options).folder
    setup = NoisyDataModule.setup

    def setup_with_nonsense(self, stage=None):
        fresh = not hasattr(self, "clean")
        setup(self, stage)
        if fresh:
            rng = np.random.default_rng(0)
            self.labels = nonsense_of(self.labels, rng.permutation(self.labels.truth))
            self.test_labels = rng.permutation(self.test_labels)
            self._trusted = dataclasses.replace(self._trusted, labels=rng.permutation(self._trusted.labels))

    monkeypatch.setattr(NoisyDataModule, "setup", setup_with_nonsense)
    outcome = digits("trainer.max_epochs=4", "paths.output_dir=nonsense", *options)
    nonsense = next(folder for folder in outcome.folders if folder != honest)
    for name in ("last", "noisy_val_best"):
        torch.testing.assert_close(weights(honest, name), weights(nonsense, name), rtol=0, atol=0)
    ours, theirs = (pd.read_csv(folder / "metrics.csv") for folder in (honest, nonsense))
    public = ["train/loss", "train/accuracy", "val/loss", "val/accuracy"]
    pd.testing.assert_frame_equal(ours[public], theirs[public], check_exact=True)
    assert not ours["train/accuracy_wrong"].equals(theirs["train/accuracy_wrong"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], r"Here.training_set\(3\) must return the numbers of at least one sample, int64 \[n\]"),
        ([True, False], r"int64 \[n\], got torch.bool \[2\]"),
        ([[1], [2]], r"int64 \[n\], got torch.int64 \[2, 1\]"),
        ([2, 5, 2], r"Here.training_set\(3\) names sample 5, which is not in the training split"),
        ([2, 2, 0], None),
        (None, None),
    ],
)
def test_a_training_set_is_made_of_training_samples(answer, said):
    class Here:
        def training_set(self, epoch):
            return None if answer is None else np.array(answer)

    strategy = SimpleNamespace(broadcast=lambda chosen: chosen)
    trainer = SimpleNamespace(max_epochs=4, lightning_module=Here(), strategy=strategy)
    with pytest.raises(UserError, match=said) if said else nullcontext():
        chosen = training_set(trainer, 3, 0, np.array([0, 1, 2]))
        assert chosen is None if answer is None else chosen.tolist() == answer
    assert training_set(trainer, 4, 0, np.array([0])) is None  # there is no fifth epoch


def test_a_training_loss_that_is_no_scalar_is_refused(digits):
    outcome = digits(f"method._target_={HERE}.OneLossPerSample")
    assert outcome.code == 1
    assert outcome.err.splitlines() == [
        "error: OneLossPerSample.training_loss must return a scalar, got [64]: .mean()?"
    ]
    assert not outcome.folders


@pytest.mark.parametrize("method", [f"{HERE}.Silent", "lnl.methods.Baseline", "lnl.methods.FitOnce"])
def test_a_method_whose_predictions_nobody_sees_is_told_once(digits, method):
    model = "histogram_logistic" if "FitOnce" in method else "cnn"
    outcome = digits(f"model={model}", f"method._target_={method}")
    silent = "Silent" in method
    assert (outcome.folder / "train.log").read_text().count("train/accuracy and what is memorised are not") == silent
    assert ("train/accuracy" in pd.read_csv(outcome.folder / "metrics.csv")) != silent


def test_a_frozen_parameter_is_not_in_the_optimizer(digits):
    outcome = digits("model=mobilenet_v2", "model.freeze=true", "data.subset=100")
    checkpoint = torch.load(outcome.folder / "checkpoints/last.ckpt", weights_only=True)
    (group,) = checkpoint["optimizer_states"][0]["param_groups"]
    assert len(group["params"]) == 2  # weight and bias of the last layer


def test_networks_start_from_the_one_of_another_run(digits):
    """A second network from the same one; what is no network of the other run keeps its own new weights."""
    start = digits("model=mlp_1x512", "paths.output_dir=start").folder
    still = (
        "model=mlp_1x512",
        "optimizer.lr=1e-12",
        "trainer.max_epochs=1",
        f"init_from={start}/checkpoints/last.ckpt",
    )
    first = {name.removeprefix("model."): value for name, value in weights(start).items()}
    for method, modules in (("co_teaching", ("model", "second")), ("mw_net", ("model",))):
        outcome = digits(*still, f"method={method}", "data.trusted=100", f"paths.output_dir={method}")
        assert outcome.code == 0, outcome.err
        state = weights(next(folder for folder in outcome.folders if f"/{method}/" in str(folder)))
        for module in modules:
            for name, value in first.items():
                torch.testing.assert_close(state[f"{module}.{name}"], value, rtol=1e-5, atol=1e-7)
    assert state["weigher.0.weight"].std() > 0


def test_a_network_of_another_architecture_is_not_started_from(digits):
    start = digits("model=mlp_1x512").folder
    outcome = digits("model=cnn", f"init_from={start}/checkpoints/last.ckpt")
    assert outcome.code == 1
    assert "is a checkpoint of another architecture" in outcome.err
