"""CORES²: a reward for confidence, and a sieve that needs no noise rate."""

from typing import Any

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.functional import mean_over


class CORES2(NoisyLabelMethod):
    r"""CORES² (arXiv:2010.02347): cross entropy less that of a label drawn at random, of samples that a sieve leaves,

    .. math:: \frac{1}{\sum_i v_i} \sum_i v_i \Big(-\log p_{i y_i} + \beta \sum_k \pi_k \log p_{ik}\Big), \qquad
        v_i = \Big[-\log p_{i y_i} \le -\frac{1}{K} \sum_k \log p_{ik}\Big].

    The second term rewards confidence, whatever the class. :math:`\pi` are the shares of the classes among the given
    labels of the samples that were kept when last seen. The sieve drops a sample whose loss is above the mean of the
    losses that all labels would have. :math:`\beta` is 0 for ``warmup_epochs``, and grows linearly for ``ramp_epochs``.

    As in the authors' code the sums have :math:`\log(p_{ik} + 10^{-8})`: the loss has no lower bound otherwise. It
    divides the learning rate by :math:`1 + \beta`; here that divides the loss, to the same end with plain SGD. Its
    :math:`\beta` is full after 29 epochs of growth, and its sieve begins one epoch later. Not here: the second phase
    (CORES*), which trains another network with consistency of the dropped samples' augmentations.

    Args:
        beta: in the end, at least 0.
        warmup_epochs, ramp_epochs: at least 0, and at least 1. The authors' are 10 and 30 of 100.
        sieve_epoch: finished epochs before samples are dropped, at least 0. The authors' are 30 of 100.
    """

    any_loss = False
    kept: Tensor
    prior: Tensor

    def __init__(
        self,
        *,
        beta: float = 2.0,
        warmup_epochs: int = 10,
        ramp_epochs: int = 30,
        sieve_epoch: int = 30,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[0, inf)", beta=beta, warmup_epochs=warmup_epochs, sieve_epoch=sieve_epoch)
        check_range("[1, inf)", ramp_epochs=ramp_epochs)
        self.beta, self.warmup_epochs, self.ramp_epochs = beta, warmup_epochs, ramp_epochs
        self.sieve_epoch = sieve_epoch
        self.register_buffer("kept", torch.ones(self.num_samples, dtype=torch.bool))  # v
        self.register_buffer("prior", torch.zeros(self.num_classes))  # pi, of this epoch

    def training_set(self, epoch: int) -> None:
        kept = self.samples.index[self.kept.cpu()[self.samples.index]]
        counts = self.samples.given[kept].bincount(minlength=self.num_classes)
        self.prior.copy_(counts / counts.sum().clamp(min=1))

    def beta_at(self, epoch: int) -> float:
        """The weight of the second term after ``epoch`` finished epochs."""
        return self.beta * min(max(epoch - self.warmup_epochs, 0) / self.ramp_epochs, 1)

    def training_loss(self, batch: Batch) -> Tensor:
        logits = self(batch.images).float()
        losses = self.loss(logits, batch.labels)
        of_every_label = -(logits.softmax(dim=1) + 1e-8).log()
        if self.current_epoch >= self.sieve_epoch:
            self.kept[batch.index] = losses <= of_every_label.mean(dim=1)
        kept, beta = self.kept[batch.index], self.beta_at(self.current_epoch)
        self.log_term("kept", kept.float().mean(), batch)
        return mean_over(losses - beta * (of_every_label @ self.prior), kept) / (1 + beta)
