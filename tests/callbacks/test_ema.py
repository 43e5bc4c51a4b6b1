"""The averaged weights against the recursion, step by step."""

from typing import ClassVar

import pandas as pd
import pytest
import torch
from pytorch_lightning.callbacks import Callback

from lnl.callbacks import EMA
from tests.conftest import weights

HERE = "tests.callbacks.test_ema"


class Watch(Callback):
    """Keeps the weights after each step, and those that validation sees."""

    steps: ClassVar[list] = []
    validated: ClassVar[list] = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        Watch.steps.append({name: value.clone() for name, value in pl_module.state_dict().items()})

    def on_validation_batch_start(self, trainer, pl_module, *_):
        Watch.validated.append({name: value.clone() for name, value in pl_module.state_dict().items()})


@pytest.fixture
def watched(digits):
    Watch.steps, Watch.validated = [], []
    return lambda *options: digits(f"+callbacks.watch._target_={HERE}.Watch", "data.subset=300", *options)


def averaged(steps, decay):
    average = dict(steps[0])
    for done, state in enumerate(steps[1:], 2):
        d = min(decay, done / (9 + done))
        average = {n: v if not v.is_floating_point() else d * average[n] + (1 - d) * v for n, v in state.items()}
    return average


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_what_is_kept_and_validated_is_the_average_of_all_steps(watched, decay):
    outcome = watched("average=ema", f"average.decay={decay}", "model=cnn", "trainer.max_epochs=3")
    per_epoch = len(Watch.steps) // 3
    for epoch, seen in enumerate(Watch.validated, 1):
        torch.testing.assert_close(seen, averaged(Watch.steps[: epoch * per_epoch], decay), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(weights(outcome.folder), Watch.validated[-1], rtol=0, atol=0)


def test_training_is_as_without_it(watched):
    averaged_run = watched("average=ema", "model=cnn").folder
    first = Watch.steps.copy()
    Watch.steps.clear()
    outcome = watched("model=cnn")
    torch.testing.assert_close(Watch.steps, first, rtol=0, atol=0)
    plain = next(folder for folder in outcome.folders if folder != averaged_run)
    tables = [pd.read_csv(folder / "metrics.csv") for folder in (averaged_run, plain)]
    assert tables[0]["train/loss"].equals(tables[1]["train/loss"])
    assert not tables[0]["val/loss"].equals(tables[1]["val/loss"])


def test_state_of_samples_is_not_averaged(watched):
    state = weights(watched("average=ema", "method=elr").folder)
    torch.testing.assert_close(state["targets"], Watch.steps[-1]["targets"], rtol=0, atol=0)


def test_steps_that_only_accumulate_gradients_do_not_count(watched):
    watched("average=ema", "average.decay=0.5", "trainer.accumulate_grad_batches=2", "trainer.max_epochs=1")
    torch.testing.assert_close(
        Watch.validated[0],
        averaged(Watch.steps[1::2] + [Watch.steps[-1]] * (len(Watch.steps) % 2), 0.5),
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_network_that_is_made_new_begins_a_new_average(digits):
    """With weights that stand still, the average of a stage is the stage's own network, and none of the one before."""
    still = ("optimizer.lr=1e-12", "method=label_correction", "data.trusted=100", "method.threshold=0.0")
    options = (*still, "model=mlp_1x512", "trainer.max_epochs=5")
    averaged_run = digits(*options, "average=ema").folder
    plain = next(folder for folder in digits(*options).folders if folder != averaged_run)
    first, second = (weights(averaged_run, name) for name in ("stage1", "last"))
    changed = [name for name in first if name.startswith("model.") and not torch.equal(first[name], second[name])]
    assert changed
    theirs = weights(plain)
    for name in changed:
        torch.testing.assert_close(second[name], theirs[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("decay", [1.0, -0.1])
def test_a_decay_outside_is_refused(decay):
    with pytest.raises(ValueError, match="decay must be"):
        EMA(decay)
