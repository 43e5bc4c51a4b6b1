"""T-Revision: a transition matrix from anchors that need not be ones, revised while the network is trained."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lnl.errors import check_range
from lnl.losses.functional import log_probabilities
from lnl.methods.functional import noisy_logits, soft
from lnl.methods.loss_correction import LossCorrection
from lnl.methods.stages import Stage


class TRevision(LossCorrection):
    r"""T-Revision (arXiv:1906.00189): samples are weighted by importance, and T is learned with the network.

    Stage 1 trains on the labels as they are, and finds :math:`\hat T` by anchors (:class:`LossCorrection`). Stage 2
    trains the same network on :math:`w\, \ell(p, \tilde y)` with :math:`w = p_{\tilde y} / (p \hat T)_{\tilde y}`, how
    much more likely the given label is as the true one than as a given one. The last stage trains the network and
    :math:`\Delta T`, at first 0, with :math:`\hat T + \Delta T` in place of :math:`\hat T`, by Adam at a rate that
    moves both only a little. ``transition`` is the sum as of the last epoch.

    As in the authors' code there is a gradient through w in the last stage only. They start each stage from the best
    epoch of the one before, by noisy validation labels; here it is the last. Their code divides column j of T by the
    sum of row j; here rows are divided. Their paper has cross entropy for :math:`\ell`, here it is ``loss``. The
    options of :math:`\hat T` are those of :class:`LossCorrection`.

    Args:
        revision_epochs: of the last stage, at least 1. Stage 2 has the rest of ``trainer.max_epochs``.
        revision_lr, revision_weight_decay: of Adam in the last stage, at least 0. There is no schedule.
    """

    fresh = False
    start: Tensor

    def __init__(
        self,
        *,
        revision_epochs: int = 1,
        revision_lr: float = 5e-7,
        revision_weight_decay: float = 1e-4,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[1, inf)", revision_epochs=revision_epochs)
        check_range("[0, inf)", revision_lr=revision_lr, revision_weight_decay=revision_weight_decay)
        self.revision_epochs, self.revision_lr = revision_epochs, revision_lr
        self.revision_weight_decay, self.revising = revision_weight_decay, False
        self.register_buffer("start", torch.eye(self.num_classes))  # T before its revision
        self.revision = nn.Parameter(torch.zeros(self.num_classes, self.num_classes))

    def stages(self, epochs: int) -> list[Stage]:
        adam = partial(torch.optim.Adam, lr=self.revision_lr, weight_decay=self.revision_weight_decay)
        return [*super().stages(epochs - self.revision_epochs), Stage(self.revision_epochs, optimizer=adam)]

    def parameter_groups(self) -> list[dict[str, Any]]:
        trained = self if self.revising else self.model
        return [{"params": [parameter for parameter in trained.parameters() if parameter.requires_grad]}]

    def configure_optimizers(self) -> Any:
        self.revising = self.present.optimizer is not None
        return super().configure_optimizers()

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        if not self.revising:
            self.start.copy_(self.transition)

    def corrected(self, logits: Tensor, labels: Tensor) -> Tensor:
        given = logits if self.revising else logits.detach()
        weights = (log_probabilities(given) - noisy_logits(given, self.start + self.revision)).exp()
        return self.loss(logits, soft(labels, self.num_classes) * weights)  # losses are linear in soft labels

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        if self.revising:
            self.believe(self.start + self.revision.detach())
