"""Checkpoints, written whole or not at all and read without running code in them, and exact resuming."""

import io
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback
from torch import nn

from lnl.errors import UserError, first_line
from lnl.files import replacing


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one, then replaces it.

    Lightning's own writes to the system's temporary folder and moves the file, which on another file system is a copy
    over the only checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()  # torch's own error for a full disk does not name it
        torch.save(checkpoint, buffer)
        with replacing(path, durable=True) as unfinished:
            unfinished.write_bytes(buffer.getbuffer())


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """A checkpoint, read without executing code in it; raises UserError if it is missing or damaged."""
    path = Path(str(path)).expanduser()
    if not path.is_file():
        raise UserError(f"there is no checkpoint at {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a file that is no checkpoint
        what = f"{path} is not a checkpoint that can be read, or it is damaged: {first_line(error)}"
        raise UserError(f"{what}\nIf it is a run's own, force=true trains it again.") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise UserError(f"{path} is not a checkpoint of a run: it has no 'state_dict'")
    return checkpoint


def load_weights(module: nn.Module, state: dict[str, Any], source: Path | str) -> None:
    """Loads the weights of a checkpoint into a module; raises UserError if they are of another architecture."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).split("\n")[:2][-1].strip()  # the first line names the class
        what = f"{source} is a checkpoint of another architecture: {reason}"
        raise UserError(f"{what}\nUse the model and method that it was trained with.") from error


class EpochSeed(Callback):
    """Seeds all global random generators at every epoch, differently in each process.

    Dropout and random draws of a method depend on it; order and augmentation have generators of their own.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seed = self.seed * 1_000_003 + trainer.current_epoch + 1 + 500_000_003 * trainer.global_rank
        pl.seed_everything(seed % 2**32, verbose=False)


class StaysStopped(Callback):
    """Lets checkpoints carry that training was stopped before its last epoch, by early stopping for instance.

    A run that is killed between that epoch and its result does not train further when it is resumed. Training also ends
    after ``max_steps`` (-1: never): Lightning's own limit ends without a validation, and does not resume exactly.
    """

    def __init__(self, max_steps: int = -1) -> None:
        self.max_steps = max_steps
        self.stopped = False

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["stopped"] = trainer.should_stop

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.stopped = checkpoint.get("stopped", False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = self.stopped

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if 0 < self.max_steps <= trainer.global_step:
            trainer.should_stop = True
