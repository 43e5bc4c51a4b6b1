"""The base of all methods: everything that a method need not think about."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lnl.data.batch import Batch
from lnl.errors import UserError

OptimizerFactory = Callable[[Iterable[Any]], torch.optim.Optimizer]
SchedulerFactory = Callable[..., torch.optim.lr_scheduler.LRScheduler]


class NoisyLabelMethod(pl.LightningModule, ABC):
    """How a batch of doubtful labels becomes a gradient. A method is a subclass with :meth:`training_loss`.

    - State per training sample is a buffer of ``num_samples`` rows (``self.register_buffer``), indexed by
      ``batch.index``, so that checkpoints hold it (ELR's targets, DivideMix's losses).
    - More networks are more submodules, made by ``self.make_model()``; :meth:`parameter_groups` finds them. Override
      :meth:`forward` to say how they predict together (Co-teaching, DivideMix).
    - More views of an image come in ``batch.views``, as many as ``data.views`` says.
    - Whole passes over the training set at the start of an epoch belong in ``on_train_epoch_start``, over
      ``self.trainer.datamodule.loader("train", self.device)``: not shuffled, not augmented.

    - Which samples an epoch trains on, if not all, is what :meth:`training_set` returns.

    Clean labels reach no method: ``batch.labels`` are the given ones, but for trusted samples (``data.trusted``), whose
    right label is in its place if the method sets ``uses_trusted``. Metrics on the training set are taken by a
    callback from what ``self(batch.images)`` returns within the step. A method that descends on something else than the
    configured loss sets ``any_loss = False``: no other loss can then be chosen, and none stands in its name. An option
    of the value ``oracle`` is replaced by the share of labels that the noise makes wrong, and the result says so.

    Args:
        model: makes a network, images ``[B, C, H, W]`` -> logits ``[B, K]``.
        loss: (logits, labels) -> ``[B]``.
        optimizer: takes parameter groups.
        scheduler: takes the optimizer, is stepped once an epoch; or None.
        num_classes: K.
        num_samples: size of the whole training set, the range of ``batch.index``.
    """

    uses_trusted: ClassVar[bool] = False
    any_loss: ClassVar[bool] = True  # whether the configured loss is what it descends on
    several_devices: ClassVar[bool] = True  # whether processes that share the training set can train it
    oracle_options: Sequence[str] = ()  # those that were given the true share of wrong labels

    def __init__(
        self,
        *,
        model: Callable[[], nn.Module],
        loss: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        num_classes: int,
        num_samples: int,
    ) -> None:
        super().__init__()
        try:
            inspect.signature(self.training_set).bind(0)
        except TypeError:
            name = type(self).__name__
            raise ValueError(f"{name}.training_set has to take the epoch: def training_set(self, epoch)") from None
        self.make_network, self.make_optimizer, self.make_scheduler = model, optimizer, scheduler
        self.model = self.make_model()
        self.loss = loss
        self.num_classes, self.num_samples = num_classes, num_samples

    def make_model(self) -> nn.Module:
        """A new network, initialised anew, in the memory layout that convolutions are fastest in."""
        network = self.make_network()
        if not isinstance(network, nn.Module):
            raise UserError(f"model: its _target_ must make an nn.Module, and made a {type(network).__name__}")
        return network.to(memory_format=torch.channels_last)

    @abstractmethod
    def training_loss(self, batch: Batch) -> Tensor:
        """The scalar to descend on."""

    def training_set(self, epoch: int) -> Tensor | None:
        """Numbers of the samples to train on in ``epoch`` (from 0), int64 ``[n]``; None for all.

        If overridden, it is asked once before each epoch. What it draws from the global generators of torch, numpy and
        random depends only on seed and epoch, so that a resumed run, and each of several processes, draws the same.
        """
        return None

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, K]`` of the method as a whole."""
        return self.model(images)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.training_loss(batch)
        if not isinstance(loss, Tensor) or loss.ndim:
            given, hint = (list(loss.shape), ": .mean()?") if isinstance(loss, Tensor) else (type(loss).__name__, "")
            raise UserError(f"{type(self).__name__}.training_loss must return a scalar, got {given}{hint}")
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and accuracy against the given, noisy labels: all that may choose an epoch."""
        logits = self(batch.images)
        correct = (logits.argmax(dim=1) == batch.labels).float()
        self._log_mean({"val/loss": self.loss(logits, batch.labels).mean(), "val/accuracy": correct.mean()}, batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self(batch.images).float()

    def log_term(self, name: str, value: Tensor, batch: Batch) -> None:
        """Logs ``train/<name>``, the mean over the epoch of a batch's ``value``."""
        self._log_mean({f"train/{name}": value.detach()}, batch)

    def _log_mean(self, metrics: dict[str, Tensor], batch: Batch) -> None:
        # The size as a float: of several processes Lightning divides the sum of sizes by their number, and rounds ints.
        size: Any = float(len(batch))
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=size, sync_dist=True)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What is trained, for the optimizer: override to give parts their own settings."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def schedule(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        """The learning rate schedule, where there is one."""
        assert self.make_scheduler is not None
        return self.make_scheduler(optimizer)

    def configure_optimizers(self) -> Any:
        groups = self.parameter_groups()
        if not any(group["params"] for group in groups):
            raise ValueError("the model has no parameter that an optimizer could train (histogram_logistic: fit_once)")
        optimizer = self.make_optimizer(groups)
        if self.make_scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self.schedule(optimizer)}
