"""The base of all methods: everything that a method need not think about."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lnl.data.batch import Batch
from lnl.data.samples import Samples
from lnl.errors import UserError


class NoisyLabelMethod(pl.LightningModule, ABC):
    """How a batch of doubtful labels becomes a gradient. A method is a subclass with :meth:`training_loss`.

    State per training sample is a buffer of ``num_samples`` rows, indexed by ``batch.index``: checkpoints hold it, and
    processes that train together share it. More networks are submodules made by :meth:`make_model`. Optimizers of the
    method's own stand in ``inner``: it steps them, checkpoints hold their state. True labels reach no method.

    Args:
        model: makes a network, images ``[B, C, H, W]`` -> logits ``[B, K]``.
        loss: (logits, integer or soft labels) -> ``[B]``.
        optimizer, scheduler: take parameter groups, and the optimizer; the schedule is stepped once an epoch.
        samples: the training samples.
        changes: of each batch, before the method sees it: label smoothing, mixing.
    """

    views: Sequence[str] = ("weak",)  # augmentations of batch.views, images being the first
    any_views: ClassVar[bool] = False  # whether the configured loss may want several views
    any_loss: ClassVar[bool] = True  # whether the configured loss is what it descends on
    uses_trusted: ClassVar[bool] = False  # whether trusted samples have their right label in batches
    several_devices: ClassVar[bool] = True  # whether processes that share the training set can train it
    progress: float = 0.0  # epochs done, with the fraction of the present one

    def __init__(
        self,
        *,
        model: Callable[[], nn.Module],
        loss: nn.Module,
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
        samples: Samples,
        changes: Sequence[Callable[[Batch, int], Batch]] = (),
    ) -> None:
        super().__init__()
        self.make_network, self.make_optimizer, self.make_scheduler = model, optimizer, scheduler
        self.model, self.loss, self.changes = self.make_model(), loss, changes
        self.samples, self.num_samples, self.num_classes = samples, samples.count, samples.num_classes
        self.inner: dict[str, torch.optim.Optimizer] = {}
        self._inner_state: dict[str, Any] = {}
        self.streams: dict[int, Iterator[Batch]] = {}  # of endless, by their numbers
        self.listeners: list[Callable[[Tensor, Tensor], None]] = []  # of observe
        self._unobserved: Batch | None = None  # of this step
        self.register_forward_hook(self._observe_call)

    def make_model(self) -> nn.Module:
        """A new network with new weights, in the memory layout that convolutions are fastest in."""
        return self.make_network().to(memory_format=torch.channels_last)

    @abstractmethod
    def training_loss(self, batch: Batch) -> Tensor:
        """The scalar to descend on."""

    def training_set(self, epoch: int) -> Tensor | None:
        """Numbers of the samples to train on in ``epoch`` (from 0), int64 ``[n]``; None for all.

        It is called once before each epoch. The global random generators are seeded by seed and epoch then.
        """
        return None

    def labels_of(self, batch: Batch) -> Tensor:
        """The labels ``[B]`` or ``[B, K]`` to train on, before they are smoothed and mixed."""
        return batch.labels

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, K]`` of the method as a whole."""
        return self.model(images)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.progress = self.current_epoch + batch_idx / int(self.trainer.num_training_batches)
        batch = replace(batch, labels=self.labels_of(batch))
        for change in self.changes:
            batch = change(batch, self.num_classes)
        self._unobserved = batch
        loss = self.training_loss(batch)
        self._unobserved = None
        if getattr(loss, "shape", None) != ():
            given = f"{list(loss.shape)}: .mean()?" if isinstance(loss, Tensor) else type(loss).__name__
            raise UserError(f"{type(self).__name__}.training_loss must return a scalar, got {given}")
        return loss

    def observe(self, index: Tensor, logits: Tensor) -> None:
        """Tells the metrics what is predicted, ``logits[B, K]``, for the samples ``index[B]`` that a step trains on.

        The first ``self(batch.images)`` of a step does so. Call this where a step predicts in another way.
        """
        self._unobserved = None
        for listener in self.listeners:
            listener(index, logits.detach())

    def _observe_call(self, module: nn.Module, inputs: tuple[Any, ...], logits: Tensor) -> None:
        if self._unobserved is not None and inputs and inputs[0] is self._unobserved.images:
            self.observe(self._unobserved.index, logits)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Logs loss and accuracy against the given, noisy labels, all that may choose an epoch; returns the logits."""
        logits = self(batch.images)
        self.observe(batch.index, logits)
        self.log_term("loss", self.loss(logits, batch.labels).mean(), batch, "val")
        self.log_term("accuracy", (logits.argmax(dim=1) == batch.labels).float().mean(), batch, "val")
        return logits

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self(batch.images).float()

    def log_term(self, name: str, value: Tensor, batch: Batch, part: str = "train") -> None:
        """Logs ``train/<name>``, the mean over the epoch of a batch's ``value``."""
        # The size as a float: of several processes Lightning divides the sum of sizes by their number, and rounds ints.
        size: Any = float(len(batch))
        self.log(f"{part}/{name}", value.detach(), on_step=False, on_epoch=True, batch_size=size, sync_dist=True)

    def endless(
        self, chosen: Tensor, stream: int, batch_size: int | None = None, views: Sequence[str] = ("weak",)
    ) -> Iterator[Batch]:
        """Batches of the samples ``chosen`` (int64 ``[n]``) beside the epoch's own, pass after pass.

        Make them in each epoch, and take batches by ``next(self.streams[stream])``, where a resumed run has them. Their
        order follows from seed, epoch and the number ``stream``. ``batch_size`` is of all processes together.
        """
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        size = batch_size or data.batch_size
        made = data.endless(chosen.cpu(), self.current_epoch, stream, size, views, self.device, data.share)
        self.streams[stream] = made
        return made

    @torch.no_grad()
    def over_training_set(self, function: Callable[[Batch], Tensor]) -> tuple[Tensor, Tensor]:
        """What ``function`` says of each training sample: their numbers ``[n]``, sorted, and its values ``[n, ...]``.

        Batches are not augmented, networks are in evaluation mode, and processes share the work.
        """
        data, training = self.trainer.datamodule, self.training  # type: ignore[attr-defined]
        batches = data.loader("train", self.device, data.share)
        self.eval()
        with self.trainer.precision_plugin.forward_context():
            parts = [(batch.index, function(batch)) for batch in batches]
        self.train(training)
        index, values = (torch.cat(part) for part in zip(*parts, strict=True))
        if self.trainer.world_size == 1:
            return index, values
        whole = values.new_zeros(self.num_samples, *values.shape[1:]).index_copy(0, index, values)
        whole = self.trainer.strategy.reduce(whole, reduce_op="sum")
        return (index := self.samples.index.to(self.device)), whole[index]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the configured optimizer trains: override to give parts their own settings."""
        own = {id(p) for optimizer in self.inner.values() for group in optimizer.param_groups for p in group["params"]}
        return [{"params": [p for p in self.parameters() if p.requires_grad and id(p) not in own]}]

    def configure_optimizers(self) -> Any:
        while self._inner_state:  # of a checkpoint; the parameters are on their device by now
            name, state = self._inner_state.popitem()
            self.inner[name].load_state_dict(state)
        groups = self.parameter_groups()
        if not any(group["params"] for group in groups):
            raise ValueError("the model has no parameter that an optimizer could train (histogram_logistic: fit_once)")
        optimizer = self.make_optimizer(groups)
        return {"optimizer": optimizer} | ({"lr_scheduler": make(optimizer)} if (make := self.make_scheduler) else {})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["inner"] = {name: optimizer.state_dict() for name, optimizer in self.inner.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._inner_state = checkpoint.get("inner", {})
