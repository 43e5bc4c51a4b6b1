"""AUM: labels whose margin is no larger than that of labels that are wrong on purpose are left out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import soft
from lnl.methods.stages import Stage, StagedMethod
from lnl.models.features import last_linear, with_features


class AUM(StagedMethod):
    r"""Area under the margin (arXiv:2001.10528), in three stages, each with a new network.

    Stages 1 and 2 measure :math:`\frac{1}{T} \sum_t \big(z^{(t)}_{y_i} - \max_{k \neq y_i} z^{(t)}_k\big)`, the AUM of
    sample i: the mean over the epochs of the margin by which its label's logit leads, as the training steps see it.
    :math:`N / (K + 1)` threshold samples have an extra class for their label, which is wrong for them all. A
    percentile of their AUMs is the threshold, and a sample at or below it is taken for mislabelled. The second stage
    has other threshold samples, so that each sample is judged once or twice. Stage 3 trains on the samples that at
    least one stage found right, by their given labels and the configured schedule.

    Networks memorise once the learning rate has dropped, so that it stays as it is in the first two stages. The extra
    class has a linear layer of its own, on what the network's last one sees, and no part in predictions. The authors'
    code does not count the first epoch, has N / K threshold samples, and measures with batches of 64 where it trains
    with 256; here all stages share one batch size. If no sample is found right, all are trained on.

    Args:
        aum_epochs: epochs of each of the first two stages, at least 1; stage 3 has the rest.
        percentile: of the threshold samples' AUMs, in [0, 100].
    """

    several_devices = False  # the extra class's layer has no gradient in stage 3, which DDP refuses
    threshold_stage: Tensor
    margins: Tensor
    visits: Tensor

    def __init__(self, *, aum_epochs: int = 150, percentile: float = 99.0, **base: Any) -> None:
        super().__init__(**base)
        check_range("[1, inf)", aum_epochs=aum_epochs)
        check_range("[0, 100]", percentile=percentile)
        self.aum_epochs, self.percentile = aum_epochs, percentile
        self.extra_class = nn.Linear(last_linear(self.model)[1].in_features, 1)
        self.measuring = 1  # the stage that measures now, 0 in the last one
        # In which stage it is a threshold sample, 0 for none; the sum of its margins in each stage, and their number.
        self.register_buffer("threshold_stage", torch.zeros(self.num_samples, dtype=torch.int64))
        self.register_buffer("margins", torch.zeros(self.num_samples, 2))
        self.register_buffer("visits", torch.zeros(self.num_samples, 2))

    def stages(self, epochs: int) -> list[Stage]:
        first = Stage(self.aum_epochs, optimizer=self.make_optimizer)  # without the schedule
        return [first, replace(first, fresh=True), Stage(epochs - 2 * self.aum_epochs, fresh=True)]

    def begin_stage(self, number: int) -> None:
        super().begin_stage(number)
        index = self.samples.index.to(self.device)
        if number == 1:
            count = max(1, len(index) // (self.num_classes + 1))
            drawn = torch.randperm(len(index))[: 2 * count].to(self.device)
            self.threshold_stage[index[drawn[:count]]] = 1
            self.threshold_stage[index[drawn[count:]]] = 2
        if number == 3 and (right := self.right()[index]).any():
            self.kept[index] = right

    def right(self) -> Tensor:
        """Whether a sample is above the threshold of a stage that judges it, bool ``[N]``."""
        found = torch.zeros_like(self.kept)
        for number, aum in enumerate((self.margins / self.visits.clamp(min=1)).T, 1):
            threshold_samples = self.threshold_stage == number
            threshold = torch.quantile(aum[threshold_samples], self.percentile / 100)
            found |= ~threshold_samples & (aum > threshold)
        return found

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.measuring = int(self.stage) % 3

    def labels_of(self, batch: Batch) -> Tensor:
        """One-hot of K + 1 classes in the stages that measure."""
        if not self.measuring:
            return batch.labels
        extra = self.threshold_stage[batch.index] == self.measuring
        return soft(batch.labels.where(~extra, self.num_classes), self.num_classes + 1)

    def training_loss(self, batch: Batch) -> Tensor:
        if not self.measuring:
            return self.loss(self(batch.images), batch.labels).mean()
        logits, features = with_features(self.model, batch.images)
        self.observe(batch.index, logits)
        logits = torch.cat([logits, self.extra_class(features)], dim=1).float()
        label = batch.labels.argmax(dim=1, keepdim=True)
        others = logits.detach().scatter(1, label, -torch.inf).amax(dim=1)
        self.margins[batch.index, self.measuring - 1] += logits.detach().gather(1, label)[:, 0] - others
        self.visits[batch.index, self.measuring - 1] += 1
        return self.loss(logits, batch.labels).mean()

    def _renew(self, fresh: bool | Sequence[str]) -> None:
        super()._renew(fresh)
        self.extra_class.reset_parameters()
