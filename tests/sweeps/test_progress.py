"""What a sweep learns of a job while it runs, from its run folder."""

import pandas as pd

from lnl.sweeps import job
from lnl.sweeps.journal import Journal
from lnl.training.training_metrics import MetricsTable


def seen(digits, tmp_path, monkeypatch, *arguments):
    """The entry of a sweep's only job after each epoch, and the job's outcome."""
    entries = []
    end_epoch = MetricsTable.on_train_epoch_end

    def look(self, trainer, pl_module):
        end_epoch(self, trainer, pl_module)
        (folder,) = (path for path in tmp_path.glob("outputs/.sweep/*") if path.is_dir())
        entries.append(Journal(folder).read()[0])

    monkeypatch.setattr(MetricsTable, "on_train_epoch_end", look)
    outcome = digits("-m", "data.subset=128", "trainer.max_epochs=3", *arguments)
    assert outcome.code == 0, outcome.err
    return entries, outcome


def test_every_epoch_counts_and_the_best_accuracy_is_kept(digits, tmp_path, monkeypatch):
    entries, outcome = seen(digits, tmp_path, monkeypatch)
    assert [(entry.state, entry.epoch, entry.epochs) for entry in entries] == [("running", n, 3) for n in (1, 2, 3)]
    accuracies = pd.read_csv(outcome.folder / "metrics.csv")["val/accuracy"]
    assert [entry.accuracy for entry in entries] == accuracies.cummax().tolist()


def test_folds_follow_one_another(digits, tmp_path, monkeypatch):
    entries, _ = seen(digits, tmp_path, monkeypatch, "data.folds=2")
    assert [(entry.epoch, entry.epochs) for entry in entries] == [(n, 6) for n in range(1, 7)]


def test_the_objective_is_what_noisy_validation_chose():
    last, best = ({"val": {"accuracy": value}, "test": {"accuracy": 0.9}} for value in (0.5, 0.6))
    assert job.objective({"protocol": {"last": last, "noisy_val_best": best}}) == 0.6
    assert job.objective({"protocol": {"last": last}}) == 0.5  # of a smoke run
