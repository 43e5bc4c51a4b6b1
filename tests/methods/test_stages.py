"""Stages: what is made new in each, and what is trained."""

import pytest
import torch

from lnl.methods import Stage, StagedMethod
from tests.conftest import weights

HERE = "tests.methods.test_stages"


class InParts(StagedMethod):
    """Trains all, then the last layer again from new weights, then the rest with the last layer frozen."""

    def stages(self, epochs):
        last = list(dict(self.model.named_children()))[-1]
        others = [name for name, _ in self.model.named_children() if name != last]
        return [Stage(1), Stage(2, fresh=[last], trained=[last]), Stage(epochs - 3, trained=others)]

    def training_loss(self, batch):
        return self.loss(self(batch.images), batch.labels).mean()


def parts(state):
    """The parameters of the last layer, and the others."""
    last = ".".join(next(reversed([name for name in state if name.startswith("model.")])).split(".")[:2])
    names = [name for name in state if name.startswith("model.") and name.endswith(("weight", "bias"))]
    return (
        {name: state[name] for name in names if name.startswith(last)},
        {name: state[name] for name in names if not name.startswith(last)},
    )


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_named_layers_are_made_new_and_the_others_keep_still(digits):
    outcome = digits(f"method._target_={HERE}.InParts", "trainer.max_epochs=5", "model=cnn", "data.subset=300")
    assert outcome.code == 0, outcome.err
    (first_last, first_rest), (second_last, second_rest), (end_last, end_rest) = (
        parts(weights(outcome.folder, name)) for name in ("stage1", "stage2", "last")
    )
    assert equal(first_rest, second_rest)
    assert not equal(first_last, second_last)
    assert equal(second_last, end_last)
    assert not equal(second_rest, end_rest)
    assert {"stage1", "stage2"} <= set(outcome.result["protocol"])


@pytest.mark.parametrize(("epochs", "said"), [(3, "stage 3 of 3"), (2, "stage 3 of 3")])
def test_a_training_too_short_for_its_stages_is_refused(digits, epochs, said):
    outcome = digits(f"method._target_={HERE}.InParts", f"trainer.max_epochs={epochs}", "model=cnn")
    assert outcome.code == 1
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
