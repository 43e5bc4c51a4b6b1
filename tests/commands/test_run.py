"""What a run leaves behind, and that its numbers are right."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.runs.identity import identify
from lnl.runs.plan import run_name
from lnl.training.training_metrics import TrainingMetrics
from tests.conftest import above_chance, needs_cifar10, needs_mnist, weights


def test_the_folder_has_what_its_documentation_says(digits):
    outcome = digits()
    names = {str(path.relative_to(outcome.folder)) for path in outcome.folder.rglob("*") if path.is_file()}
    assert names == {
        ".hydra/config.yaml",
        ".hydra/hydra.yaml",
        ".hydra/overrides.yaml",
        ".identity",
        ".lock",
        "checkpoints/last.ckpt",
        "checkpoints/noisy_val_best.ckpt",
        "metrics.csv",
        "noise.npz",
        "predictions.csv",
        "result.json",
        "seen.npz",
        "train.log",
    }


def test_the_result_agrees_with_the_files_beside_it(digits):
    outcome = digits("noise=asymmetric", "noise.rate=0.4", "trainer.max_epochs=5")
    result, folder = outcome.result, outcome.folder
    predictions = pd.read_csv(folder / "predictions.csv")
    test = result["protocol"]["last"]["test"]
    label, predicted = predictions["label"], predictions["predicted"]
    assert test["accuracy"] == pytest.approx(accuracy_score(label, predicted))
    assert test["macro_f1"] == pytest.approx(f1_score(label, predicted, average="macro", zero_division=0))
    assert test["confusion_matrix"] == confusion_matrix(label, predicted, labels=range(10)).tolist()
    probabilities = predictions.filter(like="p_").to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    assert (probabilities.argmax(axis=1) == predicted).mean() > 0.99

    noise = np.load(folder / "noise.npz")
    wrong = noise["noisy_labels"] != noise["clean_labels"]
    assert result["noise"]["actual_rate"] == pytest.approx(wrong.mean())
    assert noise["transition_matrix"].shape == (10, 10)

    table = pd.read_csv(folder / "metrics.csv")
    assert table["epoch"].tolist() == [0, 1, 2, 3, 4]
    best = result["protocol"]["noisy_val_best"]
    assert best["epoch"] == table["val/accuracy"].idxmax()
    assert best["val"]["accuracy"] == pytest.approx(table["val/accuracy"].max())
    assert result["protocol"]["last"]["epoch"] == 4
    assert result["time"]["fit_seconds"] == pytest.approx(table["seconds"].sum(), rel=1e-3)
    statistics = ("running_mean", "running_var", "num_batches_tracked")  # of batch norm: no parameters
    parameters = [value for name, value in weights(folder).items() if not name.endswith(statistics)]
    assert result["size"]["parameters"] == sum(value.numel() for value in parameters)
    assert result["size"]["checkpoint_bytes"] == (folder / "checkpoints/last.ckpt").stat().st_size
    assert result["seeds"] == {"seed": 0, "noise": 0, "split": 0}
    assert torch.__version__.startswith(result["environment"]["versions"]["torch"])


def test_what_is_logged_of_training_is_what_the_model_said(digits, monkeypatch):
    """Counts the predictions of every step once more, by hand."""
    steps = []
    see = TrainingMetrics._see

    def listen(self, index, logits):
        if self.method.training:
            steps.append((index.clone(), logits.clone()))
        see(self, index, logits)

    monkeypatch.setattr(TrainingMetrics, "_see", listen)
    outcome = digits("trainer.max_epochs=1", "noise.rate=0.5")
    noise = np.load(outcome.folder / "noise.npz")
    index = torch.cat([index for index, _ in steps]).numpy()
    logits = torch.cat([logits for _, logits in steps])
    predicted = logits.argmax(dim=1).numpy()
    given, clean = noise["noisy_labels"][index], noise["clean_labels"][index]
    wrong = given != clean
    row = pd.read_csv(outcome.folder / "metrics.csv").iloc[0]
    assert len(index) == outcome.result["data"]["train"] == len(set(index))
    assert row["train/accuracy"] == pytest.approx((predicted == given).mean(), rel=1e-6)
    assert row["train/accuracy_correct"] == pytest.approx((predicted == clean)[~wrong].mean(), rel=1e-6)
    assert row["train/accuracy_wrong"] == pytest.approx((predicted == clean)[wrong].mean(), rel=1e-6)
    assert row["train/memorised"] == pytest.approx((predicted == given)[wrong].mean(), rel=1e-6)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(given))
    assert row["train/loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert row["train/visited"] == 1


def test_accumulated_gradients_do_not_shrink_the_logged_loss(digits):
    outcome = digits("trainer.accumulate_grad_batches=4", "trainer.max_epochs=1", "optimizer.lr=1e-9")
    row = pd.read_csv(outcome.folder / "metrics.csv").iloc[0]
    assert row["train/loss"] == pytest.approx(row["val/loss"], rel=0.2)


def test_same_seeds_same_numbers_and_each_seed_its_own(digits):
    runs = {
        name: digits(f"paths.output_dir={name}", *change)
        for name, change in {
            "first": (),
            "again": (),
            "seed": ("seed=1",),
            "noise": ("noise.seed=1",),
            "split": ("data.split_seed=1",),
        }.items()
    }
    root = runs["first"].root
    results = {name: json.loads(next((root / name).rglob("result.json")).read_text()) for name in runs}
    assert results["first"]["protocol"] == results["again"]["protocol"]
    assert len({result["identity"] for result in results.values()}) == 4
    assert results["seed"]["noise"] == results["first"]["noise"]
    assert results["split"]["noise"]["sha256"] == results["first"]["noise"]["sha256"]
    assert results["noise"]["noise"]["sha256"] != results["first"]["noise"]["sha256"]
    for name in ("seed", "noise", "split"):
        assert results[name]["protocol"] != results["first"]["protocol"]


def test_validation_chooses_by_noisy_labels(digits):
    """With nine of ten validation labels wrong no model can score far above what is left of them."""
    outcome = digits("noise.rate=0.9", "trainer.max_epochs=3", "optimizer.lr=0.05")
    assert outcome.result["noise"]["val_rate"] == pytest.approx(0.9, abs=0.06)
    assert pd.read_csv(outcome.folder / "metrics.csv")["val/accuracy"].max() < above_chance(288)


def test_paths_trackers_and_progress_do_not_change_the_identity(digits):
    identities = {
        digits(f"paths.output_dir={i}", *change).folders[0].name
        for i, change in enumerate(
            [
                (),
                ("logger=tensorboard",),
                ("callbacks.progress=null",),
                ("callbacks.stop_on_nan.every_n_steps=5",),
                ("noise.rate=3e-1",),
            ]
        )
    }
    assert len(identities) == 1


def test_a_run_without_a_terminal_is_quiet(digits):
    outcome = digits()
    assert outcome.err == ""
    assert len(outcome.out.splitlines()) == 5
    assert "of them wrong" in outcome.out
    assert str(outcome.folder.relative_to(outcome.root)) in outcome.out


def test_early_stopping_is_part_of_the_result(digits):
    arguments = ("callbacks=early_stopping", "callbacks.early_stopping.patience=1", "optimizer.lr=1e-9")
    outcome = digits(*arguments, "trainer.max_epochs=6")
    assert outcome.result["epochs"] == 2
    assert "-baseline-ce-early_stopping-seed0-" in outcome.folder.name
    assert "baseline, ce, early_stopping, seed 0: 2 epochs" in outcome.out


@pytest.mark.parametrize(
    ("change", "samples"),
    [
        (["trainer.limit_train_batches=3"], 3 * 64),
        (["method=label_correction", "method.stage1_epochs=1", "data.trusted=first-100"], 100),
    ],
)
def test_what_is_measured_on_a_part_of_the_samples_says_on_which_share(digits, change, samples):
    outcome = digits("model=mlp_1x512", *change)
    first = pd.read_csv(outcome.folder / "metrics.csv").iloc[0]
    train = outcome.result["data"]["train"]
    if "method=label_correction" in change:
        samples = outcome.result["data"]["trusted"]
    assert first["train/visited"] == pytest.approx(samples / train, rel=1e-6)
    last = outcome.result["protocol"]["last"]["train"]
    assert last["visited"] == pytest.approx(pd.read_csv(outcome.folder / "metrics.csv")["train/visited"].iloc[-1])


NAMED = {
    "callbacks=contact_sheet": "baseline-ce",
    "callbacks=sample_history": "baseline-ce",
    "callbacks=[early_stopping,contact_sheet]": "baseline-ce-early_stopping",
    "+callbacks.mix._target_=mine.Mixup": "baseline-ce-mix",
    "method=fit_once": "fit_once",
    "method._target_=lnl.methods.FitOnce": "FitOnce",
    "method._target_=mine.SOP": "SOP-ce",
    "loss._target_=mine.losses.Unhinged": "baseline-Unhinged",
    "loss=gce": "baseline-gce",
}


@pytest.mark.parametrize("change", NAMED)
def test_a_folder_is_named_by_what_changes_numbers(change):
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        cfg = compose("train", ["data=digits", change], return_hydra_config=True)
    name = run_name(cfg)
    assert name == f"digits-symmetric0.3-cnn-{NAMED[change]}-seed0-{identify(cfg).identity[:8]}"


def test_a_loss_that_a_method_does_not_use_is_named_nowhere(digits, report):
    arguments = ("model=histogram_logistic", "trainer.max_epochs=1")
    outcome = digits(*arguments)
    assert outcome.result["loss"] == "none"
    assert "digits, histogram_logistic, fit_once, seed 0:" in outcome.out
    assert "finished already" in digits(*arguments, "loss=ce").out  # the same run
    assert "| fit_once | " in report("runs=outputs/runs", "figures=[]", "page=false", "tables=[]").out
    refused = digits(*arguments, "loss=gce")
    assert refused.code == 1
    given = "GeneralizedCrossEntropy"
    assert refused.err == f"error: loss: FitOnce does not use the one that was chosen ({given}): leave out loss=\n"
    assert refused.folders == outcome.folders


def test_help_names_groups_options_and_examples():
    help_text = subprocess.run(
        [sys.executable, "-m", "lnl.train", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for word in (
        "noise: asymmetric, file, human, instance, none, pairflip, symmetric, uniform",
        "apl_nfl_rce",
        "tf_flowers_sunflower",
    ):
        assert word in help_text
    assert help_text.count("python -m lnl.train ") == 3


@needs_mnist
def test_the_mnist_command_of_the_readme(train):
    outcome = train("data=mnist", "noise=asymmetric", "model=mlp_3x512", "loss=gce", "trainer.fast_dev_run=true")
    assert outcome.code == 0
    assert "asymmetric" in outcome.out


@needs_cifar10
@pytest.mark.slow
def test_cifar10_is_learned_in_spite_of_its_noise(train):
    outcome = train("trainer.max_epochs=2", "data.subset=10000", "data.test_subset=2000", "noise=uniform")
    assert outcome.result["data"]["train"] == 10_000
    assert outcome.result["noise"]["train_rate"] == pytest.approx(0.3 * 0.9, abs=0.015)
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(2000)
