"""Learning to Reweight: samples count as far as they help with trusted ones."""

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.methods.meta_learning import MetaLearning


class LearningToReweight(MetaLearning):
    r"""Learning to Reweight Examples (arXiv:1803.09050): each step finds weights for its samples,
    :math:`\sum_i w_i\, \ell_i`.

    The model's parameters are moved by a virtual step on :math:`\sum_i \epsilon_i\, \ell_i` with :math:`\epsilon_i =
    0`. The weight is how fast the loss of a batch of trusted samples falls with :math:`\epsilon_i`, :math:`w_i =
    \max(0, -\partial \ell_\text{trusted} / \partial \epsilon_i)`, divided by the sum of all; if no sample helps, all
    weights are 0. So :math:`w_i` is proportional to the inner product of the sample's gradient and the trusted one, and
    the rate of the virtual step does not matter. Trusted samples are not trained on. In the authors' code the trusted
    loss has weight decay.

    Args:
        trusted_batch_size: trusted samples in a step; null for as many as the step has.
    """

    def training_loss(self, batch: Batch) -> Tensor:
        weights = self.weights(batch, next(self.streams[0]))
        self.log_term("left_out", (weights == 0).float().mean(), batch)
        return (weights * self.loss(self(batch.images), batch.labels)).sum()

    def weights(self, batch: Batch, trusted: Batch) -> Tensor:
        """w of the samples, ``[B]``, which add up to 1 or are all 0."""
        losses = self.loss(self.virtual({}, batch.images), batch.labels)
        epsilon = torch.zeros_like(losses, requires_grad=True)
        moved = self.moved((epsilon * losses).sum(), rate=1.0)  # any rate: it is divided out
        meta_loss = self.loss(self.virtual(moved, trusted.images), trusted.labels).mean()
        (gradient,) = torch.autograd.grad(meta_loss, [epsilon])
        helpful = (-gradient).clamp(min=0)
        return helpful / helpful.sum().clamp(min=torch.finfo(helpful.dtype).tiny)
