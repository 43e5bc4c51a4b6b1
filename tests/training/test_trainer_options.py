"""Every argument of Lightning's Trainer does what it says, or is refused by its name."""

import inspect
from typing import ClassVar

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import Callback

from lnl.errors import UserError
from lnl.runs.identity import identify
from lnl.training.trainer_options import REFUSED, check_options
from tests.conftest import weights

# What a run takes, with the test that says so.
TAKEN = {
    **dict.fromkeys(("accelerator", "precision", "max_epochs", "fast_dev_run"), "most tests of commands"),
    **dict.fromkeys(("strategy", "devices", "sync_batchnorm"), "tests/training/test_processes.py"),
    **dict.fromkeys(("max_time", "max_steps", "val_check_interval"), "tests/training/test_validation.py"),
    **dict.fromkeys(("check_val_every_n_epoch", "num_sanity_val_steps"), "tests/training/test_validation.py"),
    **dict.fromkeys(("accumulate_grad_batches", "benchmark", "detect_anomaly", "deterministic"), "here"),
    **dict.fromkeys(("gradient_clip_algorithm", "gradient_clip_val", "limit_train_batches"), "here"),
    **dict.fromkeys(("limit_val_batches", "log_every_n_steps", "min_epochs", "min_steps", "profiler"), "here"),
}
DEFAULT = {"_target_": "pytorch_lightning.Trainer", "strategy": "auto", "max_epochs": 3, "gradient_clip_val": None}


class Look(Callback):
    """Keeps what the options have set, as a run's last step has it."""

    seen: ClassVar[dict[str, object]] = {}

    def on_train_batch_end(self, trainer, pl_module, *_):
        Look.seen = {
            "anomaly": torch.is_anomaly_enabled(),
            "benchmark": torch.backends.cudnn.benchmark,
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "log": trainer.log_every_n_steps,
            "validated": trainer.num_val_batches,
        }
        Look.largest_gradient = max(parameter.grad.abs().max().item() for parameter in pl_module.parameters())


def test_every_argument_of_the_trainer_is_taken_or_refused():
    arguments = set(inspect.signature(pl.Trainer).parameters)
    assert TAKEN.keys() | REFUSED.keys() == arguments
    assert not TAKEN.keys() & REFUSED.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_do_nothing_is_refused_by_its_name(name):
    for value in (1, True, None, "x"):
        with pytest.raises(UserError, match=rf"^trainer\.{name} would do nothing: "):
            check_options(OmegaConf.create({**DEFAULT, name: value}), 1)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("accumulate_grad_batches", (0, -1, 1.5)),
        ("benchmark", ("maybe",)),
        ("check_val_every_n_epoch", (0, -1, 1.5, 4)),  # of 3 epochs
        ("deterministic", ("maybe",)),
        ("fast_dev_run", (-1,)),
        ("gradient_clip_algorithm", ("value",)),  # without a gradient_clip_val
        ("gradient_clip_val", (0, -1.0)),
        ("limit_train_batches", (0, -1, 0.0, -0.5)),
        ("limit_val_batches", (0, -1)),
        ("log_every_n_steps", (-1,)),
        ("max_epochs", (0, -1, 2.5, None)),
        ("max_steps", (0, -2, 2.5)),
        ("min_epochs", (0,)),
        ("min_steps", (-1,)),
        ("num_sanity_val_steps", (-2, 0.5)),
        ("profiler", ("xla", "mine")),
        ("sync_batchnorm", (True, "maybe")),  # on one device
        ("val_check_interval", (0, -1, 0.0)),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(name, values):
    for value in values:
        with pytest.raises(UserError, match=rf"^trainer\.{name}"):
            check_options(OmegaConf.create({**DEFAULT, name: value}), 1)


def test_what_is_taken_is_heeded(digits):
    batches = ("data.batch_size=64", "data.eval_batch_size=100", "model=mlp_1x512", "trainer.max_epochs=1")
    limits = ("trainer.limit_train_batches=0.5", "trainer.limit_val_batches=2", "trainer.accumulate_grad_batches=4")
    clips = ("trainer.gradient_clip_val=0.001", "+trainer.gradient_clip_algorithm=value")
    looks = ("trainer.deterministic=warn", "+trainer.benchmark=true", "+trainer.detect_anomaly=true")
    logs = ("+trainer.profiler=simple", "trainer.log_every_n_steps=7")
    look = "+callbacks.look._target_=tests.training.test_trainer_options.Look"
    outcome = digits(*batches, *limits, *clips, *looks, *logs, look)
    assert outcome.code == 0, outcome.err
    expected = {"anomaly": True, "benchmark": True, "deterministic": True, "log": 7, "validated": [2]}
    assert Look.seen == expected
    assert Look.largest_gradient == pytest.approx(0.001)
    assert pd.read_csv(outcome.folder / "metrics.csv")["step"].tolist() == [3]  # 9 of 18 batches, four at a time
    assert "FIT Profiler Report" in (outcome.folder / "train.log").read_text()
    digits(*batches, "data.subset=100", look)
    assert Look.seen | {"log": 7, "validated": [2]} == expected | dict.fromkeys(
        ("anomaly", "benchmark", "deterministic"), False
    )


@pytest.mark.parametrize("name", ["limit_train_batches", "limit_val_batches", "val_check_interval"])
def test_one_batch_and_all_of_them_are_two_runs(name):
    identities = [identify(OmegaConf.create({"trainer": {name: value}})).identity for value in (1, 1.0, 2, 2.0)]
    assert len(set(identities)) == 3
    assert identities[2] == identities[3]


@pytest.mark.parametrize(("option", "epochs"), [("+trainer.min_epochs=3", 3), ("+trainer.min_steps=4", 2)])
def test_a_run_that_would_stop_early_goes_on_as_long_as_it_is_asked_to(digits, option, epochs):
    small = ("model=mlp_1x512", "data.subset=100", "data.batch_size=50", "trainer.max_epochs=4")
    outcome = digits(*small, "callbacks=fit_until", "callbacks.fit_until.accuracy=1e-9", option)
    assert outcome.result["epochs"] == epochs


def test_a_strategy_for_several_devices_changes_nothing_on_one(digits):
    small = ("model=mlp_1x512", "data.subset=100", "trainer.max_epochs=1")
    one, other = (digits(*small, f"trainer.strategy={name}", f"paths.output_dir={name}") for name in ("auto", "ddp"))
    (first,) = one.root.glob("auto/*/*/")
    (second,) = other.root.glob("ddp/*/*/")
    torch.testing.assert_close(weights(second), weights(first), rtol=0, atol=0)
