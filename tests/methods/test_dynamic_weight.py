import pytest
import torch

from lnl.data import Batch
from lnl.methods import DynamicWeight
from tests.methods.made import make

LOGITS = torch.tensor([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.6, 0.2, 0.2]]).log()
PREDICTED = {"confidence": "predicted"}
LABELS = torch.tensor([0, 0, 0, 1])


def method(**options):
    return make(DynamicWeight, 4, 3, torch.nn.Flatten, **options)


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        (PREDICTED, [1.0, 0.25, 1.0, 1.0]),  # a confidence that is just the threshold counts as reached
        ({**PREDICTED, "threshold": 0.75}, [1.0, 0.25, 0.25, 0.25]),
        ({**PREDICTED, "low_weight": 0.0}, [1.0, 0.0, 1.0, 1.0]),
        ({**PREDICTED, "low_weight": "confidence"}, [1.0, 0.5, 1.0, 1.0]),
        ({**PREDICTED, "low_weight": "confidence", "threshold": 0.75}, [1.0, 0.5, 0.7, 0.6]),
        ({}, [1.0, 0.25, 0.25, 0.25]),
        ({"low_weight": "confidence"}, [1.0, 0.5, 0.1, 0.2]),
    ],
)
def test_weights(options, weights):
    logits = LOGITS + 1e-6 * torch.nn.functional.one_hot(LOGITS.argmax(1), 3)  # 0.6 is not exact in float32
    torch.testing.assert_close(method(**options).weights(logits, LABELS), torch.tensor(weights), atol=1e-5, rtol=0)


def test_the_loss_is_a_weighted_mean_whose_weights_have_no_gradient(monkeypatch):
    monkeypatch.setattr(DynamicWeight, "log_term", lambda *_: None)
    images = LOGITS.clone().requires_grad_()
    loss = method(threshold=0.75, low_weight=0.5).training_loss(Batch(images, LABELS, torch.arange(4)))
    weights = torch.tensor([1.0, 0.5, 0.5, 0.5]) / 2.5
    p = torch.tensor([0.8, 0.5, 0.1, 0.2])
    torch.testing.assert_close(loss.detach(), -(weights * p.log()).sum())
    (gradient,) = torch.autograd.grad(loss, images)
    residual = LOGITS.exp() - torch.nn.functional.one_hot(LABELS, 3)
    torch.testing.assert_close(gradient, weights[:, None] * residual)


def test_a_batch_that_weighs_nothing_has_no_loss(monkeypatch):
    monkeypatch.setattr(DynamicWeight, "log_term", lambda *_: None)
    loss = method(threshold=1.0, low_weight=0.0).training_loss(Batch(LOGITS, LABELS, torch.arange(4)))
    assert loss == 0


@pytest.mark.parametrize(
    "options", [{"threshold": 1.1}, {"low_weight": -1}, {"low_weight": "x"}, {"confidence": "max"}]
)
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        method(**options)
