"""An average of the weights over training, in their place where the model is judged."""

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.errors import check_range


class EMA(Callback):
    r"""Exponential moving average of the weights, :math:`\bar\theta \leftarrow d \bar\theta + (1 - d) \theta` a step.

    Validation, tests, checkpoints and exports have the average, training goes on from the weights themselves. Networks
    and the statistics of their batch norm are averaged, never a method's state per sample. In the first steps, of which
    t are done, d is :math:`\min(d, (1 + t) / (10 + t))`, so that the average forgets the initialisation.

    Args:
        decay: d in [0, 1).
    """

    def __init__(self, decay: float = 0.999) -> None:
        check_range("[0, 1)", decay=decay)
        self.decay = decay
        self.steps, self.done = 0, 0
        self.average: dict[str, Tensor] = {}
        self.weights: dict[str, Tensor] = {}  # those that are trained, while the average is in their place

    def restart(self) -> None:
        """Begins again from the weights of the next step: the network was made new."""
        self.steps, self.average = 0, {}

    @staticmethod
    def _networks(method: pl.LightningModule) -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers of a method's modules; what the method holds itself is state of samples."""
        return ((name, tensor) for name, tensor in method.state_dict().items() if "." in name)

    @torch.no_grad()
    def _update(self, method: pl.LightningModule) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (9 + self.steps))
        for name, tensor in self._networks(method):
            if name not in self.average:
                self.average[name] = tensor.clone()
            elif tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - decay)
            else:
                self.average[name].copy_(tensor)

    def _share(self, trainer: pl.Trainer, method: pl.LightningModule) -> None:
        """Makes the statistics of batch norm those of all processes, as they are without an average."""
        for name, buffer in method.named_buffers():
            if trainer.world_size > 1 and name in self.average and buffer.is_floating_point():
                self.average[name] = trainer.strategy.reduce(self.average[name], reduce_op="mean")

    @torch.no_grad()
    def _exchange(self, method: pl.LightningModule, averaged: bool) -> None:
        if not self.average or averaged == bool(self.weights):
            return
        source = self.average if averaged else self.weights
        kept = {name: tensor.clone() for name, tensor in self._networks(method)} if averaged else {}
        for name, tensor in self._networks(method):
            tensor.copy_(source[name])
        self.weights = kept

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.average = {name: tensor.to(pl_module.device) for name, tensor in self.average.items()}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if trainer.global_step > self.done:  # else gradients are still accumulated
            self.done = trainer.global_step
            self._update(pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._share(trainer, pl_module)
        self._exchange(pl_module, averaged=True)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._exchange(pl_module, averaged=False)

    on_train_epoch_end = on_validation_start  # until the next epoch: for what looks at a finished one
    on_train_epoch_start = on_train_start = on_validation_end  # the latter: a run that goes on within an epoch

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self.average:
            if "within_epoch" in checkpoint:  # else the average is in place already, or training does not go on from it
                trained = {name: checkpoint["state_dict"][name] for name in self.average}
                checkpoint["callbacks"][self.state_key]["weights"] = trained
            checkpoint["state_dict"] |= {name: tensor.clone() for name, tensor in self.average.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "done": self.done, "average": self.average, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps, self.done = state_dict["steps"], state_dict["done"]
        self.average, self.weights = state_dict["average"], state_dict["weights"]
