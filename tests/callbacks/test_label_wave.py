"""Label Wave: the changes that it counts, where it stops, and what it keeps."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from lnl.callbacks import LabelWave
from lnl.training.training_metrics import MetricsTable, TrainingMetrics
from tests.conftest import weights

RUN = ("callbacks=label_wave", "model=mlp_1x512", "optimizer.lr=0.1", "noise.rate=0.5", "data.subset=300")


def epochs(callback, predictions, monkeypatch):
    """The epochs in which weights were saved, and the one after which training stopped."""
    saved, current = [], [0]
    strategy = SimpleNamespace(reduce=lambda tensor, reduce_op: tensor)
    trainer = SimpleNamespace(strategy=strategy, default_root_dir=".", should_stop=False)
    trainer.save_checkpoint = lambda path, weights_only: saved.append(current[0])
    module = SimpleNamespace(
        num_samples=6, listeners=[], training=True, device="cpu", log=lambda name, value, sync_dist: None
    )
    callback.on_fit_start(trainer, module)
    (see,) = module.listeners
    for epoch, predicted in enumerate(predictions):
        current[0] = epoch
        index = torch.tensor([i for i, label in enumerate(predicted) if label is not None])
        labels = torch.tensor([label for label in predicted if label is not None])
        for part in index.argsort(descending=True).split(2):
            see(index[part], torch.nn.functional.one_hot(labels[part], 4).float())
        callback.on_train_epoch_end(trainer, module)
        if trainer.should_stop:
            return saved, epoch
    return saved, None


def test_it_stops_when_the_mean_of_the_changes_has_not_fallen(monkeypatch):
    """Changes of 6 samples: 4, 2, 1, 0 of 5 (one was not visited), 3 of 5, 5; the mean is taken of two epochs."""
    predictions = [
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [2, 2, 1, 1, 0, 0],
        [3, 2, 1, 1, 0, 0],
        [3, 2, 1, 1, 0, None],
        [0, 0, 0, 1, 0, 1],
        [1, 1, 1, 2, 0, 0],
        [1, 1, 1, 2, 0, 0],
    ]
    callback = LabelWave(window=2, patience=2)
    assert epochs(callback, predictions, monkeypatch) == ([2, 3, 4], 6)
    assert callback.changes == pytest.approx([4 / 6, 2 / 6, 1 / 6, 0, 3 / 5, 5 / 6])
    assert callback.means() == pytest.approx([3 / 6, 1.5 / 6, 0.5 / 6, 0.3, (3 / 5 + 5 / 6) / 2])


def test_a_run_keeps_the_weights_of_the_least_changes(digits, monkeypatch):
    kept = {}
    see = TrainingMetrics._see

    def listen(self, index, logits):
        if self.method.training:
            kept.setdefault(self.method.current_epoch, {}).update(
                zip(index.tolist(), logits.argmax(dim=1).tolist(), strict=True)
            )
        see(self, index, logits)

    monkeypatch.setattr(TrainingMetrics, "_see", listen)
    outcome = digits(*RUN, "trainer.max_epochs=40", "callbacks.label_wave.patience=3")
    assert outcome.code == 0, outcome.err
    changed = pd.read_csv(outcome.folder / "metrics.csv")["train/changed"]
    expected = [sum(kept[t][i] != kept[t - 1][i] for i in kept[t]) / len(kept[t]) for t in range(1, len(kept))]
    assert changed.tolist()[1:] == pytest.approx(expected, abs=1e-6)
    means = pd.Series(expected).rolling(3).mean()  # of epoch 1 and later
    entry = outcome.result["protocol"]["label_wave"]
    assert entry["epoch"] == means.idxmin() + 1
    assert "the fewest training predictions changed" in outcome.out
    if outcome.result["epochs"] < 40:
        assert outcome.result["epochs"] - 1 - entry["epoch"] == 3


class Stopped(Exception):
    pass


def test_a_resumed_run_stops_at_the_same_epoch(digits, monkeypatch):
    original = MetricsTable.on_train_epoch_start

    def start(self, trainer, pl_module):
        if trainer.current_epoch == 4:
            raise Stopped
        original(self, trainer, pl_module)

    arguments = (*RUN, "trainer.max_epochs=12", "callbacks.label_wave.patience=2")
    with monkeypatch.context() as patch:
        patch.setattr(MetricsTable, "on_train_epoch_start", start)
        with pytest.raises(Stopped):
            digits(*arguments, "paths.output_dir=stopped")
    resumed = digits(*arguments, "paths.output_dir=stopped").folder
    whole = next(folder for folder in digits(*arguments, "paths.output_dir=whole").folders if folder != resumed)
    tables = [pd.read_csv(folder / "metrics.csv").drop(columns="seconds") for folder in (resumed, whole)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    torch.testing.assert_close(weights(resumed, "label_wave"), weights(whole, "label_wave"), rtol=0, atol=0)


@pytest.mark.parametrize("key", ["window", "patience"])
def test_values_outside_are_refused(digits, key):
    outcome = digits(*RUN, f"callbacks.label_wave.{key}=0")
    assert f"callbacks.label_wave.{key} must be at least 1, got 0" in outcome.err


def test_stages_are_not_ended_by_it(digits):
    outcome = digits(*RUN, "method=label_correction", "data.trusted=100")
    assert "early stopping would end stage 1 for good" in outcome.err
