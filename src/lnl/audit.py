"""``python -m lnl.audit``: which of the given labels are wrong, and a corrected file of them."""

import os
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lnl.app import cli
from lnl.errors import UserError
from lnl.runs.folder import RunFolder


def job(cfg: DictConfig) -> None:
    """Audits the labels of ``cfg.data``, or of ``cfg.runs``; or turns decisions, ``cfg.apply``, into a label file."""
    hydra = HydraConfig.get()
    try:
        if hydra.mode == RunMode.MULTIRUN:
            raise UserError("an audit is of one data set: leave out -m")
        # Imported here and below, so that --help and a misspelt key are answered at once.
        from lnl.progress import loading, working

        check_outputs(cfg)
        if cfg.runs is None and cfg.apply is None:
            from lnl.training.beforehand import check_beforehand

            check_run(cfg)
            with working("looking at the data"):
                check_beforehand(cfg, in_every_fold=hydra.runtime.choices["features"] == "pixels")
        if cfg.apply is not None:
            from lnl.auditing.decisions import apply_decisions

            print(apply_decisions(Path(str(cfg.apply)).expanduser(), Path(str(cfg.output)).expanduser()))
            return
        with loading():
            from lnl.auditing.command import audit

        print(audit(cfg, hydra))
    finally:
        RunFolder(hydra.runtime.output_dir).discard_if_empty()  # where no run was made


def check_outputs(cfg: DictConfig) -> None:
    """Raises UserError for what an audit could not write."""
    if cfg.output is None:
        raise UserError("output must be given: output=FOLDER")
    if type(cfg.suspects) is not int or cfg.suspects < 1:
        raise UserError(f"suspects must be a number of at least 1, got {cfg.suspects}")
    if type(cfg.page_mb) not in (int, float) or not cfg.page_mb >= 0:
        raise UserError(f"page_mb must be a number of megabytes, at least 0, got {cfg.page_mb}")


def check_run(cfg: DictConfig) -> None:
    """Raises UserError for a run that could not be audited."""
    if "_target_" not in cfg.data:
        raise UserError(
            "which labels? data.path=FOLDER, with a folder of pictures for each class, or data.path=labels.csv\n"
            "A data set is audited by its name, such as data=digits; --help has more."
        )
    if not cfg.data.folds or cfg.data.fold is not None:
        raise UserError(
            "an audit needs all folds, because a model that has not seen a label must judge it: data.folds=5"
        )
    if cfg.trainer.fast_dev_run:
        raise UserError("an audit needs whole runs: leave out trainer.fast_dev_run, or try data.subset=1000")
    path = "path" in cfg.data and not OmegaConf.is_missing(cfg.data, "path") and Path(str(cfg.data.path)).expanduser()
    if path and Path(str(cfg.output)).expanduser().resolve().is_relative_to(path.resolve()):
        outside = os.path.relpath(path.resolve().parent / "audit")
        raise UserError(f"output={cfg.output} is inside data.path={path}: choose one outside of it, output={outside}")


if __name__ == "__main__":
    cli.run(job, config_name="audit")
