"""Models that are fitted at once instead of descended on."""

from typing import Any

from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import UserError
from lnl.methods.base import NoisyLabelMethod


class FitOnce(NoisyLabelMethod):
    """Fits a model with ``features`` and ``fit`` (:class:`lnl.models.HistogramLogistic`) on all given labels, in one
    epoch, at its start; the epoch's steps only measure.

    Raises:
        ValueError: if the model cannot be fitted so.
    """

    several_devices = False
    any_loss = False

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        if type(self) is FitOnce and not (hasattr(self.model, "features") and hasattr(self.model, "fit")):
            raise ValueError("method=fit_once needs a model that is fitted at once, such as model=histogram_logistic")

    def on_fit_start(self) -> None:
        if self.trainer.precision == "16-mixed":
            raise UserError("method=fit_once has no gradients to scale: use trainer.precision=32-true.")

    def on_train_epoch_start(self) -> None:
        model: Any = self.model
        index, features = self.over_training_set(lambda batch: model.features(batch.images))
        getattr(model, "head", model).fit(features.cpu().numpy(), self.samples.given[index.cpu()].numpy())

    def on_train_epoch_end(self) -> None:
        self.trainer.should_stop = True

    def training_loss(self, batch: Batch) -> Tensor:
        return self.loss(self(batch.images), batch.labels).mean()

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """There is nothing to descend on."""

    def configure_optimizers(self) -> None:
        return None
