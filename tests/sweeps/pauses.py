"""A run that waits to be killed, so that no test has to be quicker than it."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

CALLBACK = "+callbacks.pauses._target_=tests.sweeps.pauses.Pauses"


class Pauses(Callback):
    """Goes no further than the first batch of an epoch: ``LNL_TEST_PAUSE`` is ``<part of the run's name>:<epoch>``."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        part, _, epoch = os.environ.get("LNL_TEST_PAUSE", "").partition(":")
        if epoch and trainer.current_epoch == int(epoch) and part in trainer.default_root_dir:
            Path(trainer.default_root_dir, "paused").touch()
            time.sleep(600)


def start_and_pause(command: Sequence[str], root: Path, where: str) -> subprocess.Popen:
    """The process of a command, once the run ``where`` it is to pause does so."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "LNL_TEST_PAUSE": where})
    while not (paused := next(root.glob("runs/*/paused"), None)):
        assert process.poll() is None
        time.sleep(0.01)
    paused.unlink()
    return process
