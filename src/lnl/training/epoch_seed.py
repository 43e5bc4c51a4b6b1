"""Randomness as a function of seed and epoch."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class EpochSeed(Callback):
    """Seeds all global random generators anew at every epoch, so that a resumed run draws what it would have drawn.

    Dropout and whatever else a method draws at random hang on it; order and augmentation have generators of their own.
    Processes that train together draw each their own.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seed = self.seed * 1_000_003 + trainer.current_epoch + 1 + 500_000_003 * trainer.global_rank
        pl.seed_everything(seed % 2**32, verbose=False)
