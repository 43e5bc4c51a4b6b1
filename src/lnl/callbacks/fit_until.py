"""Training ends when the training labels are fitted."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from lnl.errors import UserError, check_range


class FitUntil(Callback):
    """Stops training when a share ``accuracy`` of the given training labels, right or wrong, is predicted.

    Looks at ``train/accuracy``, which counts each sample's prediction in the step that trained on it.

    Args:
        accuracy: in (0, 1].
    """

    def __init__(self, accuracy: float = 1.0) -> None:
        check_range("(0, 1]", accuracy=accuracy)
        self.accuracy = accuracy

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        accuracy = trainer.callback_metrics.get("train/accuracy")
        if accuracy is None:
            raise UserError("callbacks=fit_until needs train/accuracy, which this method does not measure.")
        if accuracy >= self.accuracy:
            trainer.should_stop = True
