"""The progress of a training: the time left is of all folds, epochs and stages."""

import re
from types import SimpleNamespace

import pytest

from lnl import progress
from lnl.callbacks import TrainingProgress
from lnl.runs.plan import Part


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(progress.time, "time", lambda: self.now)
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def trained(bar, clock, epochs, batches, seconds, first=0, later=0):
    """Trains ``epochs`` of ``batches`` each, a step in ``seconds``."""
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_idx=0), restarted_mid_epoch=False)
    data = SimpleNamespace(splits={"train": range(80)}, batch_size=10)
    trainer = SimpleNamespace(
        is_global_zero=True, max_epochs=len(batches), current_epoch=first, fit_loop=loop, datamodule=data
    )
    trainer.callback_metrics, trainer.sanity_checking = {"val/accuracy": 0.5}, False
    trainer.num_training_batches = batches[first]
    bar.on_train_start(trainer, None)
    for trainer.current_epoch in range(first, epochs):
        trainer.num_training_batches = batches[trainer.current_epoch]
        method = SimpleNamespace(later_epochs=later if trainer.current_epoch < len(batches) - later else 0)
        bar.on_train_epoch_start(trainer, method)
        for loop.epoch_loop.batch_idx in range(trainer.num_training_batches):
            clock.now += seconds
            bar.on_train_batch_end(trainer, method)
        bar.on_validation_end(trainer, method)
    bar.on_train_end()


def left(line):
    """The seconds left that a line says."""
    found = re.search(r"%, (?:(\d+) min )?([\d.]+) s left", line)
    return 60 * int(found[1] or 0) + float(found[2])


def test_a_resumed_run_counts_what_it_has_trained_itself(clock, capsys):
    trained(TrainingProgress(), clock, epochs=10, batches=[8] * 10, seconds=1, first=5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "epoch 6/10: 56%, 35.0 s left"  # 5 of the 40 steps that were left are done
    assert lines[-1].startswith("epoch 10/10: 94%, 5.0 s left, validation accuracy 50.0%")


def test_the_time_left_is_of_all_folds(clock, capsys):
    bar = TrainingProgress()
    bar.part = Part(1, 5)
    trained(bar, clock, 4, [8] * 4, seconds=1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "fold 1/5, epoch 1/4: 5%, 2 min 32 s left"  # 8 of 160 steps
    assert lines[-1] == "fold 1/5 done: 20%, 2 min 8 s left, validation accuracy 50.0%"
    bar = TrainingProgress()
    bar.part = Part(4, 5, since=(0.4, clock.now - 32))  # folds 1 and 2 were there, the third took 32 s
    trained(bar, clock, 4, [8] * 4, seconds=1)
    lines = capsys.readouterr().err.splitlines()
    assert [left(line) for line in lines] == pytest.approx([64 - 8 * step for step in range(1, 5)], abs=0.1)
    bar.part = Part(5, 5, since=(0.4, clock.now - 64))
    trained(bar, clock, 4, [8] * 4, seconds=1)
    assert "done" not in capsys.readouterr().err


def test_later_stages_count_with_all_samples(clock, capsys):
    """Two epochs on 2 of 8 batches, then eight on all: 68 steps in all."""
    trained(TrainingProgress(), clock, 10, [2, 2] + [8] * 8, seconds=2, later=8)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("epoch 2/10: 6%")
    assert left(lines[0]) == 2 * 64


def test_callbacks_progress_null_silences(digits):
    outcome = digits("callbacks.progress=null", "data.folds=2")
    assert outcome.code == 0
    assert outcome.err == ""


def test_a_bar_that_is_disabled_says_nothing(clock, capsys):
    bar = TrainingProgress()
    bar.disable()
    trained(bar, clock, 10, [8] * 10, seconds=60)
    assert capsys.readouterr().err == ""


def test_folds_pass_on_when_the_first_of_them_began(digits, monkeypatch):
    parts = []
    start = TrainingProgress.on_train_start

    def begin(self, trainer, pl_module):
        parts.append(self.part)
        start(self, trainer, pl_module)

    monkeypatch.setattr(TrainingProgress, "on_train_start", begin)
    assert digits("data.folds=3", "data.subset=300").code == 0
    assert [(part.number, part.count) for part in parts] == [(1, 3), (2, 3), (3, 3)]
    assert parts[0].since is None
    assert parts[1].since == parts[2].since
    assert parts[1].since[0] == 0
