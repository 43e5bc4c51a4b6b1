"""figures/labels.png: what a run's training labels look like."""

from pathlib import Path

import pytorch_lightning as pl
from PIL import Image
from pytorch_lightning.callbacks import Callback

from lnl.tracking.contact_sheet import contact_sheet


class ContactSheet(Callback):
    """Draws training images with their given and true labels, before training; trackers get the same picture.

    Clean labels go into the picture and nowhere else.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        figures = Path(trainer.default_root_dir) / "figures"
        figures.mkdir(exist_ok=True)
        data = trainer.datamodule  # type: ignore[attr-defined]
        Image.fromarray(contact_sheet(data)).save(figures / "labels.png")
