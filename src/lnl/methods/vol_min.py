"""VolMinNet: a transition matrix learned with the network, of the smallest volume that explains the labels."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import noisy_logits
from lnl.methods.transition import TransitionMethod


class VolMin(TransitionMethod):
    r"""VolMinNet (arXiv:2102.02400): :math:`-\log (p T)_{\tilde y} + \lambda \log \lvert \det T \rvert`.

    T is learned: 1 on the diagonal and :math:`\sigma(w_{ij})` off it, then its rows are divided by their sums. So the
    diagonal is the largest of each row. Many T explain the given labels; that of the smallest volume is the true one if
    the samples are spread enough, even without anchors. The paper's loss is cross entropy, here it is ``loss``.

    The configured optimizer trains w, at a rate of its own, without weight decay, on the same schedule. With SGD of
    momentum 0.9 this is the authors' for CIFAR-10; theirs for w is Adam on MNIST and CIFAR-100. They choose the epoch
    by the noisy validation loss of :math:`p T`. ``transition`` is T as of the last epoch.

    Args:
        weight: :math:`\lambda`, at least 0.
        lr: learning rate of w, at least 0.
        init: :math:`-w` at the start. T has 0.48 on the diagonal then, for K = 10 and the authors' 2.
    """

    def __init__(self, *, weight: float = 1e-4, lr: float = 0.01, init: float = 2.0, **base: Any) -> None:
        super().__init__(**base)
        check_range("[0, inf)", weight=weight, lr=lr)
        self.weight, self.lr = weight, lr
        self.w = nn.Parameter(torch.full((self.num_classes, self.num_classes), -float(init)))

    def parameter_groups(self) -> list[dict[str, Any]]:
        network = {"params": [parameter for parameter in self.model.parameters() if parameter.requires_grad]}
        return [network, {"params": [self.w], "lr": self.lr, "weight_decay": 0.0}]

    def learned(self) -> Tensor:
        """T ``[K, K]``."""
        identity = torch.eye(self.num_classes, dtype=self.w.dtype, device=self.w.device)
        return F.normalize(identity + self.w.sigmoid() * (1 - identity), p=1, dim=1)

    def training_loss(self, batch: Batch) -> Tensor:
        transition = self.learned()
        log_volume = transition.slogdet().logabsdet
        self.log_term("log_volume", log_volume, batch)
        losses = self.loss(noisy_logits(self(batch.images), transition), batch.labels)
        return losses.mean() + self.weight * log_volume

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        self.believe(self.learned().detach())
