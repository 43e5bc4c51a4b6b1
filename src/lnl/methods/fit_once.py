"""Models that are fitted at once instead of descended on."""

from typing import Any

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.methods.base import NoisyLabelMethod


class FitOnce(NoisyLabelMethod):
    """Fits a model with ``features`` and ``fit`` (:class:`lnl.models.HistogramLogistic`) on all given labels, in one
    epoch, at its start; the epoch's steps only measure.

    Raises:
        ValueError: if the model cannot be fitted so.
    """

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        if not (hasattr(self.model, "features") and hasattr(self.model, "fit")):
            raise ValueError("method=fit_once needs a model that is fitted at once, such as model=histogram_logistic")

    @torch.no_grad()
    def on_train_epoch_start(self) -> None:
        model: Any = self.model
        loader = self.trainer.datamodule.loader("train", self.device)  # type: ignore[attr-defined]
        batches = [batch.to(self.device) for batch in loader]
        features = torch.cat([model.features(batch.images) for batch in batches])
        model.fit(features.cpu().numpy(), torch.cat([batch.labels for batch in batches]).cpu().numpy())

    def on_train_epoch_end(self) -> None:
        self.trainer.should_stop = True

    def training_loss(self, batch: Batch) -> Tensor:
        return self.loss(self(batch.images), batch.labels).mean()

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """There is nothing to descend on."""

    def configure_optimizers(self) -> None:
        return None
