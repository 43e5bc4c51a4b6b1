"""Self-training: labels that are likely wrong give way to what the network is sure of."""

from typing import Any

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.functional import small_loss_probability


class SelfTraining(NoisyLabelMethod):
    r"""FixMatch (arXiv:2001.07685) on samples that are divided by their loss as in DivideMix (arXiv:2002.07394).

    After a warm-up on all labels, each epoch fits two Gaussians to the losses of all samples: :math:`w_i` is the
    probability that loss i is of the lower one. Where it is above ``clean_probability``, sample i keeps its label, and
    its loss is that of the weak view. The label of the others is dropped: the class that the network predicts for the
    weak view, with a probability p of at least :math:`\tau`, is the label of the strong view, with the weight
    :math:`\lambda_u`. Below :math:`\tau` a sample has no part:

    .. math:: \frac{1}{B} \Big( \sum_{w_i > c} \ell(f(x_i), y_i)
        + \lambda_u \sum_{w_i \le c,\ \max p_i \ge \tau} \ell(f(x'_i), \mathrm{argmax}\, p_i) \Big).

    It is one network, which divides the samples for itself, and every sample is in one batch of an epoch. In FixMatch
    labelled and unlabelled samples have batches of their own, each with its mean, and an average of the weights is
    tested (``average=ema``); DivideMix has two networks that divide for each other, and mixup.

    Args:
        warmup_epochs: at least 0.
        clean_probability: c in [0, 1).
        threshold: :math:`\tau` in [0, 1].
        lambda_u: at least 0.
    """

    views = ("weak", "strong")
    right: Tensor

    def __init__(
        self,
        *,
        warmup_epochs: int = 10,
        clean_probability: float = 0.5,
        threshold: float = 0.95,
        lambda_u: float = 1.0,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[0, inf)", warmup_epochs=warmup_epochs, lambda_u=lambda_u)
        check_range("[0, 1)", clean_probability=clean_probability)
        check_range("[0, 1]", threshold=threshold)
        self.warmup_epochs, self.clean_probability = warmup_epochs, clean_probability
        self.threshold, self.lambda_u = threshold, lambda_u
        self.register_buffer("right", torch.ones(self.num_samples))  # w

    def training_set(self, epoch: int) -> None:
        if epoch >= self.warmup_epochs:
            index, losses = self.over_training_set(lambda batch: self.loss(self(batch.images), batch.labels))
            self.right[index] = small_loss_probability(losses)

    def training_loss(self, batch: Batch) -> Tensor:
        if self.current_epoch < self.warmup_epochs:
            return self.loss(self(batch.images), batch.labels).mean()
        weak, strong = self(torch.cat(batch.views)).chunk(2)
        self.observe(batch.index, weak)
        confidence, guess = weak.detach().float().softmax(dim=1).max(dim=1)
        labelled = self.right[batch.index] > self.clean_probability
        guessed = ~labelled & (confidence >= self.threshold)
        self.log_term("labelled", labelled.float().mean(), batch)
        self.log_term("guessed", guessed.float().mean(), batch)
        supervised = labelled * self.loss(weak, batch.labels)
        return (supervised + self.lambda_u * guessed * self.loss(strong, guess)).mean()
