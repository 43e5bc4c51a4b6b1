"""What the tests of losses share: every loss, with its formula written once more, and random batches."""

import math

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lnl.losses import (
    ActivePassiveLoss,
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

A = -math.log(1e-4)
quick = settings(max_examples=20)


# The formulas once more, as plainly as they can be written: functions of probabilities p[B, K] and labels y[B].


def at(p, y):
    return p[torch.arange(len(y)), y]


def miss(p, y):
    # 1 - p_y without its cancellation, so that the reference is right where p_y rounds to 1.
    return (p * (torch.arange(p.shape[1]) != y[:, None])).sum(1)


def ce(p, y):
    return -at(p, y).log()


def focal(gamma):
    return lambda p, y: -(miss(p, y) ** gamma) * at(p, y).log()


def gce(q):
    return lambda p, y: (1 - at(p, y) ** q) / q


def rce(p, y):
    return A * miss(p, y)


def normalized(loss):
    return lambda p, y: loss(p, y) / sum(loss(p, torch.full_like(y, k)) for k in range(p.shape[1]))


def weighted(alpha, first, beta, second):
    return lambda p, y: alpha * first(p, y) + beta * second(p, y)


# Defaults are constructed without arguments: their values are those that definitions of the field give.
BASIC = {
    "CE": (CrossEntropy(), ce),
    "FL": (FocalLoss(), focal(0.5)),
    "FL(0)": (FocalLoss(gamma=0), ce),
    "FL(2)": (FocalLoss(gamma=2), focal(2)),
    "MAE": (MeanAbsoluteError(), miss),
    "L1": (L1Loss(), lambda p, y: (p - torch.eye(p.shape[1])[y]).abs().sum(1)),
    "GCE": (GeneralizedCrossEntropy(), gce(0.7)),
    "GCE(.1)": (GeneralizedCrossEntropy(q=0.1), gce(0.1)),
    "GCE(1)": (GeneralizedCrossEntropy(q=1), miss),
    "RCE": (ReverseCrossEntropy(), rce),
    "RCE(-4)": (ReverseCrossEntropy(log_zero=-4), lambda p, y: 4 * miss(p, y)),
    "SCE": (SymmetricCrossEntropy(), weighted(0.1, ce, 1, rce)),
    "SCE(6,.1)": (SymmetricCrossEntropy(alpha=6, beta=0.1), weighted(6, ce, 0.1, rce)),
}
NORMALIZED = {
    "NCE": (NormalizedCrossEntropy(), normalized(ce)),
    "NFL": (NormalizedFocalLoss(), normalized(focal(0.5))),
    "NFL(0)": (NormalizedFocalLoss(gamma=0), normalized(ce)),
    "NFL(2)": (NormalizedFocalLoss(gamma=2), normalized(focal(2))),
    "NGCE": (NormalizedGeneralizedCrossEntropy(), normalized(gce(0.1))),
    "NGCE(.7)": (NormalizedGeneralizedCrossEntropy(q=0.7), normalized(gce(0.7))),
}
APL = {
    f"{active}+{passive}": (
        ActivePassiveLoss(NORMALIZED[active][0], BASIC[passive][0], alpha=3, beta=0.5),
        weighted(3, NORMALIZED[active][1], 0.5, BASIC[passive][1]),
    )
    for active in ("NCE", "NFL", "NGCE")
    for passive in ("MAE", "RCE")
}
LOSSES = BASIC | NORMALIZED | APL
every_loss = pytest.mark.parametrize("loss", [loss for loss, _ in LOSSES.values()], ids=LOSSES)


@st.composite
def batches(draw, elements, dtype=torch.float64):
    """Logits ``[B, K]`` and labels ``[B]``."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(2, 12)))
    logits = draw(hnp.arrays(np.float64, shape, elements=elements))
    labels = draw(hnp.arrays(np.int64, shape[:1], elements=st.integers(0, shape[1] - 1)))
    return torch.tensor(logits, dtype=dtype), torch.tensor(labels)


# A gap of 24 makes p 4e-11: below every clamp that codebases use, above where float64 references fail.
MODERATE = batches(st.floats(-12, 12))


def value_and_gradient(function, logits, labels):
    logits = logits.clone().requires_grad_()
    value = function(logits, labels)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return value.detach(), gradient
