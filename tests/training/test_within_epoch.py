"""A run that is stopped within an epoch goes on from its last step as if it had never been stopped."""

import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback

from lnl.methods import Baseline
from lnl.training.within_epoch import generators_now, set_generators
from tests.training.test_resume import (
    BESIDE,
    DRAWS,
    HARD,
    NO_WORKERS,
    STAGED,
    Stopped,
    assert_same_run,
    slow,
)

ELR = ("method=elr", "data.subset=400")
CO_TEACHING = ("method=co_teaching", "method.ramp_epochs=3", "model=mlp_1x512", "model.dropout=0.5")
DIVIDE_MIX = ("method=dividemix", "method.warmup_epochs=1", "method.ramp_epochs=2", "augment=flip")
MW_NET = ("method=mw_net", "data.trusted=50", "model=cnn", "scheduler=cosine")
EVERY = "callbacks.checkpoint_every_n_steps"
SMALL = ("data.subset=300", "data.batch_size=40")  # 8 steps, the last two of 30 samples
WORKERS = ("data.device_cache=false", "data.num_workers=2", "data.augment=crop_flip", "data.crop_padding=1")


class Stops(Callback):
    """Breaks off after a step of an epoch, by an exception, a signal, or when training has gone on after all."""

    changes_numbers = False
    at: tuple[int, int] | None = None
    signal: int | None = None

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        asked = os.environ.get("LNL_TEST_KILL", "")
        if Stops.at == (trainer.current_epoch, batch_idx) or asked == f"{trainer.current_epoch} {batch_idx}":
            if asked or Stops.signal:
                os.kill(os.getpid(), Stops.signal or signal.SIGKILL)
            else:
                raise Stopped


class LogsAtTheStart(Baseline):
    """Logs before the first step of each epoch, and the largest, smallest and summed loss of its steps."""

    def on_train_epoch_start(self):
        self.log("train/start", float(10 + self.current_epoch), sync_dist=True)

    def training_loss(self, batch):
        loss = super().training_loss(batch)
        for kind in ("min", "max", "sum"):
            self.log(f"train/{kind}", loss.detach(), on_step=False, on_epoch=True, reduce_fx=kind)
        return loss


class BecomesNaN(Baseline):
    """Has a loss that is no number from the sixth step on."""

    def training_loss(self, batch):
        return super().training_loss(batch) * (1.0 if self.trainer.global_step < 5 else float("nan"))


STOPS = "+callbacks.stops._target_=tests.training.test_within_epoch.Stops"
LOGS = ("method._target_=tests.training.test_within_epoch.LogsAtTheStart",)


@pytest.fixture
def stopped_and_whole(digits, monkeypatch):
    """Folders of a run that broke off after steps of epochs, and of the same without; and what was printed last."""

    def run(*options, stops, every=3, epochs=4):
        arguments = (f"trainer.max_epochs={epochs}", *SMALL, STOPS, *options)
        for stop in stops:
            monkeypatch.setattr(Stops, "at", stop)
            with pytest.raises(Stopped):
                digits(*arguments, f"{EVERY}={every}", "paths.output_dir=outputs/stopped")
        monkeypatch.setattr(Stops, "at", None)
        resumed = digits(*arguments, f"{EVERY}={every}", "paths.output_dir=outputs/stopped")
        assert resumed.code == 0, resumed.err
        digits(*arguments, "paths.output_dir=outputs/whole")
        folders = [resumed.root / f"outputs/{name}/runs" / resumed.folders[0].name for name in ("stopped", "whole")]
        return *folders, resumed.out

    return run


@pytest.mark.parametrize(
    "options",
    [
        slow((*HARD, "data.subset=300")),
        ELR,
        CO_TEACHING,
        NO_WORKERS,
        slow(WORKERS),
        DRAWS,
        (*DIVIDE_MIX, "data.batch_size=8"),
        MW_NET,
        BESIDE,
        (*STAGED, "data.batch_size=8"),
        LOGS,
    ],
)
def test_a_run_stopped_within_epochs_equals_one_that_was_not(stopped_and_whole, options):
    """Weights, optimizers, metrics of every epoch and predictions, to the last bit."""
    stopped, whole, out = stopped_and_whole(*options, stops=[(0, 4), (2, 6)])
    assert "resuming an interrupted run after step" in out
    assert ", in epoch 3" in out
    assert_same_run(stopped, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [(), ("+trainer.val_check_interval=0.25",), ("trainer.accumulate_grad_batches=3",), ("average=ema",)]
)
def test_a_run_stopped_after_every_step(stopped_and_whole, options):
    """Also after the last one, before validation; of two epochs of 8 steps."""
    stops = [(epoch, step) for epoch in (0, 1) for step in range(8)]
    quick = ("model=mlp_1x512", "callbacks=sample_history")
    stopped, whole, _ = stopped_and_whole(*quick, *options, stops=stops, every=1, epochs=2)
    assert_same_run(stopped, whole)
    ours, theirs = (np.load(folder / "sample_history.npz") for folder in (stopped, whole))
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_run_goes_on_from_its_last_checkpoint(digits, monkeypatch):
    monkeypatch.setattr(Stops, "at", (1, 6))
    for number, (arguments, reached) in enumerate(
        (
            ([], "epoch 1"),
            ([f"{EVERY}=5"], "step 13, in epoch 2"),
            (["callbacks.checkpoint_every_n_minutes=1e-9"], "step 14, in epoch 2"),
        )
    ):
        place = f"paths.output_dir=outputs/{number}"
        with pytest.raises(Stopped):
            digits(*SMALL, STOPS, place, *arguments)
        with monkeypatch.context() as patch:
            patch.setattr(Stops, "at", None)
            assert f"resuming an interrupted run after {reached}\n" in digits(*SMALL, STOPS, place).out


@pytest.mark.parametrize(
    ("step", "reached"), [((1, 0), "step 9, in epoch 2"), ((1, 6), "step 15, in epoch 2"), ((0, 7), "epoch 1")]
)
def test_a_run_that_is_terminated_saves_its_last_step(digits, monkeypatch, step, reached):
    monkeypatch.setattr(Stops, "at", step)
    monkeypatch.setattr(Stops, "signal", signal.SIGTERM)
    arguments = (*SMALL, STOPS)
    stopped = digits(*arguments, f"{EVERY}=1000", "paths.output_dir=outputs/stopped")
    assert stopped.code == 1
    assert stopped.out.endswith(f"stopped; the same command goes on after {reached}\n")
    monkeypatch.setattr(Stops, "at", None)
    assert f"after {reached}\n" in digits(*arguments, "paths.output_dir=outputs/stopped").out
    digits(*arguments, "paths.output_dir=outputs/whole")
    assert_same_run(*stopped.folders)


def test_a_run_that_is_terminated_again_and_again_loses_nothing(digits, monkeypatch):
    """In the step after it was resumed, before what it had logged is restored."""
    monkeypatch.setattr(Stops, "signal", signal.SIGTERM)
    for step in range(1, 6):
        monkeypatch.setattr(Stops, "at", (0, step))
        assert digits(*SMALL, STOPS, *ELR[:1], f"{EVERY}=1000", "paths.output_dir=outputs/stopped").code == 1
    monkeypatch.setattr(Stops, "at", None)
    digits(*SMALL, STOPS, *ELR[:1], "paths.output_dir=outputs/stopped")
    whole = digits(*SMALL, STOPS, *ELR[:1], "paths.output_dir=outputs/whole")
    assert_same_run(*whole.folders)


@pytest.mark.slow
def test_a_run_killed_between_steps_goes_on(tmp_path):
    """SIGKILL, in a process of its own."""

    def command(name, kill=""):
        arguments = ["data=digits", "trainer.precision=32-true", "trainer.max_epochs=2", *SMALL, STOPS, f"{EVERY}=2"]
        line = [sys.executable, "-m", "lnl.train", *arguments, f"paths.output_dir={tmp_path / name}"]
        return subprocess.run(line, capture_output=True, text=True, env={**os.environ, "LNL_TEST_KILL": kill})

    for kill in ("0 5", "1 2"):
        assert command("killed", kill).returncode == -signal.SIGKILL
    finished = command("killed")
    assert "resuming an interrupted run after step 10, in epoch 2" in finished.stdout
    command("whole")
    assert_same_run(*(next((tmp_path / name).glob("runs/*/")) for name in ("killed", "whole")))


def test_weights_that_are_no_numbers_are_not_saved(digits):
    outcome = digits(*SMALL, f"{EVERY}=3", "method._target_=tests.training.test_within_epoch.BecomesNaN")
    assert outcome.code == 1
    assert "NaN or infinite at step 6" in outcome.err
    checkpoint = torch.load(outcome.folder / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 3
    assert all(tensor.isfinite().all() for tensor in checkpoint["state_dict"].values())


def test_how_often_a_run_saves_is_no_part_of_it(digits):
    digits()
    again = digits(f"{EVERY}=3", "callbacks.checkpoint_every_n_minutes=5")
    assert "finished already" in again.out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (f"{EVERY}=0", "callbacks.checkpoint_every_n_steps must be at least 1, got 0"),
        (f"{EVERY}=2.5", "callbacks.checkpoint_every_n_steps must be a whole number, got 2.5"),
        (f"{EVERY}=often", "callbacks.checkpoint_every_n_steps must be a whole number, got often"),
        ("callbacks.checkpoint_every_n_minutes=0", "callbacks.checkpoint_every_n_minutes must be above 0, got 0"),
    ],
)
def test_mistakes(digits, option, message):
    outcome = digits(option)
    assert outcome.code == 1
    assert f"error: {message}" in outcome.err
    assert not outcome.folders


def test_generators_go_on(monkeypatch):
    def draw():
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random(), random.gauss(0, 1)  # noqa: NPY002

    draw()
    states = generators_now(torch.device("cpu"))
    expected = draw()
    draw()
    set_generators(states, torch.device("cpu"))
    assert draw() == expected
