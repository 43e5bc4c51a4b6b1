"""What a sweep is told of a job."""

import pandas as pd

from lnl.sweeps import job
from lnl.sweeps.job_progress import JobProgress


def told(digits, monkeypatch, *arguments):
    """All that the only job of a sweep has told, in order, and its outcome."""
    news = []

    class Listening(JobProgress):
        def __init__(self, tell, runs):
            super().__init__(lambda **fields: (news.append(fields), tell(**fields)), runs, every=0.0)

    monkeypatch.setattr("lnl.sweeps.job_progress.JobProgress", Listening)
    outcome = digits("-m", "data.subset=128", "trainer.max_epochs=3", *arguments)
    assert outcome.code == 0, outcome.err
    return news, outcome


def test_every_step_moves_the_epoch_and_the_best_accuracy_is_kept(digits, monkeypatch):
    news, outcome = told(digits, monkeypatch, "data.batch_size=64")
    assert news[0] == {"epoch": 0, "epochs": 3}
    assert [fields["epoch"] for fields in news if "epoch" in fields] == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    accuracies = pd.read_csv(outcome.folder / "metrics.csv")["val/accuracy"]
    assert [round(fields["accuracy"], 6) for fields in news if "accuracy" in fields] == list(
        accuracies.cummax().round(6)
    )


def test_folds_follow_one_another(digits, monkeypatch):
    news, _ = told(digits, monkeypatch, "data.folds=2", "data.batch_size=64")
    epochs = [fields["epoch"] for fields in news if "epoch" in fields]
    assert epochs == [0, 1, 2, 3, 3, 4, 5, 6]
    assert {fields["epochs"] for fields in news if "epochs" in fields} == {6}


def test_the_objective_is_what_noisy_validation_chose():
    last, best = ({"val": {"accuracy": value}, "test": {"accuracy": 0.9}} for value in (0.5, 0.6))
    assert job.objective({"protocol": {"last": last, "noisy_val_best": best}}) == 0.6
    assert job.objective({"protocol": {"last": last}}) == 0.5  # of a smoke run
