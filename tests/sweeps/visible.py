"""Which GPUs a job may see."""

import os
from pathlib import Path

from pytorch_lightning.callbacks import Callback


class VisibleDevices(Callback):
    """Writes them into the run folder."""

    def on_fit_start(self, trainer, pl_module):
        Path(trainer.default_root_dir, "visible.txt").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
