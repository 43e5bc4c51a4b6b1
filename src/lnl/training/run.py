"""One run, from configuration to result.json."""

import logging
import shutil
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from lnl.data import NoisyDataModule
from lnl.errors import UserError, first_line
from lnl.methods import NoisyLabelMethod
from lnl.metrics import reset_peak_memory
from lnl.runs.folder import RunFolder, write_json
from lnl.runs.identity import relevant_config
from lnl.runs.plan import Plan
from lnl.tracking.trackers import Trackers
from lnl.training.assembly import build_data, build_method, build_trainer, uses_trusted
from lnl.training.checkpoints import load_checkpoint, load_weights
from lnl.training.environment import git_commit, send_warnings_to_the_log
from lnl.training.evaluation import evaluate, save_out_of_fold
from lnl.training.metrics_table import MetricsTable
from lnl.training.processes import ALONE, Process, count_processes, together
from lnl.training.record import make_result

log = logging.getLogger(__name__)


def train(plan: Plan, say: Callable[[str], Any] = print) -> dict[str, Any]:
    """Trains, evaluates and records the run that a plan describes, from its last checkpoint if it was interrupted.

    Args:
        plan: of the run.
        say: takes messages for the user.

    Returns:
        The content of ``result.json``.
    """
    processes = count_processes(plan.cfg)
    return train_here(plan, say) if processes == 1 else together(processes, train_here, plan, say)


def train_here(plan: Plan, say: Callable[[str], Any], process: Process = ALONE) -> dict[str, Any]:
    """:func:`train` in one of the processes of a run. The first one writes all files and returns the result."""
    send_warnings_to_the_log()
    git_commit()
    reset_peak_memory()
    cfg, folder = plan.cfg, plan.folder
    with process.first():  # it downloads and decodes for the others
        data = build_data(cfg, uses_trusted(cfg.method), plan.experiment.fingerprints)
    if not process.number:
        for remark in data.dataset.remarks:
            log.warning(remark)
            if cfg.data.fold in (None, 1):  # the other folds have the same remarks
                say(remark.split("\n")[0])
    pl.seed_everything(cfg.seed, verbose=False)
    method = build_method(cfg, data)
    if not method.any_loss:  # the source of a user's class may not have said so
        plan = replace(plan, options={**plan.options, "loss": "none"})
    table = MetricsTable(folder.metrics)
    trainer = build_trainer(cfg, folder, data, method, table, process=process)
    smoke = bool(cfg.trainer.fast_dev_run)
    if process.number:
        process.wait()
        fit(trainer, method, data, folder, say)
        return {}
    if smoke:
        folder.check_identity()  # a smoke run starts over, but never over another run
    new = not folder.marker.exists()
    folder.claim(force=cfg.force or smoke)
    process.wait()
    try:
        return fit_and_record(plan, data, method, trainer, table, say)
    except UserError:
        if new and not trainer.global_step:
            folder.unclaim()  # a mistake that was found when fitting started
        raise
    except OSError as error:
        raise UserError(f"{error.filename or folder.path} cannot be written: {error.strerror or error}.") from error


def fit_and_record(
    plan: Plan,
    data: NoisyDataModule,
    method: NoisyLabelMethod,
    trainer: pl.Trainer,
    table: MetricsTable,
    say: Callable[[str], Any],
) -> dict[str, Any]:
    """Trains, evaluates, and writes the files of a run; a smoke run writes no result."""
    folder, smoke = plan.folder, bool(plan.cfg.trainer.fast_dev_run)
    noise = data.labels.noise
    assert noise is not None
    noise.save(folder.noise)
    np.savez(folder.seen, train=data.digests("train"), val=data.digests("val"))  # evaluation leaves these out
    with Trackers(trainer.loggers) as trackers:
        config = relevant_config(plan.cfg)  # with the values from the data
        trackers.start({**config, "options": plan.options, "noise_rate": noise.rate})
        fit(trainer, method, data, folder, say)
        entries, prediction = evaluate(method, data, trainer, folder, table.rows, smoke)
        if prediction is not None:
            prediction.save(folder.predictions, data.classes)
        if plan.cfg.data.fold is not None and not smoke:
            save_out_of_fold(method, data, trainer, folder)
        result = make_result(plan, config, data, method, trainer, table.rows, entries, prediction)
        trackers.finish(result, data)
    if not smoke:
        write_json(folder.result, result)
    return result


def fit(
    trainer: pl.Trainer, method: NoisyLabelMethod, data: NoisyDataModule, folder: RunFolder, say: Callable[[str], Any]
) -> None:
    """Trains to the last epoch, from the last checkpoint if there is one."""
    resume = folder.last if folder.last.exists() else None
    note = "training starts"
    if resume is not None:
        checkpoint = load_checkpoint(resume)
        load_weights(method, checkpoint["state_dict"], resume)
        note = f"resuming an interrupted run after epoch {checkpoint['epoch'] + 1}"
        say(note)
    log.info(note)
    try:
        trainer.fit(method, datamodule=data, ckpt_path=resume, weights_only=True)
    except SystemExit:  # from Lightning for Ctrl-C and SIGTERM, without an exit code
        done = load_checkpoint(folder.last)["epoch"] + 1 if folder.last.exists() else 0
        say(f"stopped; the same command goes on after epoch {done}")
        raise SystemExit(1) from None
    except Exception as error:
        part = refused_by(error)
        if part is None or isinstance(error, UserError):
            raise
        raise UserError(f"{part}: {first_line(error).strip()}") from error
    if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    if not folder.last.exists():
        raise UserError("a callback ended training before its first step.")
    if not folder.noisy_val_best.exists():  # training ended before it was validated
        shutil.copyfile(folder.last, folder.noisy_val_best)


def refused_by(error: Exception) -> str | None:
    """The part of the configuration that an error is about, by the library that raised it; None for other code."""
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename).as_posix()
    packages = {"trainer": ("/pytorch_lightning/", "/lightning_fabric/"), "optimizer or scheduler": ("/torch/optim/",)}
    return next((part for part, names in packages.items() if any(name in raised_in for name in names)), None)
