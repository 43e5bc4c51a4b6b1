import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from lnl.callbacks.sample_history import label_shares, margin
from lnl.training.training_metrics import MetricsTable

FOLD = ("data.folds=2", "data.fold=1", "callbacks=sample_history", "data.subset=400", "noise.rate=0.3")


def test_the_margin_is_to_the_largest_other_logit():
    logits = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [0.0, 0.0, -5.0]])
    assert margin(logits, torch.tensor([0, 1, 1])).tolist() == [1.0, -2.0, 0.0]


def test_label_shares_are_those_of_scikit_learns_neighbours():
    rng = np.random.default_rng(0)
    known, asked, labels = rng.normal(size=(300, 8)), rng.normal(size=(40, 8)), rng.integers(0, 4, 300)
    nearest = NearestNeighbors(n_neighbors=7, metric="cosine").fit(known).kneighbors(asked, return_distance=False)
    expected = np.stack([(labels[nearest] == label).mean(axis=1) for label in range(5)], axis=1)
    unit = [torch.nn.functional.normalize(torch.from_numpy(part), dim=1) for part in (known, asked)]
    np.testing.assert_allclose(label_shares(unit[0], torch.from_numpy(labels), unit[1], 7, 5), expected, atol=1e-6)
    few = label_shares(unit[0][:3], torch.from_numpy(labels[:3]), unit[1], 7, 5)
    np.testing.assert_allclose(few.sum(dim=1), 1)


def test_the_history_of_one_epoch_is_what_the_run_measured(digits):
    folder = digits(*FOLD, "trainer.max_epochs=1").folder
    history, out = np.load(folder / "sample_history.npz"), np.load(folder / "out_of_fold.npz")
    epoch = pd.read_csv(folder / "metrics.csv").iloc[0]
    assert (history["training_margin"] > 0).mean() == pytest.approx(epoch["train/accuracy"])
    np.testing.assert_array_equal(history["wrong_events"], history["training_margin"] < 0)
    np.testing.assert_array_equal(history["index"], out["index"])
    np.testing.assert_allclose(history["epoch_probabilities"], out["probabilities"], atol=1e-6)
    np.testing.assert_allclose(history["neighbours"].sum(axis=1), 1, atol=1e-6)
    assert len(history["train_index"]) == len(history["index"]) == 200
    assert not np.intersect1d(history["train_index"], history["index"]).size
    # A layer of the method's own, which does not predict, changes nothing.
    other = digits(*FOLD, "trainer.max_epochs=1", "method._target_=tests.methods.extensions.Projects", "sweep=other")
    assert other.code == 0, other.err
    (path,) = other.root.glob("outputs/other/*/sample_history.npz")
    np.testing.assert_array_equal(np.load(path)["neighbours"], history["neighbours"])


class Stopped(Exception):
    pass


def test_a_resumed_fold_has_the_same_history(digits, monkeypatch):
    def run(name):
        outcome = digits(*FOLD, "trainer.max_epochs=4", f"hydra.run.dir={name}")
        return np.load(outcome.root / name / "sample_history.npz")

    whole = run("whole")
    original = MetricsTable.on_train_epoch_start

    def stop(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise Stopped
        original(self, trainer, pl_module)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsTable, "on_train_epoch_start", stop)
        with pytest.raises(Stopped):
            run("stopped")
    resumed = run("stopped")
    assert set(whole) == set(resumed)
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name])


def test_a_run_killed_after_its_last_epoch_still_writes_it(digits):
    outcome = digits(*FOLD, "trainer.max_epochs=2")
    before = np.load(outcome.folder / "sample_history.npz")
    for name in ("sample_history.npz", "result.json"):
        (outcome.folder / name).unlink()
    digits(*FOLD, "trainer.max_epochs=2")
    after = np.load(outcome.folder / "sample_history.npz")
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_a_model_without_features_has_no_neighbours(digits):
    folder = digits(*FOLD, "model=histogram_logistic", "method=fit_once", "trainer.max_epochs=1").folder
    assert "neighbours" not in np.load(folder / "sample_history.npz")
    assert "neighbours are left out" in (folder / "train.log").read_text()
