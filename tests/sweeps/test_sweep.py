"""A sweep that was broken off goes on; a job that fails stops no other; what has become of each is said."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pandas as pd
import pytest

from lnl.sweeps import job
from lnl.sweeps.journal import Entry, JobJournal, Journal
from lnl.sweeps.view import summary
from lnl.training.training_metrics import MetricsTable
from tests.sweeps.pauses import CALLBACK, start_and_pause

SWEEP = ("-m", "trainer.max_epochs=1", "data.subset=200")


def lines(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


@pytest.mark.slow
def test_a_killed_sweep_ends_with_every_result_and_trains_nothing_twice(tmp_path):
    """SIGKILL in the middle of six jobs, twice."""
    command = [sys.executable, "-m", "lnl.train", "-m", "data=digits", "trainer.precision=32-true", CALLBACK]
    command += ["trainer.max_epochs=5", "model=mlp_1x512", "seed=0,1,2,3,4,5", f"paths.output_dir={tmp_path}"]

    def results():
        return {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/result.json")}

    for done, where in ((1, "-seed1-:2"), (3, "-seed3-:4")):
        before = results()
        process = start_and_pause(command, tmp_path, where)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert before.items() <= results().items()
        assert len(results()) == done
    before = results()
    end = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(lines(end.stdout, "skipped, finished before: digits-")) == 3
    assert "3 finished, 3 skipped (finished before)" in end.stdout
    assert end.stdout.count("resuming an interrupted run after epoch 4") == end.stdout.count("resuming") == 1
    assert before.items() <= results().items()
    assert len(results()) == 6
    for path in results():
        assert pd.read_csv(path.with_name("metrics.csv"))["epoch"].tolist() == list(range(5))
        log = path.with_name("train.log").read_text()
        assert log.count("training starts") == 1
    assert not list(tmp_path.glob(".sweep/*"))  # nor what the killed sweeps had left


def test_a_job_that_fails_leaves_its_traceback_and_is_tried_again(digits, monkeypatch):
    def fail(self, trainer, pl_module):
        raise ZeroDivisionError("of all things\nmore of it") if "seed1" in str(self.path) else KeyError("x")

    with monkeypatch.context() as patch:
        patch.setattr(MetricsTable, "on_train_epoch_start", fail)
        outcome = digits(*SWEEP, "seed=0,1")
    assert outcome.code == 1
    assert "2 jobs" in outcome.out
    assert "2 failed" in outcome.out
    assert "failed: ZeroDivisionError: of all things\n" in outcome.out
    assert "Traceback" not in outcome.err
    assert len(lines(outcome.err, "error: digits-")) == 2
    errors = {folder.name.split("-")[5]: (folder / "error.txt").read_text() for folder in outcome.folders}
    assert errors["seed1"].startswith("Traceback (most recent call last)")
    assert "ZeroDivisionError: of all things\nmore of it" in errors["seed1"]
    assert "KeyError" in errors["seed0"]
    again = digits(*SWEEP, "seed=0,1")
    assert again.code == 0
    assert len([line for line in again.out.splitlines() if line.endswith("failed before, tried again")]) == 2
    assert "2 jobs" in again.out
    assert "2 finished" in again.out
    assert not list(again.root.rglob("error.txt"))


def test_a_sweep_has_one_line_a_job_and_says_which_is_best(digits):
    first = digits(*SWEEP, "seed=0,1")
    assert len(lines(first.out, "finished in")) == 2
    accuracies = {
        f"seed={seed}": json.loads((folder / "result.json").read_text())["protocol"]["noisy_val_best"]["val"][
            "accuracy"
        ]
        for seed, folder in enumerate(first.folders)
    }
    best = max(accuracies, key=accuracies.__getitem__)
    assert f"best by validation labels: {accuracies[best]:.2%}, {best}\n" in first.out
    assert "test accuracy" not in first.out  # what is chosen by
    assert first.err == ""
    second = digits(*SWEEP, "seed=0,1")
    assert len(lines(second.out, "skipped, finished before")) == 2
    assert second.code == 0


def test_a_sweep_can_be_named(digits):
    outcome = digits(*SWEEP, "seed=0", "sweep=mine")
    assert outcome.folder.parent == outcome.root / "outputs/mine"
    named = outcome.folder.name
    assert digits(*SWEEP[1:], "seed=0").folders[-1].name == named  # of no influence on the identity


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_work(tmp_path):
    command = [sys.executable, "-m", "lnl.train", "-m", "data=digits", "trainer.precision=32-true"]
    command += ["trainer.max_epochs=8", "seed=0,1,2,3", f"paths.output_dir={tmp_path}"]
    outcomes = []

    def sweep():
        outcomes.append(subprocess.run(command, capture_output=True, text=True))

    threads = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.returncode for outcome in outcomes] == [0, 0], outcomes
    results = sorted(tmp_path.glob("runs/*/result.json"))
    assert len(results) == 4
    for path in results:
        assert path.with_name("train.log").read_text().count("training starts") == 1
        assert len(pd.read_csv(path.with_name("metrics.csv"))) == 8
    assert sum(len(lines(outcome.stdout, "finished in")) for outcome in outcomes) == 4


def test_what_another_process_has_finished_a_moment_ago_is_skipped(digits, monkeypatch):
    """Between the first look and the lock."""
    (folder,) = digits(*SWEEP, "seed=0").folders
    result, theirs = folder / "result.json", folder / "theirs.json"

    @contextmanager
    def held(run):
        theirs.rename(result)
        yield

    monkeypatch.setattr(job, "held", held)
    for arguments, said in ((SWEEP, "skipped, finished before"), (SWEEP[1:], "finished already")):
        result.rename(theirs)
        outcome = digits(*arguments, "seed=0")
        assert outcome.code == 0
        assert len(lines(outcome.out, said)) == 1


def test_a_result_that_is_none_fails_with_what_to_do(digits):
    (folder,) = digits(*SWEEP, "seed=0").folders
    for content in ("{", "{}", "[1]"):
        (folder / "result.json").write_text(content)
        for arguments in (SWEEP, SWEEP[1:]):
            outcome = digits(*arguments, "seed=0")
            assert outcome.code == 1
            assert len(lines(outcome.err, "error: ")) == len(outcome.err.splitlines()) == 1
            assert "force=true trains again" in outcome.err


def test_a_sweep_that_cannot_be_watched_does_not_start(digits, tmp_path):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/.sweep").write_text("")  # where the journal's folder would be
    outcome = digits(*SWEEP, "seed=0,1")
    assert outcome.code == 1
    assert outcome.err.startswith("error: outputs/.sweep/")
    assert len(outcome.err.splitlines()) == 1
    assert not outcome.folders


def test_no_news_is_missed_where_the_clock_of_the_file_system_is_slow(tmp_path):
    said, journal = JobJournal(tmp_path, 0, tmp_path / "run", []), Journal(tmp_path)
    os.utime(said.path, (1, 1))
    assert journal.read()[0].state == "running"
    said.tell(state="skipped", accuracy=0.5)
    os.utime(said.path, (1, 1))
    assert journal.read()[0].state == "skipped"


def test_no_job_counts_as_done_that_was_not_heard_of():
    entries = [Entry(0, "outputs/a/x", state="finished"), Entry(1, "outputs/a/y")]
    text = summary(entries, 4, 125.0)
    assert "4 jobs in 2 min 5 s: 1 finished, 1 interrupted, 2 not started" in text
    assert "the same command goes on" in text


def test_a_fold_is_a_part_of_its_job(digits):
    outcome = digits("-m", "data.folds=2", "data.subset=100", "trainer.max_epochs=1", "seed=0,1")
    assert outcome.code == 0, outcome.err
    assert len(lines(outcome.out, "finished in")) == 2
    assert outcome.out.count("fold 2 of 2") == 2
    again = digits("-m", "data.folds=2", "data.subset=100", "trainer.max_epochs=1", "seed=0,1")
    assert len(lines(again.out, "skipped")) == 2


@pytest.mark.parametrize("arguments", [("seed=0,1", "los=ce"), ("seed=0,1", "loss=ce,gcee")])
def test_a_mistake_in_the_command_starts_no_job(digits, arguments):
    outcome = digits("-m", *arguments)
    assert outcome.code == 1
    assert len(lines(outcome.err, "error: ")) == 1
    assert "Traceback" not in outcome.err
    assert "jobs in" not in outcome.out
    assert not list(outcome.root.rglob(".identity"))


def test_a_sweep_over_experiments_loses_no_sweep_of_theirs(train, tmp_path):
    folder = tmp_path / "mine/experiment"
    folder.mkdir(parents=True)
    head = "# @package _global_\ndefaults: [override /data: digits, override /model: mlp_1x512, override /loss: gce]\n"
    small = "trainer: {max_epochs: 1}\ndata: {subset: 50}\n"
    (folder / "plain.yaml").write_text(f"{head}{small}")
    (folder / "other.yaml").write_text(f"{head.replace('gce', 'ngce')}{small}")
    (folder / "rates.yaml").write_text(f'{head}{small}hydra: {{sweeper: {{params: {{noise.rate: "0.1,0.2"}}}}}}\n')
    (folder / "child.yaml").write_text("# @package _global_\ndefaults: [rates]\n")
    (folder / "placed.yaml").write_text(f"{head}{small}hydra: {{sweep: {{subdir: x}}}}\n")
    for swept, lost in {
        "plain,placed": "experiment=placed brings its own hydra.sweep.subdir",
        "choice(child,plain)": "experiment=child brings its own hydra.sweeper.params",
        "glob(ra*)": "experiment=rates brings its own hydra.sweeper.params",
    }.items():
        refused = train("-m", f"--config-dir={tmp_path / 'mine'}", f"experiment={swept}")
        assert (refused.code, refused.folders) == (1, [])
        assert lost in refused.err
        assert "one command each" in refused.err
        assert len(refused.err.splitlines()) == 2
    outcome = train(f"--config-dir={tmp_path / 'mine'}", "experiment=plain,other", "-m", "loss.q=0.3")
    assert outcome.code == 0, outcome.err
    losses = {
        path.parent.name: json.loads((path / "result.json").read_text())["config"]["loss"] for path in outcome.folders
    }
    assert {name: loss["q"] for name, loss in losses.items()} == {"plain": 0.3, "other": 0.3}
    assert losses["plain"]["_target_"] != losses["other"]["_target_"]
