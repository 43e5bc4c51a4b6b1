"""Log-space building blocks: accurate, with finite gradients, for logits of any size and under any autocast."""

import torch
from torch import Tensor
from torch.nn import functional as F


def log_probabilities(logits: Tensor) -> Tensor:
    """Log softmax over classes, ``[B, K] -> [B, K]``, in float32 (float64 stays float64) under any autocast."""
    return F.log_softmax(logits, dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))


def log_complement(log_p: Tensor) -> Tensor:
    """``log(1 - p)`` for every class, ``[B, K] -> [B, K]``, finite where p rounds to 1.

    Only the largest p can exceed 1/2. There ``1 - p`` would cancel, so it is summed from the other classes instead.
    """
    largest = log_p.argmax(dim=1, keepdim=True)
    is_largest = torch.zeros_like(log_p, dtype=torch.bool).scatter(1, largest, True)
    of_others = log_p.masked_fill(is_largest, -torch.inf).logsumexp(dim=1, keepdim=True)
    return torch.where(is_largest, of_others, torch.log1p(-log_p.exp().masked_fill(is_largest, 0.0)))


def pick(values: Tensor, labels: Tensor) -> Tensor:
    """The value of each sample's label, ``[B, K], [B] -> [B]``."""
    return values.gather(1, labels[:, None]).squeeze(1)


def improbabilities(logits: Tensor) -> Tensor:
    """``1 - p`` for every class, ``[B, K] -> [B, K]``."""
    return -torch.expm1(log_probabilities(logits))
