"""Gold Loss Correction: a transition matrix from trusted samples."""

from typing import Any

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import noisy_logits
from lnl.methods.stages import Stage, StagedMethod
from lnl.methods.transition import TransitionMethod


class GoldLossCorrection(TransitionMethod, StagedMethod):
    r"""Gold Loss Correction (arXiv:1802.05300): the trusted samples say how the others are mislabelled.

    Stage 1 trains on the samples that are not trusted, with their labels as they are. Row k of :math:`\hat C` is the
    mean p of the trusted samples of class k; without any it is that of the identity. Stage 2 trains a new network on
    all samples: on :math:`\ell(p, y)` for a trusted one, on :math:`\ell(p \hat C, \tilde y)` for another, with cross
    entropy :math:`-\log (p \hat C)_{\tilde y}`. The authors start both stages from the same random weights,
    and pass trusted samples and others through the network apart, which matters for batch norm.

    Args:
        stage1_epochs: at least 1; the rest of ``trainer.max_epochs`` is stage 2.
    """

    uses_trusted = True
    is_trusted: Tensor

    def __init__(self, *, stage1_epochs: int = 1, **base: Any) -> None:
        super().__init__(**base)
        check_range("[1, inf)", stage1_epochs=stage1_epochs)
        self.stage1_epochs = stage1_epochs
        self.register_buffer("is_trusted", torch.zeros(self.num_samples, dtype=torch.bool))
        self.is_trusted[self.samples.trusted] = True

    def stages(self, epochs: int) -> list[Stage]:
        return [Stage(self.stage1_epochs), Stage(epochs - self.stage1_epochs, fresh=True)]

    def begin_stage(self, number: int) -> None:
        super().begin_stage(number)
        if number == 1:
            self.kept[self.is_trusted] = False
        else:
            index, p = self.over_training_set(lambda batch: self(batch.images).float().softmax(dim=1))
            self.believe(self.corruption(p[self.is_trusted[index]]))

    def corruption(self, p: Tensor) -> Tensor:
        r""":math:`\hat C` ``[K, K]`` of the probabilities ``[m, K]`` of the trusted samples."""
        labels = self.samples.trusted_labels.to(p.device)
        counts = torch.bincount(labels, minlength=self.num_classes)[:, None]
        sums = torch.zeros_like(self.transition).index_add(0, labels, p)
        return torch.where(counts > 0, sums / counts.clamp(min=1), torch.eye(self.num_classes).to(p))

    def training_loss(self, batch: Batch) -> Tensor:
        logits = self(batch.images)
        right = self.loss(logits, batch.labels)
        corrected = self.loss(noisy_logits(logits, self.transition), batch.labels)  # in stage 1 T is the identity
        return torch.where(self.is_trusted[batch.index], right, corrected).mean()
