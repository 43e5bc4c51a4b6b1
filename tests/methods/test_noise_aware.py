"""Options that depend on the noise: what is estimated, when it counts, and what is recorded of it."""

import json

import numpy as np
import pytest
import torch

from lnl.data import Batch
from lnl.methods import CoTeaching
from lnl.methods.noise_aware import check_share
from lnl.noise.estimate import estimate_transition
from lnl.noise.transition import asymmetric
from tests.methods.made import make


class Strategy:
    def reduce(self, tensor, reduce_op):
        return tensor


@pytest.fixture
def method(monkeypatch):
    monkeypatch.setattr(CoTeaching, "log_term", lambda *_: None)
    made = make(CoTeaching, 3000, 3, lambda: torch.nn.Flatten())
    made._trainer = type("T", (), {"sanity_checking": False, "strategy": Strategy()})()
    return made


def validation(sure, seed=0):
    """Logits that favour the true class by ``sure``, and labels of which 30 % of class 0 became 1."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 3000)
    labels = np.where((truth == 0) & (rng.random(3000) < 0.3), 1, truth)
    return sure * np.eye(3)[truth] + rng.normal(0, 1, (3000, 3)), labels


def validate(method, logits, labels):
    for part in np.array_split(np.arange(3000), 7):
        images, given = torch.from_numpy(logits[part]).float(), torch.from_numpy(labels[part])
        method.validation_step(Batch(images, given, torch.from_numpy(part)), 0)
    method.on_validation_epoch_end()


def test_the_estimate_is_that_of_the_validation_samples(method):
    logits, labels = validation(6.0)
    validate(method, logits, labels)
    expected = estimate_transition(logits.astype(np.float32).astype(float), labels)
    np.testing.assert_allclose(method.transition, expected.transition, atol=1e-5)
    assert method.noise_rate.item() == pytest.approx(expected.wrong(labels).mean(), abs=1e-5)
    np.testing.assert_allclose(method.transition, asymmetric({0: 1}, 3, 0.3), atol=0.04)
    assert method.keep_rate(100) == pytest.approx(0.9, abs=0.01)


def test_the_estimate_that_explains_the_labels_best_is_kept(method):
    weak, strong = validation(0.5), validation(6.0)
    validate(method, *weak)
    first = method.transition.clone()
    validate(method, *strong)
    second = method.transition.clone()
    assert not torch.equal(first, second)
    validate(method, *weak)
    assert torch.equal(method.transition, second)


def test_validation_before_training_does_not_count(method):
    method.trainer.sanity_checking = True
    validate(method, *validation(6.0))
    assert method.noise_rate == 0


@pytest.mark.parametrize("value", [1.0, -0.1, 1])
def test_a_share_outside_is_refused(value):
    with pytest.raises(ValueError, match=r"forget_rate must be in \[0, 1\)"):
        check_share(forget_rate=value)


def test_a_run_records_the_estimate_beside_the_truth(digits):
    outcome = digits("method=co_teaching", "noise.rate=0.4", "trainer.max_epochs=6", "optimizer.lr=0.05")
    assert outcome.code == 0, outcome.err
    assert outcome.result["oracle_options"] == {}
    found, arrays = outcome.result["noise_believed"], np.load(outcome.folder / "transition.npz")
    np.testing.assert_allclose(arrays["believed"].sum(axis=1), 1, atol=1e-6)
    assert found["transition_error"] == pytest.approx(np.abs(arrays["believed"] - arrays["true"]).sum() / 10)
    assert found["true_rate"] == outcome.result["noise"]["train_rate"]
    assert abs(found["rate"] - 0.4) < 0.2  # of 288 validation labels
    assert json.loads((outcome.folder / "result.json").read_text())["config"]["method"]["forget_rate"] == "estimate"


def test_a_value_that_is_neither_says_what_may_be(digits):
    outcome = digits("method=co_teaching", "method.forget_rate=oracle")
    assert "method.forget_rate must be a number, estimate or true, got 'oracle'" in outcome.err
