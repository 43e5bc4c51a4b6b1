"""Losses: ``(logits[B, K], target) -> [B]``, one value per sample, in float32 under any autocast."""

from lnl.losses.active_passive import ActivePassiveLoss
from lnl.losses.base import Loss
from lnl.losses.normalized import NormalizedCrossEntropy, NormalizedFocalLoss, NormalizedGeneralizedCrossEntropy
from lnl.losses.robust import GeneralizedCrossEntropy, ReverseCrossEntropy, SymmetricCrossEntropy
from lnl.losses.standard import CrossEntropy, FocalLoss, L1Loss, MeanAbsoluteError

__all__ = [
    "ActivePassiveLoss",
    "CrossEntropy",
    "FocalLoss",
    "GeneralizedCrossEntropy",
    "L1Loss",
    "Loss",
    "MeanAbsoluteError",
    "NormalizedCrossEntropy",
    "NormalizedFocalLoss",
    "NormalizedGeneralizedCrossEntropy",
    "ReverseCrossEntropy",
    "SymmetricCrossEntropy",
]
