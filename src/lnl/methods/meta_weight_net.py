"""Meta-Weight-Net: sample weights learned from trusted samples."""

from typing import Any

import torch
from torch import Tensor, nn

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.meta_learning import MetaLearning


class MetaWeightNet(MetaLearning):
    r"""Meta-Weight-Net (arXiv:1902.07379): a small network V weighs each sample by its loss,
    :math:`\frac{1}{B} \sum_i V(\ell_i)\, \ell_i`.

    In each step V is trained so that the model would do better on trusted samples: the model's parameters are moved by
    one virtual step of gradient descent on the weighted loss, and V descends on the loss of a batch of trusted samples
    under the moved parameters, through the virtual step. Then the model is trained with the weights of the new V.
    Trusted samples are not trained on; ``trusted_batch_size`` is that of :class:`MetaLearning`.

    Args:
        hidden: units of V's hidden layer, at least 1.
        lr, weight_decay: of Adam, which trains V.
        virtual_lr: of the virtual step, above 0; null for the optimizer's own
            (:func:`~lnl.methods.meta_learning.step_sizes`). The authors have SGD's. At Adam's usual 1e-3 plain gradient
            descent hardly moves the model, and V's gradient is next to none.
    """

    def __init__(
        self,
        *,
        hidden: int = 100,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        virtual_lr: float | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[1, inf)", hidden=hidden)
        check_range("(0, inf)", virtual_lr=virtual_lr)
        self.weigher = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid())
        self.inner["weigher"] = torch.optim.Adam(self.weigher.parameters(), lr=lr, weight_decay=weight_decay)
        self.virtual_lr = virtual_lr

    def training_loss(self, batch: Batch) -> Tensor:
        self.train_weigher(batch, next(self.streams[0]))
        losses = self.loss(self(batch.images), batch.labels)
        weights = self.weights(losses).detach()
        self.log_term("mean_weight", weights.mean(), batch)
        return (weights * losses).mean()

    def weights(self, losses: Tensor) -> Tensor:
        """V of the losses, ``[B] -> [B]`` in (0, 1)."""
        return self.weigher(losses.detach()[:, None])[:, 0]

    def train_weigher(self, batch: Batch, trusted: Batch) -> None:
        """One step of V through a virtual step of the model."""
        losses = self.loss(self.virtual({}, batch.images), batch.labels)
        moved = self.moved((self.weights(losses) * losses).mean(), self.virtual_lr)
        meta_loss = self.loss(self.virtual(moved, trusted.images), trusted.labels).mean()
        self.inner["weigher"].zero_grad()
        meta_loss.backward(inputs=list(self.weigher.parameters()))
        self.inner["weigher"].step()
