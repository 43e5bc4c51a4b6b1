"""PES (semi): samples that the network is not confident about lose their label, and train it by MixMatch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import sharpen, soft
from lnl.methods.mix import Mixup
from lnl.methods.mixmatch import mean_prediction, mixmatch
from lnl.methods.progressive_early_stopping import ProgressiveEarlyStopping


class SemiSupervisedPES(ProgressiveEarlyStopping):
    r"""PES (semi) (arXiv:2106.15853): after :class:`ProgressiveEarlyStopping` of the last layer, the samples that the
    network is not confident about lose their label, and train it by MixMatch.

    The loss is :math:`L_x + \lambda_u L_u` (:func:`~lnl.methods.mixmatch.mixmatch`), with class weights of at most 3. A
    confident sample has its given label, another one the sharpened mean prediction for two views. A step has as many of
    both as their shares of the data, but no more of the others; an epoch passes over the confident ones once, there it
    has a fixed number of steps. All samples replace an empty part. The authors choose :math:`\lambda_u` for each noise;
    here it is that of their runs on human labels, from 9 to 40 % wrong.

    Args:
        part_epochs: :math:`T_1, T_2`, as of PES, whose other options it has, too.
        temperature: of sharpening, above 0.
        alpha, late_alpha: of mixup in the first and the second half of training, above 0.
        lambda_u, ramp_epochs: weight of unlabelled samples, at least 0, and epochs until it is reached, above 0.
    """

    views = ("weak", "weak")
    any_loss = False
    most = 3.0

    def __init__(
        self,
        *,
        part_epochs: Sequence[int] = (20, 5),
        temperature: float = 0.5,
        alpha: float = 4.0,
        late_alpha: float = 0.75,
        lambda_u: float = 5.0,
        ramp_epochs: int = 16,
        **base: Any,
    ) -> None:
        super().__init__(part_epochs=part_epochs, **base)
        check_range("[0, inf)", lambda_u=lambda_u)
        check_range("(0, inf)", temperature=temperature, late_alpha=late_alpha, ramp_epochs=ramp_epochs)
        self.mixup, self.alpha, self.late_alpha = Mixup(alpha), alpha, late_alpha
        self.temperature, self.lambda_u, self.ramp_epochs = temperature, lambda_u, ramp_epochs

    def divide(self, index: Tensor, confident: Tensor) -> Tensor:
        kept, others = super().divide(index, confident), index if confident.all() else index[~confident]
        size: int = self.trainer.datamodule.batch_size  # type: ignore[attr-defined]
        self.endless(others, 0, max(2, round(size * min(1, len(others) / len(kept)))), self.views)
        return kept

    def training_loss(self, batch: Batch) -> Tensor:
        if self.current_epoch < sum(self.part_epochs):
            return super().training_loss(batch)
        unlabelled = next(self.streams[0])
        with torch.no_grad():
            predicted, logits = mean_prediction([self.model], unlabelled.views)
        self.observe(unlabelled.index, logits)

        def network(images: Tensor) -> Tensor:
            mixed = self.model(images)
            self.observe(batch.index, mixed[: len(batch)])  # the confident ones are predicted only when they are mixed
            return mixed

        self.mixup.alpha = self.alpha if self.progress < (self.trainer.max_epochs or 0) / 2 else self.late_alpha
        labelled = batch.views, soft(batch.labels, self.num_classes)
        guessed = unlabelled.views, sharpen(predicted, self.temperature)
        supervised, consistency, _ = mixmatch(network, self.mixup, labelled, guessed, self.class_weights)
        ramp = min((self.progress - sum(self.part_epochs)) / self.ramp_epochs, 1.0)
        return supervised + ramp * self.lambda_u * consistency
