"""The state of a method that several processes train."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor


class SharedState(Callback):
    """Makes a method's buffers those of all processes, before validation and at the end of each epoch.

    Of a buffer with a row for each training sample (``[num_samples, ...]``, the method's own), a row comes from the
    process that the epoch gave the sample to; of a sample that was only in streams beside the epoch, from the first
    process that had it there. Any other of floating point is averaged: the running statistics of batch
    norm, which normalises by each process's part of a batch. What is left, counters, is the first process's.

    Alone it does nothing.
    """

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._share(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._share(trainer, pl_module)

    @torch.no_grad()
    def _share(self, trainer: pl.Trainer, method: Any) -> None:
        if trainer.world_size == 1 or trainer.sanity_checking:
            return
        mine = self._mine(trainer, method)
        for name, buffer in method.named_buffers():
            if "." not in name and buffer.ndim and len(buffer) == method.num_samples:
                mask = mine.view(-1, *[1] * (buffer.ndim - 1))
                rows = torch.where(mask, buffer, torch.zeros_like(buffer))
                shared = rows.to(torch.uint8) if rows.dtype == torch.bool else rows
                buffer.copy_(trainer.strategy.reduce(shared, reduce_op="sum"))
            elif buffer.is_floating_point():
                buffer.copy_(trainer.strategy.reduce(buffer.clone(), reduce_op="mean"))
            else:
                buffer.copy_(trainer.strategy.broadcast(buffer.cpu()))

    @staticmethod
    def _mine(trainer: pl.Trainer, method: Any) -> Tensor:
        """Whether a sample's row is this process's to give, ``[num_samples]``: the first gives those of no one."""
        sampler: Any = trainer.train_dataloader.sampler  # type: ignore[union-attr]
        rank, count, data = trainer.global_rank, trainer.world_size, trainer.datamodule  # type: ignore[attr-defined]
        owner = torch.full((method.num_samples,), count)
        owner[data.in_streams.cpu()] = rank
        owner = -trainer.strategy.reduce(-owner.to(method.device), reduce_op="max").cpu()  # gloo and NCCL both have it
        owner[sampler.order()] = sampler.owners()
        return (owner % count == rank).to(method.device)
