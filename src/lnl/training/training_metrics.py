"""What a model predicts for its training samples while it trains on them."""

import logging
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.data import Batch
from lnl.metrics import memorisation

log = logging.getLogger(__name__)


class TrainingMetrics(Callback):
    """Logs loss and accuracy of every training epoch, separately for correctly and wrongly labelled samples.

    Each sample counts with the prediction of the step that trained on it
    (:meth:`lnl.methods.NoisyLabelMethod.observe`): no further pass is needed. A method that observes nothing gets only
    the loss, and a remark in the log. ``train/visited`` is the share of the training samples that count. Samples of all
    processes count. Clean labels stay in this callback.

    Args:
        given: labels ``[N]`` of the whole training set, in the order of ``batch.index``.
        clean: the true labels, or None if they are unknown.
    """

    def __init__(self, given: NDArray[np.int64], clean: NDArray[np.int64] | None) -> None:
        self.given = torch.from_numpy(given)
        self.clean = None if clean is None else torch.from_numpy(clean)
        self.losses: list[Tensor] = []
        self.sizes: list[int] = []
        self.predicted: list[tuple[Tensor, Tensor]] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.method = pl_module
        pl_module.listeners.append(self._see)

    def _see(self, index: Tensor, logits: Tensor) -> None:
        if self.method.training:
            self.predicted.append((index, logits.argmax(dim=1)))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.losses, self.predicted, self.sizes = [], [], []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.losses.append(outputs["loss"] * trainer.accumulate_grad_batches)  # Lightning has divided by it
        self.sizes.append(round(len(batch) / batch.share))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        loss = (torch.stack(self.losses).cpu().double() * sizes).sum() / sizes.sum()
        if trainer.world_size > 1:
            # Of a step, the mean of the processes' losses is that of its samples (lnl.training.processes.SharedDDP).
            loss = trainer.strategy.reduce(loss.to(pl_module.device), reduce_op="mean")
        metrics = {"loss": loss.item()}
        if self.predicted:
            index, predicted = (torch.cat(parts).cpu() for parts in zip(*self.predicted, strict=True))
            if trainer.world_size > 1:
                index, predicted = self._of_all(trainer, index, predicted)
            clean = None if self.clean is None else self.clean[index]
            metrics |= memorisation(predicted, self.given[index], clean)
            metrics["visited"] = len(index.unique()) / len(trainer.datamodule.splits["train"])  # type: ignore[attr-defined]
        elif trainer.current_epoch == 0 and trainer.is_global_zero:
            log.warning(
                "train/accuracy and what is memorised are not measured: %s calls its networks itself in training_loss "
                "and does not call self.observe(batch.index, logits)",
                type(pl_module).__name__,
            )
        pl_module.log_dict({f"train/{name}": value for name, value in metrics.items()}, sync_dist=True)

    def _of_all(self, trainer: pl.Trainer, index: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """The predictions of all processes."""
        everyone = torch.full_like(self.given, -1)
        everyone[index] = predicted
        device = trainer.strategy.root_device
        everyone = trainer.strategy.reduce(everyone.to(device), reduce_op="max").cpu()
        index = (everyone >= 0).nonzero()[:, 0]
        return index, everyone[index]

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        if self._see in pl_module.listeners:
            pl_module.listeners.remove(self._see)
