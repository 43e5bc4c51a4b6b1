"""Checkpoints between two steps of an epoch, from which a run goes on as if it had not been stopped."""

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from lnl.errors import check_range


class CheckpointWithinEpoch(Callback):
    """Saves ``last.ckpt`` within epochs, and restores what Lightning does not: the state of an unfinished epoch.

    That is: the samples that it visits, how many steps are done, streams beside them, random generators, and what was
    measured and logged. It has to be the first callback, so that nothing of the next step has happened when it saves.
    Terminated by SIGTERM, a run that saves within epochs saves once more.

    Args:
        path: of the checkpoint.
        steps, minutes: how often to save; None for never.
    """

    def __init__(self, path: Path, steps: int | None = None, minutes: float | None = None) -> None:
        if steps is not None and type(steps) is not int:
            raise ValueError(f"callbacks.checkpoint_every_n_steps must be a whole number, got {steps}")
        check_range("[1, inf)", **{"callbacks.checkpoint_every_n_steps": steps})
        check_range("(0, inf)", **{"callbacks.checkpoint_every_n_minutes": minutes})
        self.path, self.steps, self.minutes = path, steps, minutes
        self.saving = self.validated = False  # validated: since the last step
        self.resumed: dict[str, Any] = {}  # what is still to be restored
        self.made: list[str] = []  # keys of what was logged, for the resumed epoch

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.resumed = checkpoint.get("within_epoch", {})
        if self.resumed:
            data: Any = trainer.datamodule  # type: ignore[attr-defined]
            data.chosen, data.start = self.resumed["chosen"], self.resumed["step"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._note(trainer)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        for number, state in self.resumed.pop("streams", {}).items():
            pl_module.streams[number] = data.endless(**state, device=pl_module.device, share=data.share)
        measured = self.resumed.pop("measured", {})
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if callback.state_key in measured:
                callback.load_epoch_state(measured[callback.state_key], pl_module.device)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        for key in self.made:  # the epoch may log them in another way
            del trainer.fit_loop.epoch_loop._results[key]
        self.made = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        validated, self.validated = self.validated, False
        if generators := self.resumed.pop("generators", None):
            set_generators(generators, pl_module.device)
            return
        self._restore_logged(trainer)
        if batch_idx == 0:
            self._note(trainer)  # the end of an epoch has saved
        elif not validated and self._is_due(trainer):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._restore_logged(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.validated = True  # Lightning would not resume exactly from here

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        asked = self.steps is not None or self.minutes is not None
        if isinstance(exception, SIGTERMException) and asked and not self.validated:  # it is raised between steps
            self._save(trainer)

    def _note(self, trainer: pl.Trainer) -> None:
        self.at, self.since = trainer.global_step, time.monotonic()

    def _is_due(self, trainer: pl.Trainer) -> bool:
        steps, seconds = trainer.global_step - self.at, time.monotonic() - self.since
        return (self.steps is not None and steps >= self.steps) or (
            self.minutes is not None and seconds >= 60 * self.minutes
        )

    def _save(self, trainer: pl.Trainer) -> None:
        epoch: Any = trainer.fit_loop.epoch_progress.current
        steps = trainer.fit_loop.epoch_loop.batch_progress.current
        within = trainer.training and epoch.processed < epoch.started and steps.completed > 0
        if trainer.fast_dev_run or not within or steps.completed % trainer.accumulate_grad_batches:  # type: ignore[attr-defined]
            return
        self._restore_logged(trainer)
        self.saving = True
        trainer.save_checkpoint(self.path)
        self.saving = False
        self._note(trainer)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if not self.saving:
            return
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            counts["ready"] = counts["completed"]  # the next batch is here already, and may be the epoch's last
        progress["is_last_batch"] = False
        checkpoint["within_epoch"] = {
            "step": progress["current"]["completed"],
            "chosen": trainer.datamodule.chosen,  # type: ignore[attr-defined]
            "streams": {number: stream.state() for number, stream in pl_module.streams.items()},
            "generators": generators_now(pl_module.device),
            "logged": logged_so_far(trainer),
            "measured": {
                callback.state_key: callback.epoch_state()
                for callback in trainer.callbacks  # type: ignore[attr-defined]
                if hasattr(callback, "epoch_state")
            },
        }

    def _restore_logged(self, trainer: pl.Trainer) -> None:
        """Adds what the first part of the epoch has logged; after the first step, before which Lightning resets it."""
        results: Any = trainer.fit_loop.epoch_loop._results
        logged = self.resumed.pop("logged", {})
        later = [key for key in results if key not in logged]
        for key, (fx, name, kind, value, size) in logged.items():
            if key not in results:  # logged before the first step, and not again in this epoch
                results.log(fx, name, value, reduce_fx=kind)
                results[key].value, results[key].cumulated_batch_size = value, size
                self.made.append(key)
                continue
            metric, value = results[key], value.to(results[key].value.device)
            combined = torch.add if kind in ("mean", "sum") else getattr(torch, kind)
            metric.value = combined(metric.value, value)
            if kind == "mean":
                metric.cumulated_batch_size = metric.cumulated_batch_size + size.to(value.device)
        if logged:
            for key in (*logged, *later):  # the order of the columns in metrics.csv
                results[key] = results.pop(key)


def logged_so_far(trainer: pl.Trainer) -> dict[str, Any]:
    """Hook, name, kind (mean, sum, max, min), value and samples of what the epoch has logged, by Lightning's key."""
    results: Any = trainer.fit_loop.epoch_loop._results
    return {
        key: (
            metric.meta.fx,
            metric.meta.name,
            metric.meta.reduce_fx.__name__,
            metric.value,
            getattr(metric, "cumulated_batch_size", None),
        )
        for key, metric in results.items()
        if metric.is_tensor and metric.meta.on_epoch and not metric.has_reset
    }


def generators_now(device: torch.device) -> dict[str, Any]:
    """The states of the global random generators, of types that a checkpoint is read with."""
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002 - methods draw from the global one
    key = numpy["state"]["key"].tolist()
    states = {
        "torch": torch.get_rng_state(),
        "numpy": {**numpy, "state": {"key": key, "pos": int(numpy["state"]["pos"])}},
        "python": random.getstate(),
    }
    return states | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def set_generators(states: dict[str, Any], device: torch.device) -> None:
    """Sets the global random generators to the states that :func:`generators_now` returned."""
    torch.set_rng_state(states["torch"])
    numpy = states["numpy"]
    key = np.array(numpy["state"]["key"], np.uint32)
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": key}})  # noqa: NPY002
    random.setstate(states["python"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
