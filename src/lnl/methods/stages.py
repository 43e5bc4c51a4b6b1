"""Training in stages: when one begins and ends, and what is made new then."""

from abc import abstractmethod
from typing import Any

import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor

from lnl.callbacks import FitUntil
from lnl.errors import UserError
from lnl.methods.base import NoisyLabelMethod


class StagedMethod(NoisyLabelMethod):
    """A first stage and ``rounds`` further ones, each on the samples that :meth:`begin_stage` has put into ``kept``.

    A stage has its own model, optimizer and learning rate schedule; a cosine schedule spans each stage. Which stage it
    is is state of the method: a resumed run repeats no finished one. All but the last leave ``stage1.ckpt``, ….

    Args:
        stage1_epochs: epochs of stage 1; ``trainer.max_epochs`` less these are divided among the rounds.
        rounds: stages after the first.
        fresh_model: train a new model in each stage; if false, the same network is trained on.
        patience: end a stage when noisy validation accuracy has not risen for so many epochs; null for never.

    Raises:
        ValueError: for a value below 1.
    """

    stage: Tensor
    stage_start: Tensor
    stage_over: Tensor
    best: Tensor
    kept: Tensor

    def __init__(
        self,
        *,
        stage1_epochs: int = 3,
        rounds: int = 1,
        fresh_model: bool = True,
        patience: int | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        for name, value in {"stage1_epochs": stage1_epochs, "rounds": rounds, "patience": patience}.items():
            if value is not None and value < 1:
                raise ValueError(f"method.{name} must be at least 1, got {value}")
        self.stage1_epochs, self.rounds, self.fresh_model, self.patience = stage1_epochs, rounds, fresh_model, patience
        self.begun = False  # a stage, in whose first epoch nothing is made new yet
        self.register_buffer("stage", torch.tensor(0))  # from 1, once there is one
        self.register_buffer("stage_start", torch.tensor(0))  # its first epoch
        self.register_buffer("stage_over", torch.tensor(False))
        self.register_buffer("best", torch.tensor([-1.0, 0.0]))  # this stage's noisy validation accuracy and its epoch
        self.register_buffer("kept", torch.zeros(self.num_samples, dtype=torch.bool))

    @abstractmethod
    def begin_stage(self) -> None:
        """Says in ``kept`` what the next stage trains on; ``stage`` is that of the one before, 0 before the first."""

    @property
    def stage_epochs(self) -> int:
        """Epochs that the present stage may take."""
        if self.stage <= 1:
            return self.stage1_epochs
        rest = (self.trainer.max_epochs or 0) - self.stage1_epochs
        return rest // self.rounds + (int(self.stage) - 2 < rest % self.rounds)

    def on_fit_start(self) -> None:
        epochs = self.trainer.max_epochs or 0
        if epochs < self.stage1_epochs + self.rounds and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            raise UserError(
                f"trainer.max_epochs={epochs} leaves no epochs to the stages after the first: it must be at least "
                f"method.stage1_epochs ({self.stage1_epochs}) + method.rounds ({self.rounds})."
            )
        if any(isinstance(callback, EarlyStopping | FitUntil) for callback in self.trainer.callbacks):  # type: ignore[attr-defined]
            raise UserError("early_stopping and fit_until would end stage 1 for good: use method.patience instead.")

    def training_set(self, epoch: int) -> Tensor:
        if self.stage == 0 or (self.stage_over and self.stage <= self.rounds):
            self.begin_stage()
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
                if self.fresh_model:
                    # In place, because DDP averages the gradients of the parameters that it was given. Each process
                    # would draw a model of its own.
                    self.model.load_state_dict(self.trainer.strategy.broadcast(self.make_model().state_dict()))
                self.trainer.strategy.setup_optimizers(self.trainer)
        self.log("stage", self.stage.float(), sync_dist=True)

    def on_validation_end(self) -> None:
        accuracy = self.trainer.callback_metrics["val/accuracy"]
        if accuracy > self.best[0] and not self.trainer.sanity_checking:
            self.best.copy_(torch.tensor([float(accuracy), self.current_epoch]))

    def on_train_epoch_end(self) -> None:
        stale = self.patience is not None and self.current_epoch - self.best[1] >= self.patience
        if stale or self.current_epoch + 1 - self.stage_start >= self.stage_epochs:
            self.stage_over.fill_(True)
            if self.stage > self.rounds:
                self.trainer.should_stop = True
            else:
                path = f"{self.trainer.default_root_dir}/checkpoints/stage{int(self.stage)}.ckpt"
                self.trainer.save_checkpoint(path, weights_only=True)

    def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
        schedule = super().schedule(optimizer)
        if hasattr(schedule, "T_max"):
            schedule.T_max = self.stage_epochs
        return schedule
