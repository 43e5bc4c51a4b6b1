"""What a model makes of its training labels while it is trained on them."""

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
    """Logs loss and accuracy of every training epoch, on correctly and on wrongly labelled samples apart.

    Each sample counts with the prediction made in the step that trained on it, so that measuring costs no further
    pass: what the method's first ``self(batch.images)`` of that step returns. A method that never calls itself on the
    batch's images gets only the loss, and a remark in the log. ``train/visited`` is the share of the training samples
    that an epoch's numbers are of. Clean labels stay in this callback. Of processes that train together all samples
    count, in each of them.

    Args:
        given: labels ``[N]`` of the whole training set, in the order that ``batch.index`` counts.
        clean: the true ones, or None where nobody knows them.
    """

    def __init__(self, given: NDArray[np.int64], clean: NDArray[np.int64] | None) -> None:
        self.given = torch.from_numpy(given)
        self.clean = None if clean is None else torch.from_numpy(clean)
        self.batch: Batch | None = None
        self.losses: list[Tensor] = []
        self.sizes: list[int] = []
        self.predicted: list[tuple[Tensor, Tensor]] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.handle = pl_module.register_forward_hook(self._see)

    def _see(self, module: torch.nn.Module, inputs: tuple[Any, ...], logits: Tensor) -> None:
        if self.batch is not None and inputs and inputs[0] is self.batch.images:
            self.predicted.append((self.batch.index, logits.detach().argmax(dim=1)))
            self.batch = None  # the first answer counts

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.losses, self.predicted, self.sizes = [], [], []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self.batch = batch

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.losses.append(outputs["loss"] * trainer.accumulate_grad_batches)  # Lightning has divided by it
        self.sizes.append(trainer.train_dataloader.sampler.sizes[batch_idx])  # type: ignore[union-attr]
        self.batch = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        loss = (torch.stack(self.losses).cpu().double() * sizes).sum() / sizes.sum()
        if trainer.world_size > 1:
            # Of a step, the mean of the processes' losses is that of its samples (lnl.training.processes.Shared).
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
                "train/accuracy and what is memorised are not measured: %s calls its networks itself in training_loss; "
                "self(batch.images), once a step, is what is looked at",
                type(pl_module).__name__,
            )
        pl_module.log_dict({f"train/{name}": value for name, value in metrics.items()}, sync_dist=True)

    def _of_all(self, trainer: pl.Trainer, index: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """What all processes predicted, each for samples of its own."""
        everyone = torch.full_like(self.given, -1)
        everyone[index] = predicted
        device = trainer.strategy.root_device
        everyone = trainer.strategy.reduce(everyone.to(device), reduce_op="max").cpu()
        index = (everyone >= 0).nonzero()[:, 0]
        return index, everyone[index]

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit":
            self.handle.remove()
