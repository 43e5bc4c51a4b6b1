"""Whose metrics are whose: those of a validation belong to the weights that it saw, and to no others."""

import json
import os
import signal
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from pytorch_lightning.callbacks import Callback

from lnl import NoisyLabelClassifier
from lnl.errors import UserError
from lnl.methods import Baseline
from lnl.sweeps.job import objective

QUICK = ("model=mlp_1x512", "trainer.accelerator=cpu", "data.batch_size=64", "optimizer.lr=0.5")
STEPS = 18  # an epoch has of digits
WATCH = "+callbacks.watch._target_=tests.training.test_validation.Watch"


class Watch(Callback):
    """Keeps what each validation said, with the step it was made after."""

    said: ClassVar[dict[int, float]] = {}
    best_of_stage: ClassVar[list[list[float]]] = []

    def on_fit_start(self, trainer, pl_module):
        Watch.said, Watch.best_of_stage = {}, []

    def on_validation_end(self, trainer, pl_module):
        Watch.said[trainer.global_step] = float(trainer.callback_metrics["val/accuracy"])

    def on_train_epoch_end(self, trainer, pl_module):
        if hasattr(pl_module, "best"):
            Watch.best_of_stage.append(pl_module.best.tolist())


class Terminated(Callback):
    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_step == STEPS + 1:
            os.kill(os.getpid(), signal.SIGTERM)


class LogsAtTheEnd(Baseline):
    """Logs in its own hook, and not in every epoch."""

    def on_train_epoch_end(self):
        if self.current_epoch % 2 == 0:
            self.log("train/even", float(self.current_epoch))


@pytest.fixture
def quick(digits):
    return lambda *arguments: digits(*QUICK, *arguments)


def test_an_epoch_without_validation_has_none_of_its_metrics(quick):
    each = quick("trainer.max_epochs=3", "paths.output_dir=each").folder
    always = pd.read_csv(each / "metrics.csv")
    outcome = quick("trainer.max_epochs=3", "+trainer.check_val_every_n_epoch=2", "trainer.num_sanity_val_steps=1")
    (folder,) = {*outcome.folders} - {each}
    table = pd.read_csv(folder / "metrics.csv")
    for name in ("val/loss", "val/accuracy"):
        assert table[name].isna().tolist() == [True, False, True]
        assert table[name][1] == always[name][1]
    assert table["train/loss"].tolist() == always["train/loss"].tolist()
    protocol = json.loads((folder / "result.json").read_text())["protocol"]
    assert (protocol["last"]["epoch"], protocol["noisy_val_best"]["epoch"]) == (2, 1)
    for entry in protocol.values():  # the last weights are validated for it
        assert entry["val"]["accuracy"] == pytest.approx(always["val/accuracy"][entry["epoch"]], rel=1e-6)
        assert entry["val"]["loss"] == pytest.approx(always["val/loss"][entry["epoch"]], rel=1e-5)
    assert objective({"protocol": protocol}) == protocol["noisy_val_best"]["val"]["accuracy"]


@pytest.mark.parametrize(
    "options",
    [
        ("+trainer.val_check_interval=0.4",),  # after 7 and 14 of 18 steps
        ("+trainer.val_check_interval=7", "+trainer.check_val_every_n_epoch=null"),
        ("+trainer.val_check_interval=0.4", "trainer.accumulate_grad_batches=4"),
        ("+trainer.max_steps=25",),
    ],
)
def test_several_validations_an_epoch_each_speak_for_their_own_weights(quick, options):
    outcome = quick(*options, WATCH)
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    row_says = dict(zip(table["step"], table.get("val/accuracy", [np.nan] * len(table)), strict=True))
    assert {step: value for step, value in row_says.items() if not np.isnan(value)} == pytest.approx(
        {step: Watch.said[step] for step in row_says if step in Watch.said}
    )
    last, best = (outcome.result["protocol"][name] for name in ("last", "noisy_val_best"))
    assert objective(outcome.result) == best["val"]["accuracy"] == pytest.approx(max(Watch.said.values()))
    step = max(Watch.said, key=Watch.said.__getitem__)
    assert bool(best["train"]) == (step in row_says)  # its epoch went on, and was measured as a whole
    if max(row_says) in Watch.said:
        assert last["val"]["accuracy"] == pytest.approx(Watch.said[max(row_says)])


@pytest.mark.parametrize(
    "options",
    [
        ("+trainer.max_steps=5",),
        ("+trainer.max_time.microseconds=1", "+trainer.check_val_every_n_epoch=2"),
        ("+trainer.val_check_interval=01:00:00:00",),
        ("callbacks=fit_until", "callbacks.fit_until.accuracy=0.1", "+trainer.check_val_every_n_epoch=2"),
    ],
)
def test_a_run_that_ends_before_it_is_validated_has_a_result(quick, options):
    outcome = quick(*options)
    assert outcome.code == 0, outcome.err
    last, best = (outcome.result["protocol"][name] for name in ("last", "noisy_val_best"))
    assert last == best
    assert {"loss", "accuracy"} <= last["val"].keys()
    assert outcome.result["epochs"] == len(pd.read_csv(outcome.folder / "metrics.csv"))


def test_a_run_that_is_terminated_says_so(quick):
    outcome = quick("+callbacks.end._target_=tests.training.test_validation.Terminated")
    assert outcome.code == 1
    assert outcome.out.endswith("stopped; the same command goes on after epoch 1\n")
    assert not (outcome.folder / "result.json").exists()


def test_a_metric_stands_in_the_row_of_the_epoch_that_logged_it(quick):
    outcome = quick("method._target_=tests.training.test_validation.LogsAtTheEnd", "trainer.max_epochs=3")
    assert outcome.code == 0, outcome.err
    np.testing.assert_equal(pd.read_csv(outcome.folder / "metrics.csv")["train/even"].to_numpy(), [0, np.nan, 2])


def test_a_stage_is_not_judged_by_the_validation_of_the_one_before(quick):
    stages = ("method=label_correction", "data.trusted=300", "method.stage1_epochs=2", "method.threshold=0")
    outcome = quick(*stages, WATCH, "trainer.max_epochs=4", "+trainer.check_val_every_n_epoch=2")
    assert outcome.code == 0, outcome.err
    first, second = Watch.said.values()
    np.testing.assert_allclose(Watch.best_of_stage, [[-1, 0], [first, 1], [-1, 2], [second, 3]])


def test_a_sanity_check_counts_for_nothing(quick):
    outcome = quick("callbacks=sample_history", "trainer.num_sanity_val_steps=2")
    assert outcome.code == 0, outcome.err
    with np.load(outcome.folder / "sample_history.npz") as history:
        np.testing.assert_allclose(history["epoch_probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_the_estimator_keeps_weights_that_were_never_validated():
    images, labels = np.random.default_rng(0).integers(0, 256, (40, 6, 6), np.uint8), np.arange(40) % 2
    estimator = NoisyLabelClassifier(
        model="mlp_1x512", protocol="noisy_val_best", overrides=["+trainer.max_steps=1"], accelerator="cpu"
    ).fit(images, labels)
    assert estimator.history_["step"].tolist() == [1]
    assert estimator.predict_proba(images).shape == (40, 2)
    estimator.set_params(overrides=["trainer.devices=2"])
    with pytest.raises(UserError, match="trains on one device, got"):
        estimator.fit(images, labels)
