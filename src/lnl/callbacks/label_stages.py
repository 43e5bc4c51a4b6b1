"""What a method that relabels in stages did to the labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from lnl.metrics import correction_metrics


class LabelStages(Callback):
    """Records every correction of a method with the buffers ``stage``, ``labels``, ``kept`` and ``confidence``.

    After a correction it writes ``corrected_labels.csv``: ``index``, ``given_label``, ``new_label``, ``confidence``,
    ``kept``, for every training sample that is not trusted. True labels are used for what is counted, and for nothing
    else. See :class:`lnl.methods.LabelCorrection`.
    """

    def __init__(self) -> None:
        self.stage = 1
        self.corrections: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"stage": self.stage, "corrections": self.corrections}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.stage, self.corrections = state_dict["stage"], list(state_dict["corrections"])

    def result_entries(self) -> dict[str, Any]:
        """What ``result.json`` says of the corrections."""
        return {"corrections": self.corrections}

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if int(pl_module.stage) == self.stage:
            return
        self.stage = int(pl_module.stage)
        data = trainer.datamodule  # type: ignore[attr-defined]
        index = np.setdiff1d(data.splits["train"], data.trusted.index)
        new, kept, confidence = (
            buffer.cpu().numpy()[index] for buffer in (pl_module.labels, pl_module.kept, pl_module.confidence)
        )
        given = data.labels.noisy[index]
        clean = None if data.labels.clean is None else data.labels.clean[index]
        counts = correction_metrics(given, new, kept, clean, pl_module.num_classes)
        self.corrections.append({"round": self.stage - 1, "epoch": trainer.current_epoch, **counts})
        if not trainer.is_global_zero:
            return
        table = {"index": index, "given_label": given, "new_label": new, "confidence": confidence, "kept": kept}
        path = Path(trainer.default_root_dir) / "corrected_labels.csv"
        unfinished = path.with_suffix(".tmp")
        pd.DataFrame(table).to_csv(unfinished, index=False, float_format="%.6g")
        unfinished.replace(path)
