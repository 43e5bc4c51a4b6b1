"""What a method that relabels in stages did to the labels."""

import csv
import logging
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from lnl.files import replacing
from lnl.metrics import correction_metrics
from lnl.runs.folder import RunFolder

log = logging.getLogger(__name__)


def worthless(
    counts: dict[str, Any], stage1_epochs: int, max_epochs: int, max_per_class: int | None = None
) -> str | None:
    """What to say of a correction that kept next to nothing, or not a label of every class; else None."""
    kept, classes = counts["kept"], len(counts["kept_per_class"])
    found = sum(count > 0 for count in counts["kept_per_class"])
    least = counts["candidates"] / 100
    if found == classes and kept >= (least if max_per_class is None else min(least, classes * max_per_class)):
        return None
    few = f"only {found} of {classes} classes" if found < classes else "fewer than 1%"
    longer = f"trainer.max_epochs={2 * max_epochs}"
    if counts["round"] == 1:
        longer = f"method.stage1_epochs={4 * stage1_epochs} trainer.max_epochs={max_epochs + 3 * stage1_epochs}"
    return f"{few}: stage {counts['round']} may not be trained enough, try {longer}"


class LabelStages(Callback):
    """Records every correction of a method with the buffers ``stage``, ``labels``, ``kept`` and ``confidence``, and
    the settings ``stage1_epochs`` and ``max_per_class``. A correction that is worth little gets a remark.

    After a correction it writes ``corrected_labels.csv``: ``index``, ``file``, ``given_label`` and ``label`` of the
    whole training set, in the form that ``noise=file`` reads, and ``new_label``, ``confidence``, ``kept`` of every
    sample that is trained on and not trusted. ``label`` is the new label where it was kept. True labels are used for
    what is counted, and for nothing else. See :class:`lnl.methods.LabelCorrection`.
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
        given = data.labels.noise.labels[index]
        clean = None if data.labels.truth is None else data.labels.truth[index]
        counts = correction_metrics(given, new, kept, clean, pl_module.num_classes)
        entry = {"round": self.stage - 1, "epoch": trainer.current_epoch, **counts}
        if remark := worthless(entry, pl_module.stage1_epochs, trainer.max_epochs or 0, pl_module.max_per_class):
            entry["remark"] = remark
            if trainer.is_global_zero:
                log.warning("round %d kept %d of %d labels: %s", entry["round"], entry["kept"], len(index), remark)
        self.corrections.append(entry)
        if not trainer.is_global_zero:
            return
        names, labels = np.array(data.classes, dtype=object), data.given.copy()
        labels[index[kept]] = new[kept]
        whole = {
            "index": np.arange(len(labels)),
            "file": data.labels.names or "",
            "given_label": names[data.labels.noise.labels],
        }
        relabelled = {"new_label": names[new], "confidence": confidence.astype(float).round(6), "kept": kept}
        table = pd.DataFrame({**whole, "label": names[labels]}).join(pd.DataFrame(relabelled, index=index))
        with replacing(RunFolder(trainer.default_root_dir).corrected_labels) as unfinished:
            table.to_csv(unfinished, index=False, quoting=csv.QUOTE_NONNUMERIC)  # file names may have line ends
