"""The epoch that the test set would choose: a leak, marked as one."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from lnl.errors import UserError
from lnl.runs.folder import RunFolder
from lnl.training.evaluation import predict_split


class OracleBest(Callback):
    """Keeps the weights of the epoch with the highest test accuracy, the first of equals (``oracle=true``).

    ``oracle_best`` is for comparison with papers that report the best epoch on the test set: its accuracy is too high,
    because the test set chose the epoch. It changes neither training nor the other protocols.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.best = folder, -1.0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if "test" not in trainer.datamodule.splits:  # type: ignore[attr-defined]
            raise UserError("oracle=true chooses an epoch by the test set, and this data has none.")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        training = pl_module.training
        found = predict_split(pl_module, trainer.datamodule, trainer, "test")  # type: ignore[attr-defined]
        pl_module.train(training)
        accuracy = float((found.logits.argmax(dim=1) == found.labels).float().mean())
        if accuracy > self.best:
            self.best = accuracy
            trainer.save_checkpoint(self.folder.oracle_best, weights_only=True)
