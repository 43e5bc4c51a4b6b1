"""``python -m lnl.audit``: which of the given labels are wrong, and a corrected file of them."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from lnl.app import cli
from lnl.errors import UserError
from lnl.runs.folder import RunFolder


def job(cfg: DictConfig) -> None:
    """Audits the labels of ``cfg.data``, or of ``cfg.runs``; or turns decisions, ``cfg.apply``, into a label file."""
    hydra = HydraConfig.get()
    try:
        if hydra.mode == RunMode.MULTIRUN:
            raise UserError("an audit is of one data set: leave out -m")
        trains = cfg.runs is None and cfg.apply is None
        if trains and "_target_" not in cfg.data:
            raise UserError(
                "which labels? data.path=FOLDER, with a folder of pictures for each class, or data.path=labels.csv\n"
                "A data set is audited by its name, such as data=digits; --help has more."
            )
        # Imported here and below, so that --help and a misspelt key are answered at once.
        from lnl.progress import loading, working

        if trains:
            from lnl.training.beforehand import check_beforehand

            with working("looking at the data"):
                check_beforehand(cfg, in_every_fold=True)
        with loading():
            from lnl.auditing.command import apply_decisions, audit

        if cfg.apply is not None:
            print(apply_decisions(Path(str(cfg.apply)).expanduser(), Path(str(cfg.output)).expanduser()))
        else:
            print(audit(cfg, hydra))
    finally:
        RunFolder(hydra.runtime.output_dir).discard_if_empty()  # where no run was made


if __name__ == "__main__":
    cli.run(job, config_name="audit")
