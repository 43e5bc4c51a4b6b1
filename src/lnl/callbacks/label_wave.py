"""Early stopping without validation labels."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.errors import check_range
from lnl.runs.folder import RunFolder


class LabelWave(Callback):
    r"""Label Wave (arXiv:2502.07551): stops training where its predictions for the training samples change least.

    Let :math:`c_t` be the share of the samples whose prediction in epoch t, in the step that trains on them, is another
    one than in epoch t - 1, in the mean over the last ``window`` epochs. It falls while right labels are learned, and
    rises when wrong ones begin to be memorised. ``label_wave.ckpt`` has the weights of its minimum, which results call
    ``label_wave``. Training ends when the minimum is ``patience`` epochs old: the paper names the first
    local minimum, the authors' code has no rule. No label is used. ``train/changed`` is the share before the mean is
    taken.

    Args:
        window, patience: at least 1.
    """

    def __init__(self, window: int = 3, patience: int = 5) -> None:
        check_range("[1, inf)", window=window, patience=patience)
        self.window, self.patience = window, patience
        self.previous: Tensor | None = None  # predictions of the epoch before, -1 for those that it had none for
        self.changes: list[float] = []  # of each epoch but the first
        self.seen: list[tuple[Tensor, Tensor]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"previous": self.previous, "changes": self.changes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.previous, self.changes = state_dict["previous"], list(state_dict["changes"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.method = pl_module
        pl_module.listeners.append(self._see)

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        if self._see in pl_module.listeners:
            pl_module.listeners.remove(self._see)

    def _see(self, index: Tensor, logits: Tensor) -> None:
        if self.method.training:
            self.seen.append((index, logits.argmax(dim=1)))

    def epoch_state(self) -> dict[str, Any]:
        """The predictions of the epoch so far, for a checkpoint within it."""
        return {"seen": self.seen}

    def load_epoch_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Goes on from an :meth:`epoch_state`."""
        self.seen = [(index.to(device), predicted.to(device)) for index, predicted in state["seen"]]

    def means(self) -> list[float]:
        """:math:`c_t` of each epoch from that on which has ``window`` epochs."""
        windows = range(len(self.changes) - self.window + 1)
        return [sum(self.changes[first : first + self.window]) / self.window for first in windows]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        now = torch.full((self.method.num_samples,), -1, device=pl_module.device)
        for index, predicted in self.seen:
            now[index] = predicted
        self.seen = []
        now = trainer.strategy.reduce(now, reduce_op="max").cpu()  # of all processes
        before, self.previous = self.previous, now
        if before is None:
            return
        both = (now >= 0) & (before >= 0)
        if not both.any():
            return
        self.changes.append(float((now != before)[both].float().mean()))
        pl_module.log("train/changed", self.changes[-1], sync_dist=True)
        means = self.means()
        if not means:
            return
        least = means.index(min(means))
        if least == len(means) - 1:
            trainer.save_checkpoint(RunFolder(trainer.default_root_dir).label_wave, weights_only=True)
        elif len(means) - 1 - least >= self.patience:
            trainer.should_stop = True
