"""Sample weights from the model's own confidence."""

from typing import Any, Literal

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.losses.base import of_target
from lnl.methods.base import NoisyLabelMethod


class DynamicWeight(NoisyLabelMethod):
    r"""Weighs each sample by how confident the model is about it: :math:`\sum_i w_i \ell_i / \sum_i w_i`.

    :math:`w_i = 1` where the confidence :math:`c_i` reaches ``threshold``, else ``low_weight``. Weights carry no
    gradient. Samples whose label the model does not believe, wrong labels among them, pull less; none is dropped.

    Args:
        threshold: in [0, 1].
        low_weight: weight below the threshold, in [0, 1], or ``confidence`` for :math:`w_i = c_i` there.
        confidence: in the ``given`` label, its probability :math:`p_{iy_i}`, or in the ``predicted`` class,
            :math:`\max_k p_{ik}`.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.6,
        low_weight: float | Literal["confidence"] = 0.25,
        confidence: Literal["given", "predicted"] = "given",
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[0, 1]", threshold=threshold, low_weight=None if low_weight == "confidence" else low_weight)
        if confidence not in ("predicted", "given"):
            raise ValueError(f"confidence must be predicted or given, got '{confidence}'")
        self.threshold, self.low_weight, self.confidence = threshold, low_weight, confidence

    def training_loss(self, batch: Batch) -> Tensor:
        logits = self(batch.images)
        weights = self.weights(logits.detach(), batch.labels)
        self.log_term("mean_weight", weights.mean(), batch)
        total = weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)  # all may weigh nothing
        return (weights * self.loss(logits, batch.labels)).sum() / total

    def weights(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weights ``[B]``, not yet normalised, for logits ``[B, K]`` and labels ``[B]`` or ``[B, K]``."""
        probabilities = logits.float().softmax(dim=1)
        of_label = of_target(probabilities, labels)
        confidence = of_label if self.confidence == "given" else probabilities.amax(dim=1)
        low = confidence if self.low_weight == "confidence" else torch.full_like(confidence, float(self.low_weight))
        return torch.where(confidence >= self.threshold, 1.0, low)
