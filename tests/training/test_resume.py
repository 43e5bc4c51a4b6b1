"""A run that was stopped goes on as if it had never stopped."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from lnl import methods
from lnl.config import CONF_DIR
from lnl.methods import StagedMethod
from lnl.training.training_metrics import MetricsTable
from tests.conftest import weights
from tests.sweeps.pauses import CALLBACK, start_and_pause

# Dropout-like randomness, a schedule, momentum, augmentation: all that a resumed run could get wrong.
HARD = ("model=mobilenet_v2", "scheduler=cosine", "data.augment=crop_flip", "data.crop_padding=1", "data.subset=200")
NO_WORKERS = ("data.device_cache=false", "data.num_workers=0", "data.augment=crop", "data.crop_padding=1")
MULTISTEP = ("scheduler=multistep", "scheduler.milestones=[2]", "data.subset=400", *NO_WORKERS)
DRAWS = ("method._target_=tests.methods.extensions.Draws", "model=mlp_1x512", "data.subset=null")
WORKERS = (*DRAWS, "data.device_cache=false", "data.augment=crop_flip", "data.crop_padding=1")
BESIDE = ("method=elr", "mix=mixup", "average=ema", "loss.label_smoothing=0.1", "augment=strong", "model=cnn")
STAGED = ("method=label_correction", "data.trusted=50", "method.stage1_epochs=2", "mix=cutmix", "average=ema")
STEPS = ("model=mlp_1x512", "+trainer.val_check_interval=0.4", "+trainer.max_steps=13")


def slow(options):
    return pytest.param(options, marks=pytest.mark.slow)


class Stopped(Exception):
    pass


def stop_before(epoch, monkeypatch):
    """Makes the next run break off when the given epoch starts."""
    original = MetricsTable.on_train_epoch_start

    def start(self, trainer, pl_module):
        if trainer.current_epoch == epoch:
            raise Stopped
        original(self, trainer, pl_module)

    monkeypatch.setattr(MetricsTable, "on_train_epoch_start", start)


def assert_same_run(folder, other):
    ours, theirs = (torch.load(f / "checkpoints/last.ckpt", weights_only=True) for f in (folder, other))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "inner"):
        torch.testing.assert_close(ours[key], theirs[key], rtol=0, atol=0)
    assert len(ours["optimizer_states"]) == 1
    tables = [pd.read_csv(f / "metrics.csv").drop(columns="seconds") for f in (folder, other)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert (folder / "predictions.csv").read_bytes() == (other / "predictions.csv").read_bytes()


@pytest.mark.parametrize("options", [(), slow(HARD), MULTISTEP, DRAWS, slow(WORKERS), STEPS, BESIDE, STAGED])
def test_two_epochs_and_two_equal_four(digits, monkeypatch, options):
    stop_and_resume(digits, monkeypatch, options)


METHODS = sorted(path.stem for path in Path(CONF_DIR, "method").glob("*.yaml"))
WITHOUT_EPOCHS = ("fit_once", "knn", "linear_probe")


@pytest.mark.parametrize("method", [method for method in METHODS if method not in WITHOUT_EPOCHS])
def test_two_epochs_and_two_equal_four_with_every_method(digits, monkeypatch, method):
    """With dropout, augmentation, a schedule, and trusted samples for methods that use them."""
    drawn = ("model=mlp_1x512", "model.dropout=0.5", "augment=flip", "scheduler=cosine", "data.trusted=50")
    stop_and_resume(digits, monkeypatch, (f"method={method}", *drawn))


def stop_and_resume(digits, monkeypatch, options):
    arguments = ("trainer.max_epochs=4", "data.subset=300", *options)
    with monkeypatch.context() as patch:
        stop_before(2, patch)
        with pytest.raises(Stopped):
            digits(*arguments, "paths.output_dir=outputs/stopped")
    resumed = digits(*arguments, "paths.output_dir=outputs/stopped")
    assert "after epoch 2" in resumed.out
    digits(*arguments, "paths.output_dir=outputs/whole")
    assert_same_run(*(resumed.root / f"outputs/{name}/runs" / resumed.folders[0].name for name in ("stopped", "whole")))


def test_a_run_stopped_between_its_two_checkpoints_starts_over(digits, monkeypatch):
    def stop(*arguments):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(MetricsTable, "on_train_epoch_end", stop)
        with pytest.raises(Stopped):
            digits("paths.output_dir=outputs/stopped")
    outcome = digits("paths.output_dir=outputs/stopped")
    (stopped,) = outcome.folders
    assert {path.name for path in stopped.glob("checkpoints/*")} == {"last.ckpt", "noisy_val_best.ckpt"}
    digits("paths.output_dir=outputs/whole")
    assert_same_run(*outcome.folders)


@pytest.mark.slow
def test_a_killed_run_continues(tmp_path):
    """SIGKILL in the middle of training, twice, in a process of its own."""

    def command(name):
        arguments = ["data=digits", "trainer.precision=32-true", "trainer.max_epochs=12", CALLBACK]
        return [sys.executable, "-m", "lnl.train", *arguments, f"paths.output_dir={tmp_path / name}"]

    def folders(name):
        return list((tmp_path / name).glob("runs/*/"))

    for epoch in (3, 8):
        process = start_and_pause(command("killed"), tmp_path / "killed", f":{epoch}")
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not list((tmp_path / "killed").glob("runs/*/result.json"))
    finished = subprocess.run(command("killed"), capture_output=True, text=True, check=True)
    assert "resuming an interrupted run after epoch 8" in finished.stdout
    subprocess.run(command("whole"), check=True, stdout=subprocess.DEVNULL)
    assert_same_run(*folders("killed"), *folders("whole"))


STAGED_METHODS = ("aum", "backward", "forward", "glc", "label_correction", "pes", "pes_semi", "t_revision")


def test_staged_methods_are_all_killed():
    targets = {name: yaml.safe_load(Path(CONF_DIR, f"method/{name}.yaml").read_text())["_target_"] for name in METHODS}
    staged = [name for name in METHODS if issubclass(getattr(methods, targets[name].split(".")[-1]), StagedMethod)]
    assert staged == list(STAGED_METHODS)


@pytest.mark.slow
@pytest.mark.parametrize("method", STAGED_METHODS)
def test_a_method_killed_in_each_of_its_stages_continues(tmp_path, method):
    """Four epochs make two to four stages. SIGKILL in each epoch after the first, in processes of their own."""

    def command(name):
        small = ["data=digits", "data.subset=300", "data.trusted=50", "model=mlp_1x512", "trainer.max_epochs=4"]
        options = [f"method={method}", *small, "trainer.precision=32-true", CALLBACK]
        return [sys.executable, "-m", "lnl.train", *options, f"paths.output_dir={tmp_path / name}"]

    for epoch in (1, 2, 3):
        process = start_and_pause(command("killed"), tmp_path / "killed", f":{epoch}")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    for name in ("killed", "whole"):
        subprocess.run(command(name), check=True, stdout=subprocess.DEVNULL)
    assert_same_run(*(next((tmp_path / name).glob("runs/*/")) for name in ("killed", "whole")))


def test_a_finished_run_is_not_run_again(digits, monkeypatch):
    first = digits()
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*") if "checkpoints" in str(path)}
    second = digits()
    assert second.code == 0
    assert "finished already" in second.out
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_force_replaces_a_run_of_another_configuration(digits):
    digits("hydra.run.dir=here", "trainer.max_epochs=1")
    refused = digits("hydra.run.dir=here", "trainer.max_epochs=2")
    assert "replace that run with force=true" in refused.err
    outcome = digits("hydra.run.dir=here", "trainer.max_epochs=2", "force=true")
    assert outcome.code == 0, outcome.err
    assert json.loads((outcome.root / "here/result.json").read_text())["epochs"] == 2


def test_force_trains_anew_with_the_same_numbers(digits):
    first = digits()
    weights_before, result_before = weights(first.folder), first.result
    result_path = first.folder / "result.json"
    result_path.write_text("{}")
    assert digits("force=true").result["protocol"] == result_before["protocol"]
    torch.testing.assert_close(weights(first.folder), weights_before, rtol=0, atol=0)
    assert len(pd.read_csv(first.folder / "metrics.csv")) == 2
