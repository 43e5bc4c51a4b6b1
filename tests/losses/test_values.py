"""Values and gradients of the losses: closed forms, and naive float64 copies of the formulas."""

import math

import pytest
import torch
from hypothesis import given

from lnl.losses import ReverseCrossEntropy
from tests.losses.formulas import LOSSES, MODERATE, NORMALIZED, A, every_loss, quick, value_and_gradient

QUARTER = {
    "CE": math.log(4),
    "FL": math.sqrt(0.75) * math.log(4),
    "FL(2)": 0.75**2 * math.log(4),
    "MAE": 0.75,
    "L1": 1.5,
    "GCE": (1 - 4**-0.7) / 0.7,
    "GCE(1)": 0.75,
    "RCE": 0.75 * A,
    "RCE(-4)": 3.0,
    "SCE": 0.1 * math.log(4) + 0.75 * A,
    "NCE+MAE": 3 * 0.25 + 0.5 * 0.75,
    "NFL+RCE": 3 * 0.25 + 0.5 * 0.75 * A,
    "NNCE": 0.75,
    "NNFL": 0.75,
    "TCE": 0.75 + 0.75**2 / 2,
    "PHuber": 1 + math.log(2) - 2 / 4,
    "AGCE(6,1.5)": (7**1.5 - 6.25**1.5) / 1.5,
    "AUL": (5.25**3 - 4.5**3) / 3,
    "AEL": math.exp(-0.1),
    "AMSE": (3 / 16 + 29.75**2) / 4,
    "JS": (3 / 8 * math.log(8) + 5 / 8 * math.log(8 / 5) - math.log(4) / 2) / (0.5 * math.log(2)),
    "bi-tempered(.2,4)": -(4**-0.8 - 1) / 0.8 - (1 - 4 * 4**-1.8) / 1.8,
    "unhinged": 1.0,
} | dict.fromkeys(NORMALIZED, 0.25)


@pytest.mark.parametrize("name", QUARTER)
def test_four_equal_logits_give_the_closed_form(name):
    value = LOSSES[name][0](torch.full((2, 4), 7.0), torch.tensor([0, 3]))
    torch.testing.assert_close(value, torch.tensor([QUARTER[name]] * 2))


# Two classes with p = 3/4, 1/4 and the likelier one as label.
CE1, CE2 = math.log(4 / 3), math.log(4)
THREE_QUARTERS = {
    "CE": CE1,
    "FL": 0.5 * CE1,
    "MAE": 0.25,
    "L1": 0.5,
    "GCE": (1 - 0.75**0.7) / 0.7,
    "RCE": 0.25 * A,
    "NCE": CE1 / (CE1 + CE2),
    "NFL": 0.5 * CE1 / (0.5 * CE1 + math.sqrt(0.75) * CE2),
    "NGCE(.7)": (1 - 0.75**0.7) / (2 - 0.75**0.7 - 0.25**0.7),
}


@pytest.mark.parametrize("name", THREE_QUARTERS)
def test_two_classes_give_the_closed_form(name):
    value = LOSSES[name][0](torch.tensor([[math.log(3), 0.0]]), torch.tensor([0]))
    torch.testing.assert_close(value, torch.tensor([THREE_QUARTERS[name]]))


# Certain of class 0 of three: the loss when that is the label, and when it is not.
CERTAIN = {
    "CE": (0, 2e4),
    "FL(2)": (0, 2e4),
    "MAE": (0, 1),
    "L1": (0, 2),
    "GCE": (0, 1 / 0.7),
    "RCE": (0, A),
    "SCE": (0, 2e3 + A),
    "NNCE": (0, 1),
    "NNFL": (0, 1),
    "TCE": (0, 1.5),
    "PHuber": (0, 1 + math.log(2)),
    "AEL": (math.exp(-0.4), 1),
    "JS": (0, 2),
    "VBL": (0, math.log(11)),
    "eps-softmax": (0, 0.01 * math.log(1e8) + 10),
} | dict.fromkeys(NORMALIZED, (0, 0.5))


@pytest.mark.parametrize("name", CERTAIN)
def test_a_certain_prediction_gives_the_limit_of_the_formula(name):
    value = LOSSES[name][0](torch.tensor([[1e4, -1e4, -1e4]] * 2), torch.tensor([0, 1]))
    torch.testing.assert_close(value, torch.tensor(CERTAIN[name], dtype=torch.float32))


# Two classes, logits 20 apart and the right one ahead: nothing may be lost to a clamp or to 1 - p.
SMALL_CE, SMALL_MISS = math.log1p(math.exp(-20)), 1 / (1 + math.exp(20))
SMALL = {
    "CE": SMALL_CE,
    "FL": math.sqrt(SMALL_MISS) * SMALL_CE,
    "FL(2)": SMALL_MISS**2 * SMALL_CE,
    "MAE": SMALL_MISS,
    "RCE": A * SMALL_MISS,
    "GCE": -math.expm1(-0.7 * SMALL_CE) / 0.7,
    "NCE": SMALL_CE / (2 * SMALL_CE + 20),
    "NFL(2)": SMALL_MISS**2 * SMALL_CE / (20 + SMALL_CE),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_loss_keeps_its_relative_precision_in_float64(name):
    value = LOSSES[name][0](torch.tensor([[20.0, 0.0]], dtype=torch.float64), torch.tensor([0]))
    assert value.item() == pytest.approx(SMALL[name], rel=1e-6, abs=0)


@pytest.mark.parametrize("name", LOSSES)
@quick
@given(batch=MODERATE)
def test_value_and_gradient_are_those_of_the_formula(name, batch):
    loss, formula = LOSSES[name]
    expected = value_and_gradient(formula, *batch)
    torch.testing.assert_close(value_and_gradient(loss, *batch), expected, rtol=1e-7, atol=1e-10)
    logits, labels = batch
    in_single = value_and_gradient(loss, logits.float(), labels)
    torch.testing.assert_close(in_single, tuple(t.float() for t in expected), rtol=1e-4, atol=1e-4)


@every_loss
def test_gradient_is_that_of_the_value(loss):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: loss(z, torch.tensor([0, 4, 2, 2])), logits)


@quick
@given(batch=MODERATE)
def test_reverse_cross_entropy_is_that_of_the_authors_code_up_to_its_clamp(batch):
    logits, labels = batch
    p = logits.softmax(1).clamp(1e-7, 1)
    one_hot = torch.eye(logits.shape[1], dtype=torch.float64)[labels].clamp(1e-4, 1)
    theirs = -(p * one_hot.log()).sum(1)
    torch.testing.assert_close(ReverseCrossEntropy()(logits, labels), theirs, rtol=0, atol=A * 1e-7 * logits.shape[1])
