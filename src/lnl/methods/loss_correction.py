"""Loss correction: what a transition matrix makes of the loss."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import mean_rows, noisy_logits
from lnl.methods.stages import Stage, StagedMethod
from lnl.methods.transition import FILES, TransitionMethod, anchor_transition, read_transition


class LossCorrection(TransitionMethod, StagedMethod):
    r"""The base of :class:`Forward` and :class:`Backward`: the loss is corrected by T (arXiv:1609.03683).

    With ``anchors`` training has two stages. Stage 1 trains on the labels as they are. Then of each class i the sample
    is looked for whose :math:`p_i` is the largest, or at a percentile of all training samples: the anchor, which is
    taken to be of class i for certain, so that its p is row i of T. Stage 2 trains a new network on the corrected loss.
    Otherwise T is known, and there is one stage.

    The authors keep the epoch of the lowest validation loss of each stage; here the last one counts. They take the
    sample next below the percentile, and their code writes zeros over the largest :math:`p_i`, so that the T of later
    classes can lack them.

    Args:
        transition: ``anchors``; ``estimate``, from the validation samples after each epoch, or ``true``
            (:class:`NoiseAware`); or a ``.npy``, ``.npz`` or ``.csv`` file of T, ``[K, K]``. An ``.npz`` has one array,
            or one named ``believed``, as a run's ``transition.npz``.
        percentile: of the anchors' :math:`p_i`, in [0, 1]; 1 for the largest.
        stage1_epochs: at least 1, with ``anchors``. The rest of ``trainer.max_epochs`` is stage 2.
    """

    fresh = True  # whether stage 2 trains a new network
    inverse: Tensor

    def __init__(
        self,
        *,
        transition: str | Literal[True] = "anchors",
        percentile: float = 0.97,
        stage1_epochs: int = 1,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        known = transition is True or transition in ("anchors", "estimate") or Path(transition).suffix in FILES
        if not known:
            files = f"a {', '.join(FILES[:-1])} or {FILES[-1]} file"
            raise ValueError(f"transition must be anchors, estimate, true or {files}, got '{transition}'")
        check_range("[0, 1]", percentile=percentile)
        check_range("[1, inf)", stage1_epochs=stage1_epochs)
        self.source, self.percentile, self.stage1_epochs = transition, percentile, stage1_epochs
        self.register_buffer("inverse", torch.eye(self.num_classes))  # of T, as of the epoch's start

    @property
    def oracles(self) -> list[str]:
        return ["transition"] if self.source is True else []

    @property
    def estimates(self) -> bool:
        return self.source == "estimate"

    def stages(self, epochs: int) -> list[Stage]:
        if self.source != "anchors":
            return [Stage(epochs)]
        return [Stage(self.stage1_epochs), Stage(epochs - self.stage1_epochs, fresh=self.fresh)]

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if isinstance(self.source, str) and Path(self.source).suffix in FILES:
            self.believe(torch.from_numpy(read_transition(self.source, self.num_classes)).to(self.transition))

    def begin_stage(self, number: int) -> None:
        super().begin_stage(number)
        if number == 2 and self.source == "anchors":
            _, p = self.over_training_set(lambda batch: self(batch.images).float().softmax(dim=1))
            self.believe(anchor_transition(p, self.percentile))

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        # The pseudo-inverse, where there is no inverse.
        self.inverse.copy_(torch.linalg.pinv(self.transition.double().cpu()))

    def training_loss(self, batch: Batch) -> Tensor:
        return self.corrected(self(batch.images), batch.labels).mean()

    @abstractmethod
    def corrected(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The corrected loss ``[B]``; with the identity for T the loss itself."""


class Forward(LossCorrection):
    r"""Forward correction (arXiv:1609.03683): :math:`-\log (p T)_{\tilde y}`, so that p learns the true labels.

    With another loss than cross entropy it is that of the probabilities :math:`p T`. See :class:`LossCorrection`.
    """

    def corrected(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.loss(noisy_logits(logits, self.transition), labels)


class Backward(LossCorrection):
    r"""Backward correction (arXiv:1609.03683): :math:`\sum_k (T^{-1})_{\tilde y k}\, \ell(p, k)`.

    Its mean over the given labels is the loss of the true one. It can be below 0, and has a large variance where T is
    nearly singular: an error of T is magnified by its inverse. In the authors' code p is in [1e-7, 1 - 1e-7], which
    bounds the loss. See :class:`LossCorrection`.
    """

    def corrected(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.loss(logits, mean_rows(labels, self.inverse))  # losses are linear in soft labels
