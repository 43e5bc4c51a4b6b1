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
    UnhingedLoss,
    VariationBoundedLoss,
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


def negative(loss):
    """Normalized negative: the loss turned over at its value for p = 1e-7, its largest."""

    def formula(p, y):
        least = torch.full_like(p[:1], 1e-7)
        most = 1 - 1e-7
        over = [
            loss(least, y[:1] * 0 + k, most) - loss(p.clamp(min=1e-7), k + 0 * y, miss(p, k + 0 * y).clamp(max=most))
            for k in range(p.shape[1])
        ]
        return 1 - torch.stack(over).gather(0, y[None])[0] / sum(over)

    return formula


def entropy(p):
    return -(p * p.clamp(min=1e-300).log()).sum(1)


def js(pi1):
    def formula(p, y):
        label = torch.eye(p.shape[1], dtype=p.dtype)[y]
        mixed = entropy(pi1 * label + (1 - pi1) * p)
        return (mixed - (1 - pi1) * entropy(p)) / -((1 - pi1) * math.log(1 - pi1))

    return formula


def amse(a):
    return lambda p, y: (p - a * torch.eye(p.shape[1], dtype=p.dtype)[y]).square().mean(1)


def phuber(tau):
    return lambda p, y: torch.where(at(p, y) > 1 / tau, ce(p, y), -tau * at(p, y) + math.log(tau) + 1)


def eps_softmax(alpha, beta, m, gamma=0.0):
    def formula(p, y):
        one_hot = torch.zeros_like(p)
        one_hot[torch.arange(len(p)), p.argmax(1)] = 1
        raised = (p + m * one_hot) / (m + 1)
        rest = miss(p, p.argmax(1)) / (m + 1)  # 1 - p' of the largest, without its cancellation
        complement = torch.where(p.argmax(1) == y, rest, 1 - at(raised, y))
        return alpha * complement**gamma * -at(raised.clamp(min=1e-8), y).log() + beta * 2 * miss(p, y)

    return formula


# Those of logits, not of probabilities: their formulas are functions of logits z[B, K].


def bi_tempered(t1, t2):
    """By bisection for the normalisation, and the paper's divergence of the one-hot label from p."""

    def tempered(z, shift):
        return (1 + (1 - t2) * (z - shift)).clamp(min=1e-300) ** (1 / (1 - t2)) if t2 != 1 else (z - shift).exp()

    def formula(z, y):
        low, high = z.detach().amax(1, keepdim=True), z.detach().amax(1, keepdim=True) + 1000.0
        for _ in range(200):
            middle = (low + high) / 2
            above = tempered(z.detach(), middle).sum(1, keepdim=True) > 1
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        p = tempered(z, low)
        p = tempered(z, low + (p.sum(1, keepdim=True) - 1) / (p**t2).sum(1, keepdim=True).detach())  # its gradient
        log = p.log() if t1 == 1 else (p ** (1 - t1) - 1) / (1 - t1)
        return -at(log, y) - (1 - (p ** (2 - t1)).sum(1)) / (2 - t1)

    return formula


def unhinged(z, y):
    return 1 - at(z, y) + z.mean(1)


def clipped(tau, loss):
    return lambda z, y: loss((z / (z.norm(dim=1, keepdim=True) / tau).clamp(min=1)).softmax(1), y)


def of_probabilities(formula):
    return lambda z, y: formula(z.softmax(1), y)


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
NEGATIVE = {
    "NNCE": (NormalizedNegativeCrossEntropy(), negative(lambda p, y, miss: -at(p, y).log())),
    "NNFL": (NormalizedNegativeFocalLoss(), negative(lambda p, y, miss: -(miss**0.5) * at(p, y).log())),
}
BOUNDED = {
    "TCE": (TaylorCrossEntropy(), lambda p, y: miss(p, y) + miss(p, y) ** 2 / 2),
    "TCE(4)": (TaylorCrossEntropy(order=4), lambda p, y: sum(miss(p, y) ** i / i for i in (1, 2, 3, 4))),
    "PHuber": (PartiallyHuberisedCrossEntropy(), phuber(2)),
    "PHuber(10)": (PartiallyHuberisedCrossEntropy(tau=10), phuber(10)),
    "AGCE": (AsymmetricGeneralizedCrossEntropy(), lambda p, y: (1.6**0.6 - (0.6 + at(p, y)) ** 0.6) / 0.6),
    "AGCE(6,1.5)": (
        AsymmetricGeneralizedCrossEntropy(a=6, q=1.5),
        lambda p, y: (7**1.5 - (6 + at(p, y)) ** 1.5) / 1.5,
    ),
    "AUL": (AsymmetricUnhingedLoss(), lambda p, y: ((5.5 - at(p, y)) ** 3 - 4.5**3) / 3),
    "AUL(6.3,1.5)": (
        AsymmetricUnhingedLoss(a=6.3, q=1.5),
        lambda p, y: ((6.3 - at(p, y)) ** 1.5 - 5.3**1.5) / 1.5,
    ),
    "AEL": (AsymmetricExponentialLoss(), lambda p, y: (-at(p, y) / 2.5).exp()),
    "AMSE": (AsymmetricMeanSquaredError(), amse(30)),
    "AMSE(1)": (AsymmetricMeanSquaredError(a=1), amse(1)),
    "VBL": (VariationBoundedLoss(), lambda p, y: math.log(1.1) - (at(p, y) + 0.1).log()),
    "JS": (JensenShannon(), js(0.5)),
    "JS(.7)": (JensenShannon(pi1=0.7), js(0.7)),
    "GJS": (GeneralizedJensenShannon(pi1=0.9), js(0.9)),
    "eps-softmax": (EpsilonSoftmax(), eps_softmax(0.01, 5, 1e5)),
    "eps-softmax(.5,1,1e4)": (EpsilonSoftmax(alpha=0.5, beta=1, m=1e4), eps_softmax(0.5, 1, 1e4)),
    "eps-softmax-FL": (EpsilonSoftmax(gamma=0.1), eps_softmax(0.01, 5, 1e5, 0.1)),
    "peer, evaluated": (PeerLoss(CrossEntropy()).eval(), ce),
}
OF_LOGITS = {
    "bi-tempered": (BiTemperedLogisticLoss(), bi_tempered(0.8, 1.2)),
    "bi-tempered(.2,4)": (BiTemperedLogisticLoss(t1=0.2, t2=4), bi_tempered(0.2, 4)),
    "bi-tempered(1,1)": (BiTemperedLogisticLoss(t1=1, t2=1), of_probabilities(ce)),
    "unhinged": (UnhingedLoss(), unhinged),
    "LogitClip": (LogitClip(CrossEntropy()), clipped(1, ce)),
    "LogitClip(GCE,2.5)": (LogitClip(GeneralizedCrossEntropy(), tau=2.5), clipped(2.5, gce(0.7))),
}
APL = {
    f"{active}+{passive}": (
        ActivePassiveLoss(NORMALIZED[active][0], BASIC[passive][0], alpha=3, beta=0.5),
        weighted(3, NORMALIZED[active][1], 0.5, BASIC[passive][1]),
    )
    for active in ("NCE", "NFL", "NGCE")
    for passive in ("MAE", "RCE")
}
LOSSES = BASIC | NORMALIZED | NEGATIVE | BOUNDED | APL
LOSSES = {name: (loss, of_probabilities(formula)) for name, (loss, formula) in LOSSES.items()} | OF_LOGITS
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
