"""Training ends with the epoch that fits the labels, and a run that was stopped then trains no further."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lnl.training import run as training
from lnl.training.training_metrics import MetricsTable, TrainingMetrics
from tests.conftest import weights

UNTIL = ("callbacks=fit_until", "model=mlp_1x512", "optimizer.lr=0.1", "data.subset=100", "trainer.max_epochs=60")


class Stopped(Exception):
    pass


def accuracies(folder):
    return pd.read_csv(folder / "metrics.csv")["train/accuracy"]


@pytest.mark.parametrize("accuracy", [0.9, 1.0])
def test_the_last_epoch_is_the_first_that_fits_so_many_labels(digits, accuracy):
    outcome = digits(*UNTIL, f"callbacks.fit_until.accuracy={accuracy}", "noise.rate=0.5")
    reached = accuracies(outcome.folder)
    assert 1 < len(reached) == outcome.result["epochs"] < 60
    assert reached.iloc[-1] >= np.float32(accuracy) > reached.iloc[:-1].max()  # metrics are float32


def test_labels_that_are_not_fitted_are_trained_to_the_last_epoch(digits):
    outcome = digits(*UNTIL, "optimizer.lr=1e-6", "trainer.max_epochs=3")
    assert outcome.result["epochs"] == 3


def test_a_run_that_was_stopped_before_its_evaluation_trains_no_further(digits, monkeypatch):
    def stop(*arguments):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", stop)
        with pytest.raises(Stopped):
            digits(*UNTIL)
    (stopped,) = (path.parent for path in Path().rglob("metrics.csv"))
    assert not (stopped / "result.json").exists()
    before, table = weights(stopped), (stopped / "metrics.csv").read_text()
    outcome = digits(*UNTIL)
    assert "resuming" in outcome.out
    assert (stopped / "result.json").exists()
    assert (stopped / "metrics.csv").read_text() == table
    torch.testing.assert_close(weights(stopped), before, rtol=0, atol=0)
    assert accuracies(stopped).iloc[-1] == 1 > accuracies(stopped).iloc[:-1].max()


def test_a_run_that_was_stopped_midway_goes_on_until_its_labels_are_fitted(digits, monkeypatch):
    original = MetricsTable.on_train_epoch_start

    def start(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise Stopped
        original(self, trainer, pl_module)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsTable, "on_train_epoch_start", start)
        with pytest.raises(Stopped):
            digits(*UNTIL)
    reached = accuracies(digits(*UNTIL).folder)
    assert reached.iloc[-1] == 1 > reached.iloc[:-1].max()


@pytest.mark.parametrize("accuracy", [0, -0.5, 1.5])
def test_a_share_that_cannot_be_is_refused(digits, accuracy):
    outcome = digits(*UNTIL, f"callbacks.fit_until.accuracy={accuracy}")
    assert outcome.code == 1
    assert f"callbacks.fit_until.accuracy must be in (0, 1], got {accuracy}" in outcome.err


def test_a_method_that_measures_no_training_accuracy_is_named(digits, monkeypatch):
    monkeypatch.setattr(TrainingMetrics, "_see", lambda *arguments: None)
    outcome = digits(*UNTIL)
    assert outcome.code == 1
    assert "fit_until needs train/accuracy" in outcome.err
