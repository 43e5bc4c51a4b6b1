"""What holds for the losses over random input, in half precision, and for logits that break naive code."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lnl.losses import (
    CrossEntropy,
    FocalLoss,
    GeneralizedCrossEntropy,
    L1Loss,
    MeanAbsoluteError,
    NormalizedCrossEntropy,
    NormalizedFocalLoss,
    NormalizedGeneralizedCrossEntropy,
    ReverseCrossEntropy,
    SymmetricCrossEntropy,
)
from tests.losses.formulas import APL, LOSSES, MODERATE, NORMALIZED, A, batches, every_loss, quick, value_and_gradient


def over_all_labels(loss, logits):
    """The loss of each sample under each possible label, ``[K, B]``."""
    return torch.stack([loss(logits, torch.full((len(logits),), k)) for k in range(logits.shape[1])])


@every_loss
@quick
@given(batch=MODERATE)
def test_each_sample_has_a_value_of_its_own(loss, batch):
    logits, labels = batch
    values = loss(logits, labels)
    assert values.shape == labels.shape
    alone = torch.cat([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(len(labels))])
    torch.testing.assert_close(values, alone)


SUMS = {"MAE": lambda k: k - 1, "L1": lambda k: 2 * (k - 1), "RCE": lambda k: A * (k - 1), "GCE(1)": lambda k: k - 1}
SUMS |= dict.fromkeys(NORMALIZED, lambda k: 1)


@pytest.mark.parametrize("name", SUMS)
@quick
@given(batch=MODERATE)
def test_a_symmetric_loss_sums_to_a_constant_over_labels(name, batch):
    logits, _ = batch
    constant = torch.full((len(logits),), SUMS[name](logits.shape[1]), dtype=torch.float64)
    torch.testing.assert_close(over_all_labels(LOSSES[name][0], logits).sum(0), constant)


EQUAL = {
    "NFL(0) is NCE": (NormalizedFocalLoss(gamma=0), NormalizedCrossEntropy()),
    "FL(0) is CE": (FocalLoss(gamma=0), CrossEntropy()),
    "GCE(1) is MAE": (GeneralizedCrossEntropy(q=1), MeanAbsoluteError()),
    "L1 is 2 MAE": (L1Loss(), lambda z, y: 2 * MeanAbsoluteError()(z, y)),
    "SCE is CE and RCE": (
        SymmetricCrossEntropy(alpha=6, beta=0.1),
        lambda z, y: 6 * CrossEntropy()(z, y) + 0.1 * ReverseCrossEntropy()(z, y),
    ),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
@quick
@given(batch=MODERATE)
def test_losses_that_coincide(one, other, batch):
    torch.testing.assert_close(value_and_gradient(one, *batch), value_and_gradient(other, *batch))


@pytest.mark.parametrize("loss", [loss for loss, _ in APL.values()], ids=APL)
@quick
@given(batch=MODERATE)
def test_active_and_passive_terms_are_weighted_and_add_up(loss, batch):
    active, passive = loss.terms(*batch)
    torch.testing.assert_close(active, 3 * loss.active(*batch))
    torch.testing.assert_close(passive, 0.5 * loss.passive(*batch))
    torch.testing.assert_close(loss(*batch), active + passive)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_does_not_reach_the_loss(loss, dtype):
    logits = (4 * torch.randn(64, 10, generator=torch.Generator().manual_seed(0))).to(dtype)
    labels = torch.arange(64) % 10
    expected = loss(logits.float(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(logits, labels)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, expected, rtol=0, atol=0)


# Ties and one-hot-like rows are what fails first, hence drawn often.
HUGE = batches(st.sampled_from([-1e4, 0.0, 1e4]) | st.floats(-1e4, 1e4) | st.floats(-1, 1), torch.float32)


@every_loss
@settings(max_examples=60)
@given(batch=HUGE)
def test_value_and_gradient_are_finite_for_huge_logits(loss, batch):
    for tensor in value_and_gradient(loss, *batch):
        assert tensor.isfinite().all()


@every_loss
@pytest.mark.parametrize(
    "row", [[1e4, -1e4, -1e4], [-1e4, 1e4, -1e4], [1e4] * 3, [-1e4] * 3, [0.0] * 3, [1e4, 1e4, -1e4]]
)
def test_value_and_gradient_are_finite_at_corners(loss, row):
    for tensor in value_and_gradient(loss, torch.tensor([row] * 3), torch.arange(3)):
        assert tensor.isfinite().all()


@every_loss
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_raises(loss, label):
    with pytest.raises((IndexError, RuntimeError)):
        loss(torch.zeros(2, 3), torch.tensor([0, label]))


INVALID = [
    *((cls, {"gamma": gamma}) for cls in (FocalLoss, NormalizedFocalLoss) for gamma in (-0.5, -2)),
    *((cls, {"q": q}) for cls in (GeneralizedCrossEntropy, NormalizedGeneralizedCrossEntropy) for q in (0, -0.7, 1.1)),
    *((ReverseCrossEntropy, {"log_zero": log_zero}) for log_zero in (0, 9.21)),
]


@pytest.mark.parametrize(("cls", "argument"), INVALID)
def test_an_invalid_argument_raises_and_is_shown(cls, argument):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=f"{name} must be .* got {value}$"):
        cls(**argument)
