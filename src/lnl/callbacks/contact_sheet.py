"""figures/labels.png: what a run's training labels look like."""

from typing import ClassVar

import pytorch_lightning as pl
from PIL import Image
from pytorch_lightning.callbacks import Callback

from lnl.runs.folder import RunFolder
from lnl.tracking.pictures import contact_sheet


class ContactSheet(Callback):
    """Draws training images with their given and true labels, before training; trackers get the same picture.

    Clean labels go into the picture and nowhere else.
    """

    changes_numbers: ClassVar[bool] = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        figures = RunFolder(trainer.default_root_dir).figures
        figures.mkdir(exist_ok=True)
        data = trainer.datamodule  # type: ignore[attr-defined]
        Image.fromarray(contact_sheet(data)).save(figures / "labels.png")
