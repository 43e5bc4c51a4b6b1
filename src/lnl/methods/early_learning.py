"""Early-learning regularisation: what the model believed before it memorised."""

from typing import Any

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.base import NoisyLabelMethod


def probabilities(logits: Tensor) -> Tensor:
    """Softmax, clamped to [1e-4, 1 - 1e-4]."""
    return logits.float().softmax(dim=1).clamp(1e-4, 1 - 1e-4)


def remember(targets: Tensor, index: Tensor, p: Tensor, beta: float) -> Tensor:
    """Brings the rows ``index[B]`` of the running means ``targets[N, K]`` up to date with ``p[B, K]``; returns them."""
    targets[index] = updated = beta * targets[index] + (1 - beta) * (p / p.sum(dim=1, keepdim=True))
    return updated


def early_learning_regularizer(targets: Tensor, p: Tensor) -> Tensor:
    r"""The mean of :math:`\log(1 - \langle t_i, p_i \rangle)`."""
    return (1 - (targets * p).sum(dim=1)).log().mean()


class EarlyLearningRegularization(NoisyLabelMethod):
    r"""ELR (arXiv:2007.00151): :math:`\ell_i + \lambda \log(1 - \langle t_i, p_i \rangle)`, in the mean over the batch.

    The target :math:`t_i \leftarrow \beta t_i + (1 - \beta) p_i` is a running mean of what was predicted for sample i,
    brought up to date before it is used; it starts at 0 and carries no gradient. Early on the model predicts the right
    class of wrongly labelled samples; the second term, never above 0, rewards it for staying with that, against the
    gradient of the given label.

    As in the authors' code p is clamped to [1e-4, 1 - 1e-4], and made to sum to 1 again for the target. The paper's
    :math:`\ell` is cross entropy, here it is ``loss``.

    Args:
        beta: in [0, 1).
        weight: :math:`\lambda`, at least 0; 0 trains as :class:`Baseline` does.
    """

    targets: Tensor

    def __init__(self, *, beta: float = 0.7, weight: float = 3.0, **base: Any) -> None:
        super().__init__(**base)
        check_range("[0, 1)", beta=beta)
        check_range("[0, inf)", weight=weight)
        self.beta, self.weight = beta, weight
        self.register_buffer("targets", torch.zeros(self.num_samples, self.num_classes))

    def training_loss(self, batch: Batch) -> Tensor:
        logits = self(batch.images)
        p = probabilities(logits)
        targets = remember(self.targets, batch.index, p.detach(), self.beta)
        regularizer = early_learning_regularizer(targets, p)
        self.log_term("regularizer", regularizer, batch)
        return self.loss(logits, batch.labels).mean() + self.weight * regularizer
