"""The Lightning Trainer of a run: its callbacks, checkpoints and trackers, checked against the data and the method."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, ProgressBar, Timer

from lnl.callbacks import L1Norm
from lnl.config import build, build_all
from lnl.data import NoisyDataModule
from lnl.errors import UserError, first_line
from lnl.methods import NoisyLabelMethod
from lnl.runs.folder import RunFolder
from lnl.training.checkpoints import AtomicCheckpointIO, EpochSeed, StaysStopped
from lnl.training.environment import resolve_precision
from lnl.training.evaluation import OracleBest
from lnl.training.processes import ALONE, OneProcess, Process, SharedDDP, SharedState
from lnl.training.trainer_options import check_batch_of_one, check_limit, check_monitors, check_options, check_schedule
from lnl.training.training_metrics import TrainingMetrics
from lnl.training.within_epoch import CheckpointWithinEpoch

WITHIN_EPOCH = ("checkpoint_every_n_steps", "checkpoint_every_n_minutes")  # keys beside callbacks, in this order


def build_trainer(
    cfg: DictConfig,
    folder: RunFolder,
    data: NoisyDataModule,
    method: NoisyLabelMethod,
    *callbacks: Callback,
    process: Process = ALONE,
) -> pl.Trainer:
    """Lightning's Trainer with the run's checkpoints, measurements and trackers."""
    check_options(cfg.trainer, process.count)
    check_limit(cfg.trainer.limit_val_batches, data, process.count)
    check_schedule(method, cfg.trainer)
    check_batch_of_one(method, data, process.count)
    every = build_callbacks(cfg, folder, data, method, callbacks)
    options: dict[str, Any] = {
        "precision": resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator),
        "callbacks": every,
        "logger": [] if process.number else build_all("logger", cfg.logger),
        "plugins": [AtomicCheckpointIO()],
        "strategy": "auto",
        "max_steps": -1,  # StaysStopped counts them
        "benchmark": bool(cfg.trainer.get("benchmark")),  # else a sweep's job would have the one before's
        "default_root_dir": str(folder.path),
        "enable_model_summary": False,
        "reload_dataloaders_every_n_epochs": int(type(method).training_set is not NoisyLabelMethod.training_set),
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in every),
    }
    if process.count > 1:
        check_together(cfg, data, method, process.count)
        options |= {"strategy": SharedDDP(cfg.trainer.strategy), "use_distributed_sampler": False}
    else:
        options["plugins"].append(OneProcess())
    try:
        trainer: pl.Trainer = build("trainer", cfg.trainer, **options)
    except (MisconfigurationException, ImportError) as error:
        hint = " (trainer.accelerator=auto takes what the machine has)" if "backend" in str(error) else ""
        raise UserError(f"trainer: {first_line(error)}{hint}") from error
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer) and callback.time_remaining() == 0:
            raise UserError("trainer.max_time must be above 0: nothing would be trained")
    return trainer


def build_callbacks(
    cfg: DictConfig, folder: RunFolder, data: NoisyDataModule, method: NoisyLabelMethod, others: Sequence[Callback]
) -> list[Callback]:
    """The callbacks of every run, the chosen ones, ``others``, and the run's checkpoints."""
    # Without a version in the name, files of a run that was killed are replaced.
    overwrite: dict[str, Any] = {"dirpath": folder.checkpoints, "enable_version_counter": False}
    best: dict[str, Any] = {"filename": data.val_best, "monitor": "val/accuracy", "mode": "max"}
    try:
        chosen = build_all("callbacks", {key: node for key, node in cfg.callbacks.items() if key not in WITHIN_EPOCH})
        l1_norm = [L1Norm(delta)] if (delta := cfg.loss.get("l1_norm")) else []
        saving = CheckpointWithinEpoch(folder.last, *(cfg.callbacks.get(key) for key in WITHIN_EPOCH))
    except MisconfigurationException as error:
        raise UserError(f"callbacks: {first_line(error)}") from error
    except ValueError as error:
        raise UserError(str(error)) from error
    check_monitors(chosen, method)
    return [
        saving,  # before others can change anything
        EpochSeed(cfg.seed),
        StaysStopped(cfg.trainer.get("max_steps", -1)),
        SharedState(),
        TrainingMetrics(data.given, data.labels.truth),
        *l1_norm,
        *([build("average", cfg.average)] if cfg.get("average") else []),
        *chosen,
        *others,
        # After validation: at an epoch's end it would see the accuracy of an earlier validation.
        ModelCheckpoint(save_on_train_epoch_end=False, **best, **overwrite),
        *([OracleBest(folder)] if cfg.oracle else []),
        ModelCheckpoint(save_on_train_epoch_end=True, filename=folder.last.stem, **overwrite),
    ]


def check_together(cfg: DictConfig, data: NoisyDataModule, method: NoisyLabelMethod, processes: int) -> None:
    """Raises UserError if the run cannot be trained by several processes."""
    if key := next((key for key in WITHIN_EPOCH if cfg.callbacks.get(key) is not None), None):
        raise UserError(f"callbacks.{key} works on one device: set trainer.devices=1.")
    if not method.several_devices:
        raise UserError(f"{type(method).__name__} trains on one device: set trainer.devices=1.")
    for split in ("train", "val"):
        if len(data.splits[split]) < processes:
            raise UserError(f"{len(data.splits[split])} {split} samples are too few for {processes} devices.")
    if cfg.trainer.get("sync_batchnorm") and cfg.trainer.accelerator == "cpu":
        raise UserError("trainer.sync_batchnorm works only on GPUs.")
