"""Checkpoints that are whole or not there."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from lnl.files import replacing


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one, then puts it in its place.

    Lightning's own writes to the system's temporary folder and moves the file, which on another file system is a copy
    over the only checkpoint there is.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()  # of a full disk torch would say that it is at an unexpected place
        torch.save(checkpoint, buffer)
        with replacing(path, durable=True) as unfinished:
            unfinished.write_bytes(buffer.getbuffer())
