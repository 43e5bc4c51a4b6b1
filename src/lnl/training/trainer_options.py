"""Checks of the Trainer's options, and of what goes with them, before Lightning sees them."""

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lnl.data import NoisyDataModule
from lnl.errors import UserError, first_line, nearest
from lnl.methods import NoisyLabelMethod
from lnl.methods.stages import StagedMethod
from lnl.values import check_values

# Arguments of Lightning's Trainer that would change nothing in a run, and what to do instead.
REFUSED = {
    "barebones": "a run logs, validates and keeps checkpoints",
    "callbacks": "callbacks are options of their own: callbacks=early_stopping, +callbacks.NAME._target_=...",
    "default_root_dir": "hydra.run.dir=FOLDER says where a run goes",
    "enable_autolog_hparams": "logger=tensorboard and logger=wandb are sent the whole configuration",
    "enable_checkpointing": "a run is resumed and tested by its checkpoints",
    "enable_model_summary": "result.json has the number of parameters",
    "enable_progress_bar": "callbacks.progress=null leaves it out",
    "inference_mode": "nothing that a run evaluates has gradients",
    "limit_predict_batches": "a run predicts its test set: data.test_subset=N takes N samples of it",
    "limit_test_batches": "data.test_subset=N tests on N samples",
    "logger": "trackers are options of their own: logger=tensorboard, logger=wandb",
    "model_registry": "checkpoints stay in the run folder",
    "num_nodes": "a run trains on one machine: trainer.devices=N trains on N of its devices",
    "overfit_batches": "data.subset=N trains on the same N samples in every epoch",
    "plugins": "trainer.precision and trainer.strategy choose what there is",
    "reload_dataloaders_every_n_epochs": "the method says which samples an epoch takes (training_set)",
    "use_distributed_sampler": "samples are divided among devices in any case",
}

# The lower bounds of whole numbers.
LEAST = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "fast_dev_run": 0,
    "log_every_n_steps": 0,
    "max_epochs": 1,
    "min_epochs": 1,
    "min_steps": 1,
    "num_sanity_val_steps": -1,
}
ABOVE_ZERO = ("gradient_clip_val", "limit_train_batches", "limit_val_batches", "val_check_interval")

VALIDATION = ("val/accuracy", "val/loss")
TRAINING = ("loss", "accuracy", "accuracy_correct", "accuracy_wrong", "memorised", "visited")


def check_options(trainer: DictConfig, processes: int) -> None:
    """Raises UserError, naming the key, for an option of the Trainer that a run cannot take, or would ignore."""
    for name in trainer:
        if name in REFUSED:
            raise UserError(f"trainer.{name} would do nothing: {REFUSED[str(name)]}.")
    check_values("trainer", trainer, skip=("trainer.precision",))
    for name, least in LEAST.items():
        value = trainer.get(name)
        if (value is None and name == "max_epochs") or (value is not None and value < least):
            given = "null" if value is None else value
            raise UserError(f"trainer.{name} must be a whole number, at least {least}, got {given}")
    for name in ABOVE_ZERO:
        value = trainer.get(name)
        if isinstance(value, int | float) and not value > 0:
            raise UserError(f"trainer.{name} must be above 0, got {value}; null leaves it out")
    if trainer.get("profiler") not in ("simple", "advanced", "pytorch", None):
        raise UserError(f"trainer.profiler must be one of simple, advanced, pytorch, null, got {trainer.profiler}")
    max_steps, every = trainer.get("max_steps", -1), trainer.get("check_val_every_n_epoch") or 1
    if max_steps != -1 and max_steps < 1:
        raise UserError(f"trainer.max_steps must be a whole number, at least 1, or -1 for no limit, got {max_steps}")
    if max_steps != -1 and (trainer.get("min_epochs") or trainer.get("min_steps")):
        raise UserError("trainer.max_steps cannot be kept with trainer.min_epochs or trainer.min_steps")
    if every > trainer.max_epochs:
        raise UserError(f"trainer.check_val_every_n_epoch={every} validates none of {trainer.max_epochs} epochs")
    if trainer.get("gradient_clip_algorithm") is not None and trainer.gradient_clip_val is None:
        raise UserError("trainer.gradient_clip_algorithm clips nothing without trainer.gradient_clip_val")
    if processes == 1 and trainer.get("sync_batchnorm"):
        raise UserError("trainer.sync_batchnorm does nothing on one device")


def check_limit(limit: Any, data: NoisyDataModule, processes: int) -> None:
    """Raises UserError if ``trainer.limit_val_batches`` leaves nothing to validate on."""
    batches = -(-(len(data.splits["val"]) // processes) // data.eval_batch_size)
    if isinstance(limit, float) and int(limit * batches) == 0:
        less = f"trainer.limit_val_batches={limit} of {batches} validation batches is less than one"
        raise UserError(f"{less}; a whole number counts batches")


def check_monitors(callbacks: Sequence[Callback], method: NoisyLabelMethod) -> None:
    """Raises UserError for a callback that monitors the test set, or a metric that is known not to be logged."""
    parts: list[Any] = [method, *callbacks]
    ours = all(type(part).__module__.split(".")[0] in ("lnl", "pytorch_lightning") for part in parts)
    for monitor in (str(getattr(callback, "monitor", None) or "") for callback in callbacks):
        if monitor.startswith(("test", "trusted_test")):
            raise UserError(f"callbacks: the test set chooses nothing: monitor val/accuracy or val/loss, not {monitor}")
        # A method logs train/... of its own, and a user's code may log anything.
        if ours and monitor and monitor not in VALIDATION and not monitor.startswith("train/"):
            logged = ", ".join([*VALIDATION, *(f"train/{name}" for name in TRAINING)])
            near = nearest(monitor, VALIDATION)
            raise UserError(f"callbacks: nothing is logged as {monitor}{near}\nLogged are {logged}.")


def check_schedule(method: NoisyLabelMethod, trainer: DictConfig) -> None:
    """Raises UserError if the method's schedule cannot be stepped after each epoch."""
    made = method.configure_optimizers()
    schedule = made.get("lr_scheduler") if isinstance(made, dict) else None
    if schedule is None or isinstance(schedule, dict):  # the latter a method's own, with an interval and a monitor
        return
    name = type(schedule).__name__
    if isinstance(schedule, ReduceLROnPlateau) or not isinstance(schedule, LRScheduler):
        hint = "is no schedule of epochs: choose scheduler=cosine, exponential, multistep or another LRScheduler"
        raise UserError(f"scheduler: {name} {hint}.")
    if trainer.get("max_steps", -1) != -1:
        return  # training may end before the schedule does
    epochs = method.present.epochs if isinstance(method, StagedMethod) else int(trainer.max_epochs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the missing optimizer steps
            for _ in range(epochs):
                schedule.step()
    except (ValueError, TypeError, ZeroDivisionError, IndexError) as error:
        steps = f" (total_steps={schedule.total_steps})" if hasattr(schedule, "total_steps") else ""
        reason = f"{name}{steps} cannot be stepped once after each of {epochs} epochs: {first_line(error)}"
        raise UserError(f"scheduler: {reason}") from error


def check_batch_of_one(method: NoisyLabelMethod, data: NoisyDataModule, processes: int) -> None:
    """Raises UserError if all batches have one sample, and the model cannot be trained on one (batch norm)."""
    if min(data.batch_size, len(data.splits["train"])) > processes:
        return
    model = copy.deepcopy(method.model).train()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model(torch.zeros(1, *data.sample_shape))
    except ValueError as error:
        where = "" if processes == 1 else f" on each of {processes} devices"
        few = f"data.batch_size={data.batch_size} is one sample{where}, too few for this model's batch norm"
        if data.batch_size > processes:
            few = f"one training sample{where} is too few for this model"
        raise UserError(f"{few}: {first_line(error)}") from error
