"""One run, from configuration to result.json."""

import logging
import shutil
import statistics
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from lnl.callbacks import TrainingProgress
from lnl.data import NoisyDataModule
from lnl.errors import UserError, first_line
from lnl.files import explained
from lnl.methods import NoiseAware, NoisyLabelMethod
from lnl.metrics import peak_device_memory, peak_memory, reset_peak_memory
from lnl.progress import working
from lnl.runs.folder import SCHEMA_VERSION, RunFolder, write_json
from lnl.runs.identity import NUMBERS_VERSION, relevant_config
from lnl.runs.plan import Plan
from lnl.tracking.trackers import Trackers
from lnl.training import environment
from lnl.training.assembly import build_data, build_method, uses_trusted
from lnl.training.checkpoints import load_checkpoint, load_weights
from lnl.training.evaluation import Prediction, evaluate, save_out_of_fold
from lnl.training.features import features_for
from lnl.training.processes import ALONE, Process, count_processes, together
from lnl.training.trainer import build_trainer
from lnl.training.training_metrics import MetricsTable

log = logging.getLogger(__name__)


def train(
    plan: Plan, say: Callable[[str], Any] = print, tell: Callable[[int], Any] = lambda epochs: None
) -> dict[str, Any]:
    """Trains, evaluates and records the run that a plan describes, from its last checkpoint if it was interrupted.

    Messages for the user go to ``say``, the number of epochs to ``tell``; the content of ``result.json`` is returned.
    """
    cfg, processes = plan.cfg, count_processes(plan.cfg)
    if cfg.trainer.max_epochs == "auto":
        environment.send_warnings_to_the_log()
        data = build_data(cfg, uses_trusted(cfg.method), plan.experiment.fingerprints)  # which chooses the number
        if cfg.data.fold in (None, 1):
            chosen = (
                f"{cfg.trainer.max_epochs} epochs with batches of {data.batch_size} for {data.num_samples:,} labels"
            )
            say(f"{chosen} (trainer.max_epochs= and data.batch_size= choose others)")
    tell(cfg.trainer.max_epochs or 0)
    return train_here(plan, say) if processes == 1 else together(processes, train_here, plan, say)


def train_here(plan: Plan, say: Callable[[str], Any], process: Process = ALONE) -> dict[str, Any]:
    """:func:`train` in one of the processes of a run. The first one writes all files and returns the result."""
    environment.send_warnings_to_the_log()
    environment.git_commit()
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
    with process.first():  # it computes them for the others
        cached = not data.features and features_for(method, data, trainer.strategy.root_device, cfg.features.views)
    if cached and plan.options["features"] == "pixels":
        plan = replace(plan, options={**plan.options, "features": "backbone"})
    if isinstance(bar := trainer.progress_bar_callback, TrainingProgress):
        bar.part = plan.part
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
    with explained(folder.path):
        try:
            return fit_and_record(plan, data, method, trainer, table, say)
        except UserError:
            if new and not trainer.global_step:
                folder.unclaim()  # a mistake that was found when fitting started
            raise


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
    with Trackers(trainer.loggers) as trackers:
        config = relevant_config(plan.cfg)  # with the values from the data
        trackers.start({**config, "options": plan.options, "noise_rate": noise.rate})
        fit(trainer, method, data, folder, say)
        shown = trainer.progress_bar_callback is not None
        with working("testing") if shown else nullcontext():
            # Evaluation leaves these out. Training has found the digests of streamed images.
            np.savez(folder.seen, train=data.digests("train"), val=data.digests("val"))
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


def make_result(
    plan: Plan,
    config: dict[str, Any],
    data: NoisyDataModule,
    method: NoisyLabelMethod,
    trainer: pl.Trainer,
    rows: list[dict[str, float]],
    entries: dict[str, Any],
    prediction: Prediction | None,
) -> dict[str, Any]:
    """The content of ``result.json``; ``config`` is the relevant configuration with values from the data."""
    options, folder, device = plan.options, plan.folder, trainer.strategy.root_device
    noise = _noise(data)
    seeds = {"seed": config["seed"], "noise": noise["seed"], "split": config["data"]["split_seed"]}
    epoch_seconds = [row["seconds"] for row in rows]
    callbacks: Any = trainer.callbacks  # type: ignore[attr-defined]
    said = [callback.result_entries() for callback in callbacks if hasattr(callback, "result_entries")]
    return {
        "schema_version": SCHEMA_VERSION,
        "identity": folder.identity,
        "run": folder.path.name,
        "sweep": folder.path.parent.name,
        "fast_dev_run": bool(plan.cfg.trainer.fast_dev_run),
        "data": {"name": options["data"], **_data(data)},
        "noise": noise,
        **{group: options[group] for group in ("method", "loss", "model", "features", "augment", "corruption")},
        "oracle_options": _told(method, data),
        "seeds": seeds,
        "epochs": len(rows),
        "steps": int(rows[-1]["step"]),
        "protocol": entries,
        "time": {
            "fit_seconds": sum(epoch_seconds),
            "seconds_per_epoch": statistics.median(epoch_seconds),
            "test_images_per_second": len(prediction.logits) / prediction.seconds if prediction else None,
        },
        "size": {
            "parameters": sum(parameter.numel() for name, parameter in method.named_parameters() if "." in name),
            "checkpoint_bytes": folder.last.stat().st_size if folder.last.exists() else None,
            "peak_memory_bytes": peak_memory(),
            "peak_device_memory_bytes": peak_device_memory(device),
        },
        **{key: value for entries in said for key, value in entries.items()},
        "environment": {**environment.describe(device, trainer.precision), "processes": trainer.world_size},
        "numbers_version": NUMBERS_VERSION,
        "sources": plan.experiment.sources,
        "files": plan.experiment.files,
        "config": config,
    }


def _data(data: NoisyDataModule) -> dict[str, Any]:
    found: dict[str, Any] = {"test": 0, **{split: len(index) for split, index in data.splits.items()}}
    labelled = np.concatenate([data.splits["train"], data.splits["val"]])
    found["largest_class"] = float(np.bincount(data.given[labelled]).max() / len(labelled))
    found |= {"classes": data.classes, "trusted": len(data.trusted), "skipped": len(data.dataset.skipped)}
    if data.fingerprints is not None:
        found["own"] = {"fingerprints": data.fingerprints, "test_drawn": data.dataset.test_drawn}
    return found


def _told(method: NoisyLabelMethod, data: NoisyDataModule) -> dict[str, float | None]:
    """The options that were given the true noise, with its rate."""
    oracles = method.oracles if isinstance(method, NoiseAware) else []
    return dict.fromkeys(oracles, data.labels.noise.expected_rate if data.labels.noise else None)


def _noise(data: NoisyDataModule) -> dict[str, Any]:
    record, noise = data.labels.noise, type(data.noise)
    assert record is not None
    train, val = (record.actual_rate(data.splits[split]) for split in ("train", "val"))
    kind = {} if "kind" in vars(noise) else {"kind": noise.__name__}  # else it has that of the class that it extends
    index, truth = data.splits["train"], data.labels.truth
    # As training sees the labels: those of trusted samples may be right.
    wrong = None if truth is None else int((data.given[index] != truth[index]).sum())
    return {**record.describe(), **kind, "train_rate": train, "val_rate": val, "train_wrong": wrong}


def fit(
    trainer: pl.Trainer, method: NoisyLabelMethod, data: NoisyDataModule, folder: RunFolder, say: Callable[[str], Any]
) -> None:
    """Trains to the last epoch, from the last checkpoint if there is one."""
    resume = folder.last if folder.last.exists() else None
    note = "training starts"
    if resume is not None:
        checkpoint = load_checkpoint(resume)
        load_weights(method, checkpoint["state_dict"], resume)
        note = f"resuming an interrupted run after {reached(checkpoint)}"
        say(note)
    log.info(note)
    try:
        trainer.fit(method, datamodule=data, ckpt_path=resume, weights_only=True)
    except SystemExit:  # from Lightning for Ctrl-C and SIGTERM, without an exit code
        done = reached(load_checkpoint(folder.last)) if folder.last.exists() else "epoch 0"
        say(f"stopped; the same command goes on after {done}")
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
    if not (chosen := folder.chosen(data.val_best)).exists():  # training ended before it was validated
        shutil.copyfile(folder.last, chosen)


def reached(checkpoint: dict[str, Any]) -> str:
    """The end of which epoch, or which step of all, a run had reached when it saved a checkpoint."""
    epoch = checkpoint["epoch"] + 1
    return f"step {checkpoint['global_step']:,}, in epoch {epoch}" if "within_epoch" in checkpoint else f"epoch {epoch}"


def refused_by(error: Exception) -> str | None:
    """The part of the configuration that an error is about, by the library that raised it; None for other code."""
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename).as_posix()
    packages = {"trainer": ("/pytorch_lightning/", "/lightning_fabric/"), "optimizer or scheduler": ("/torch/optim/",)}
    return next((part for part, names in packages.items() if any(name in raised_in for name in names)), None)
