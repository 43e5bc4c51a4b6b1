"""What a method believes of the noise, beside the truth."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from lnl.runs.folder import RunFolder


class NoiseRecord(Callback):
    r"""Writes ``transition.npz`` at the end, of a method with the buffers ``transition`` and ``noise_rate``.

    It has ``believed`` ``[K, K]`` and, if it is known, ``true`` ``[K, K]``. ``result.json`` has ``noise_believed``: the
    ``rate`` and, where the truth is known, ``true_rate`` of the training samples and ``transition_error``,
    :math:`\lVert \hat T - T \rVert_1 / \lVert T \rVert_1`, in [0, 2]. The truth is used for nothing else.
    """

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def result_entries(self) -> dict[str, Any]:
        """What ``result.json`` says of the noise that the method believed."""
        return {"noise_believed": self.found}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        noise = data.labels.noise
        believed, rate = pl_module.transition.double().cpu().numpy(), float(pl_module.noise_rate)
        self.found = {"rate": rate, "true_rate": noise.actual_rate(data.splits["train"]), "transition_error": None}
        arrays = {"believed": believed}
        if noise.transition is not None:
            self.found["transition_error"] = float(np.abs(believed - noise.transition).sum() / len(believed))
            arrays["true"] = noise.transition
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            np.savez_compressed(RunFolder(trainer.default_root_dir).transition, **arrays)
