"""Training in stages: how long each takes, what is made new when it begins, and what is trained in it."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor

from lnl.callbacks import EMA, FitUntil, LabelWave
from lnl.errors import UserError
from lnl.methods.base import NoisyLabelMethod
from lnl.runs.folder import RunFolder


@dataclass(frozen=True)
class Stage:
    """One stage of training, with an optimizer and a learning rate schedule of its own.

    Attributes:
        epochs: that it takes.
        fresh: whether the network is initialised again, or the names of its modules that are.
        trained: names of the network's modules that are trained, the others being frozen; None for all of it.
        patience: ends the stage when noisy validation accuracy has not risen for this many epochs; None for never.
        optimizer: takes parameter groups, and trains this stage at a learning rate that stays; None for the configured
            one and its schedule.
        schedule: epochs that a cosine schedule spans; None for the stage's own.
    """

    epochs: int
    fresh: bool | Sequence[str] = ()
    trained: Sequence[str] | None = None
    patience: int | None = None
    optimizer: Callable[..., torch.optim.Optimizer] | None = None
    schedule: int | None = None


class StagedMethod(NoisyLabelMethod):
    """A method whose training has :meth:`stages`, each on the samples that :meth:`begin_stage` has put into ``kept``.

    Which stage it is is state of the method: a resumed run repeats no finished one. A cosine schedule spans each stage.
    All stages but the last leave ``stage1.ckpt``, ….
    """

    stage: Tensor
    stage_start: Tensor
    stage_over: Tensor
    best: Tensor
    kept: Tensor

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        self.trainable = {name for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        self.begun = False  # a stage, in whose first epoch nothing is made new yet
        self.register_buffer("stage", torch.tensor(0))  # from 1, once there is one
        self.register_buffer("stage_start", torch.tensor(0))  # its first epoch
        self.register_buffer("stage_over", torch.tensor(False))
        self.register_buffer("best", torch.tensor([-1.0, 0.0]))  # this stage's noisy validation accuracy and its epoch
        self.register_buffer("kept", torch.zeros(self.num_samples, dtype=torch.bool))

    @abstractmethod
    def stages(self, epochs: int) -> list[Stage]:
        """The stages of a training of ``epochs``."""

    def begin_stage(self, number: int) -> None:
        """Puts into ``kept`` what stage ``number`` (from 1) trains on: all samples, unless a method says otherwise."""
        self.kept[self.samples.index] = True

    @property
    def present(self) -> Stage:
        """The stage that training is in, the first before it starts."""
        epochs = self.trainer.max_epochs if self._trainer else None
        return self.stages(epochs or 0)[max(int(self.stage), 1) - 1]

    @property
    def later_epochs(self) -> int:
        """Epochs of the stages after the present one, for the time left."""
        return sum(stage.epochs for stage in self.stages(self.trainer.max_epochs or 0)[max(int(self.stage), 1) :])

    @property
    def is_last(self) -> bool:
        return int(self.stage) == len(self.stages(self.trainer.max_epochs or 0))

    def on_fit_start(self) -> None:
        stages = self.stages(self.trainer.max_epochs or 0)
        short = next((number for number, stage in enumerate(stages, 1) if stage.epochs < 1), None)
        if short and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            taken = ", ".join(f"method.{key}={value}" for key, value in vars(self).items() if key.endswith("_epochs"))
            where = f"stage {short} of {len(stages)}" + (f" ({taken})" if taken else "")
            raise UserError(f"trainer.max_epochs={self.trainer.max_epochs} leaves no epochs to {where}.")
        callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
        if any(isinstance(callback, EarlyStopping | FitUntil | LabelWave) for callback in callbacks):
            raise UserError("early stopping would end stage 1 for good: use method.patience, if the method has it.")
        if self.trainer.world_size > 1 and any(stage.trained is not None for stage in stages):
            raise UserError("stages that train a part of the network need one device: set trainer.devices=1.")

    def training_set(self, epoch: int) -> Tensor:
        if self.stage == 0 or (self.stage_over and not self.is_last):
            self.begin_stage(int(self.stage) + 1)
            self.stage += 1
            self.stage_over.fill_(False)
            self.begun = True  # the rest waits until the epoch is seeded
        return self.kept.nonzero()[:, 0].cpu()

    def on_train_epoch_start(self) -> None:
        if self.begun:
            self.begun = False
            self.stage_start.fill_(self.current_epoch)
            self.best.copy_(torch.tensor([-1.0, self.current_epoch]))
            if self.stage > 1:
                self._renew(self.present.fresh)
                self.trainer.strategy.setup_optimizers(self.trainer)

    def _renew(self, fresh: bool | Sequence[str]) -> None:
        """Initialises the network, or the modules of it that ``fresh`` names."""
        names = [""] if fresh is True else fresh or []
        if not names:
            return
        # In place, because DDP averages the gradients of the parameters that it was given. Each process would draw a
        # network of its own.
        network = self.make_model()
        network.load_state_dict(self.trainer.strategy.broadcast(network.state_dict()))
        for name in names:
            self.model.get_submodule(name).load_state_dict(network.get_submodule(name).state_dict())
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, EMA):
                callback.restart()

    def on_validation_end(self) -> None:
        accuracy = self.trainer.callback_metrics["val/accuracy"]
        if accuracy > self.best[0] and not self.trainer.sanity_checking:
            self.best.copy_(torch.tensor([float(accuracy), self.current_epoch]))

    def on_train_epoch_end(self) -> None:
        self.log("stage", self.stage.float(), sync_dist=True)
        present = self.present
        stale = present.patience is not None and self.current_epoch - self.best[1] >= present.patience
        if stale or self.current_epoch + 1 - self.stage_start >= present.epochs:
            self.stage_over.fill_(True)
            if self.is_last:
                self.trainer.should_stop = True
            else:
                path = RunFolder(self.trainer.default_root_dir).stage(int(self.stage))
                self.trainer.save_checkpoint(path, weights_only=True)

    def configure_optimizers(self) -> Any:
        present = self.present
        for name, parameter in self.model.named_parameters():
            inside = present.trained is None or any(name.startswith(f"{part}.") for part in present.trained)
            parameter.requires_grad_(inside and name in self.trainable)
        made = super().configure_optimizers()
        if present.optimizer:
            return {"optimizer": present.optimizer(self.parameter_groups())}
        if hasattr(schedule := made.get("lr_scheduler"), "T_max"):
            schedule.T_max = present.schedule or present.epochs
        return made
