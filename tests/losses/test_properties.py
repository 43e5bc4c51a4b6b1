"""What holds for the losses over random input, in half precision, and for logits that break naive code."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lnl.losses import (
    AsymmetricExponentialLoss,
    AsymmetricGeneralizedCrossEntropy,
    AsymmetricMeanSquaredError,
    AsymmetricUnhingedLoss,
    BiTemperedLogisticLoss,
    CrossEntropy,
    EpsilonSoftmax,
    FocalLoss,
    GeneralizedCrossEntropy,
    GeneralizedJensenShannon,
    JensenShannon,
    L1Loss,
    LogitClip,
    MeanAbsoluteError,
    NormalizedCrossEntropy,
    NormalizedFocalLoss,
    NormalizedGeneralizedCrossEntropy,
    NormalizedNegativeCrossEntropy,
    NormalizedNegativeFocalLoss,
    PartiallyHuberisedCrossEntropy,
    PeerLoss,
    ReverseCrossEntropy,
    SymmetricCrossEntropy,
    TaylorCrossEntropy,
    VariationBoundedLoss,
)
from tests.losses.formulas import (
    APL,
    LOSSES,
    MODERATE,
    NEGATIVE,
    NORMALIZED,
    A,
    batches,
    entropy,
    every_loss,
    quick,
    value_and_gradient,
)


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
SUMS |= dict.fromkeys(NORMALIZED, lambda k: 1) | dict.fromkeys(NEGATIVE, lambda k: k - 1) | {"unhinged": lambda k: k}


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
    "NNFL(0) is NNCE": (NormalizedNegativeFocalLoss(gamma=0), NormalizedNegativeCrossEntropy()),
    "TCE(1) is MAE": (TaylorCrossEntropy(order=1), MeanAbsoluteError()),
    "eps-softmax(m 0) is CE and L1": (
        EpsilonSoftmax(alpha=2, beta=3, m=0),
        lambda z, y: 2 * CrossEntropy()(z, y).clamp(max=math.log(1e8)) + 3 * L1Loss()(z, y),
    ),
    "AGCE(q 1) is MAE": (AsymmetricGeneralizedCrossEntropy(a=2, q=1), MeanAbsoluteError()),
    "AUL(q 1) is MAE": (AsymmetricUnhingedLoss(a=2, q=1), MeanAbsoluteError()),
    "LogitClip far away is the loss": (LogitClip(FocalLoss(), tau=1e3), FocalLoss()),
    "GJS of equal views is JS": (
        lambda z, y: GeneralizedJensenShannon(pi1=0.3)(torch.stack([z, z]), y),
        JensenShannon(pi1=0.3),
    ),
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
    (NormalizedNegativeFocalLoss, {"gamma": -1}),
    (AsymmetricGeneralizedCrossEntropy, {"a": 0}),
    (AsymmetricGeneralizedCrossEntropy, {"q": 0}),
    (AsymmetricUnhingedLoss, {"a": 1}),
    (AsymmetricUnhingedLoss, {"q": 0}),
    (AsymmetricExponentialLoss, {"a": 0}),
    (AsymmetricMeanSquaredError, {"a": 0}),
    (VariationBoundedLoss, {"a": 0}),
    *((EpsilonSoftmax, {name: -1}) for name in ("alpha", "beta", "m", "gamma")),
    (TaylorCrossEntropy, {"order": 0}),
    (PartiallyHuberisedCrossEntropy, {"tau": 1}),
    (BiTemperedLogisticLoss, {"t1": 1.1}),
    (BiTemperedLogisticLoss, {"t2": 0.9}),
    (JensenShannon, {"pi1": 0}),
    (GeneralizedJensenShannon, {"pi1": 1}),
    (GeneralizedJensenShannon, {"views": 0}),
]


@pytest.mark.parametrize(("cls", "argument"), INVALID)
def test_an_invalid_argument_raises_and_is_shown(cls, argument):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=f"{name} must be .* got {value}$"):
        cls(**argument)


@every_loss
@quick
@given(batch=MODERATE)
def test_of_soft_labels_it_is_the_mean_over_labels(loss, batch):
    logits, labels = batch
    share = logits.flip(1).softmax(1)
    expected = (share * over_all_labels(loss, logits).T).sum(1)
    torch.testing.assert_close(loss(logits, share), expected)
    one_hot = torch.eye(logits.shape[1], dtype=logits.dtype)[labels]
    torch.testing.assert_close(loss(logits, one_hot), loss(logits, labels))


def test_several_views_are_compared_with_each_other():
    """The formula of three distributions, the label and two predictions, with entropies only."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 7, 5, generator=generator, dtype=torch.float64)
    labels, pi1 = torch.arange(7) % 5, 0.9
    first, second = logits.softmax(2)
    mixed = pi1 * torch.eye(5, dtype=torch.float64)[labels] + (1 - pi1) / 2 * (first + second)
    scale = -(1 - pi1) * math.log(1 - pi1)
    expected = (entropy(mixed) - (1 - pi1) / 2 * (entropy(first) + entropy(second))) / scale
    torch.testing.assert_close(GeneralizedJensenShannon(pi1=pi1)(logits, labels), expected)


def test_peers_are_drawn_apart_from_their_labels(monkeypatch):
    """Image 2 with label 0 for the first sample, 0 with 1 for the second, 1 with 1 for the third."""
    peers = torch.tensor([[2, 0, 1], [0, 1, 1]])
    monkeypatch.setattr(torch, "randint", lambda high, size, device: peers if (high, size) == (3, (2, 3)) else None)
    logits, labels = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 0, 2])
    for least in (0.0, 0.2):
        p = (logits.softmax(1) + least) / (1 + 4 * least)
        log_p = p.log()
        expected = torch.stack(
            [-log_p[0, 3] + 0.5 * log_p[2, 3], -log_p[1, 0] + 0.5 * log_p[0, 0], -log_p[2, 2] + 0.5 * log_p[1, 0]]
        )
        torch.testing.assert_close(PeerLoss(CrossEntropy(), alpha=0.5, least=least)(logits, labels), expected)


def test_peer_loss_stays_above_a_bound():
    """Whatever peers are drawn: what the network can gain by being sure of one label is log(1e-5)."""
    logits = 1e4 * torch.eye(3).repeat(50, 1)
    losses = PeerLoss(CrossEntropy())(logits, torch.arange(150) % 3)
    assert losses.min() > math.log(1e-5) - 1e-3


@pytest.mark.parametrize(("cls", "argument"), [(LogitClip, {"tau": 0}), (PeerLoss, {"alpha": -1})])
def test_a_loss_around_another_refuses_what_it_cannot_use(cls, argument):
    with pytest.raises(ValueError, match=f"{next(iter(argument))} must be"):
        cls(CrossEntropy(), **argument)
