"""Losses: ``(logits[B, K], target) -> [B]``, one value per sample, in float32 under any autocast."""

from lnl.losses.active_passive import ActivePassiveLoss
from lnl.losses.asymmetric import (
    AsymmetricExponentialLoss,
    AsymmetricGeneralizedCrossEntropy,
    AsymmetricMeanSquaredError,
    AsymmetricUnhingedLoss,
    VariationBoundedLoss,
)
from lnl.losses.base import Loss
from lnl.losses.bounded import (
    BiTemperedLogisticLoss,
    PartiallyHuberisedCrossEntropy,
    TaylorCrossEntropy,
    UnhingedLoss,
)
from lnl.losses.divergence import GeneralizedJensenShannon, JensenShannon
from lnl.losses.epsilon_softmax import EpsilonSoftmax
from lnl.losses.negative import NormalizedNegativeCrossEntropy, NormalizedNegativeFocalLoss
from lnl.losses.normalized import NormalizedCrossEntropy, NormalizedFocalLoss, NormalizedGeneralizedCrossEntropy
from lnl.losses.robust import GeneralizedCrossEntropy, ReverseCrossEntropy, SymmetricCrossEntropy
from lnl.losses.standard import CrossEntropy, FocalLoss, L1Loss, MeanAbsoluteError
from lnl.losses.wrapped import LogitClip, PeerLoss

__all__ = [
    "ActivePassiveLoss",
    "AsymmetricExponentialLoss",
    "AsymmetricGeneralizedCrossEntropy",
    "AsymmetricMeanSquaredError",
    "AsymmetricUnhingedLoss",
    "BiTemperedLogisticLoss",
    "CrossEntropy",
    "EpsilonSoftmax",
    "FocalLoss",
    "GeneralizedCrossEntropy",
    "GeneralizedJensenShannon",
    "JensenShannon",
    "L1Loss",
    "LogitClip",
    "Loss",
    "MeanAbsoluteError",
    "NormalizedCrossEntropy",
    "NormalizedFocalLoss",
    "NormalizedGeneralizedCrossEntropy",
    "NormalizedNegativeCrossEntropy",
    "NormalizedNegativeFocalLoss",
    "PartiallyHuberisedCrossEntropy",
    "PeerLoss",
    "ReverseCrossEntropy",
    "SymmetricCrossEntropy",
    "TaylorCrossEntropy",
    "UnhingedLoss",
    "VariationBoundedLoss",
]
