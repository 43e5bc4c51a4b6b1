"""Checkpoints: written whole or not at all, and read without running what is in them."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
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
