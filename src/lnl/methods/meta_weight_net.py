"""Meta-Weight-Net: sample weights learned from trusted samples."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.base import NoisyLabelMethod


class MetaWeightNet(NoisyLabelMethod):
    r"""Meta-Weight-Net (arXiv:1902.07379): a small network V weighs each sample by its loss,
    :math:`\frac{1}{B} \sum_i V(\ell_i)\, \ell_i`.

    In each step V is trained so that the model would do better on trusted samples: the model's parameters are moved by
    one virtual step of gradient descent on the weighted loss, at the present learning rate, and V descends on the loss
    of a batch of trusted samples under the moved parameters, through the virtual step. Then the model is trained with
    the weights of the new V. Trusted samples are not trained on.

    Args:
        hidden: units of V's hidden layer, at least 1.
        lr, weight_decay: of Adam, which trains V.
        trusted_batch_size: trusted samples in a step; null for as many as the step has.
    """

    uses_trusted = True
    several_devices = False  # V's gradient is of one process

    def __init__(
        self,
        *,
        hidden: int = 100,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        trusted_batch_size: int | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[1, inf)", hidden=hidden, trusted_batch_size=trusted_batch_size)
        self.weigher = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid())
        self.inner["weigher"] = torch.optim.Adam(self.weigher.parameters(), lr=lr, weight_decay=weight_decay)
        self.trusted_batch_size = trusted_batch_size

    def training_set(self, epoch: int) -> Tensor:
        self.endless(self.samples.trusted, stream=0, batch_size=self.trusted_batch_size)
        return self.samples.index[~torch.isin(self.samples.index, self.samples.trusted)]

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
        """One step of V through a virtual step of the model, whose own parameters and statistics stay as they are."""
        parameters = dict(self.model.named_parameters())
        losses = self.loss(self.virtual(parameters, batch.images), batch.labels)
        descent = torch.autograd.grad(
            (self.weights(losses) * losses).mean(), list(parameters.values()), create_graph=True
        )
        lr = self.trainer.optimizers[0].param_groups[0]["lr"]
        moved = {name: value - lr * step for (name, value), step in zip(parameters.items(), descent, strict=True)}
        meta_loss = self.loss(self.virtual(moved, trusted.images), trusted.labels).mean()
        self.inner["weigher"].zero_grad()
        meta_loss.backward(inputs=list(self.weigher.parameters()))
        self.inner["weigher"].step()

    def virtual(self, parameters: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """Logits of the model with other parameters, and with copies of its running statistics."""
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        return functional_call(self.model, {**parameters, **buffers}, (images,))
