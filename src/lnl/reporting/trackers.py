"""What TensorBoard and W&B are told of a run: configuration first, results and pictures last."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from lnl.data import NoisyDataModule
from lnl.errors import UserError
from lnl.reporting.contact_sheet import contact_sheet
from lnl.reporting.pictures import confusion_picture


def wandb_tracker(save_dir: str, **options: Any) -> WandbLogger:
    """Lightning's W&B logger for one run of a sweep.

    The group is the sweep; name and id are the run's folder, so that an interrupted run goes on in the same W&B run.

    Args:
        save_dir: the run folder.
        options: as of ``wandb.init``: ``project``, ``entity``, ``tags``.
    """
    folder = Path(save_dir)
    is_fold = (folder.parent / ".hydra").exists()  # of a cross-validated run, whose folder is one level up
    name = f"{folder.parent.name}-{folder.name}" if is_fold else folder.name
    identity: dict[str, Any] = {"name": name, "id": name, "group": folder.parent.name, "resume": "allow"}
    return WandbLogger(save_dir=save_dir, **identity, **options)


class Trackers:
    """The trackers of one run; as a context manager it closes them, so that the next run of a sweep starts its own."""

    def __init__(self, loggers: list[Logger]) -> None:
        self.tensorboard = [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]
        self.wandb = [logger for logger in loggers if isinstance(logger, WandbLogger)]
        self.wandb_runs: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for board in self.tensorboard:
            board.finalize("failed" if kind else "success")
            board.experiment.close()
        for run in self.wandb_runs:
            run.finish(exit_code=1 if kind else 0)

    def start(self, config: dict[str, Any]) -> None:
        """Sends the whole configuration."""
        self.config = config
        for tracker in self.wandb:
            import wandb  # takes a second, which a run without it does not want to wait

            try:
                tracker.log_hyperparams(config)
                self.wandb_runs.append(tracker.experiment)
            except wandb.Error as error:
                raise UserError(f"W&B: {error} WANDB_MODE=offline needs no account.") from error

    def finish(self, result: dict[str, Any], data: NoisyDataModule) -> None:
        """Sends final metrics, the confusion matrix, and training images with the labels they were given."""
        if not (self.tensorboard or self.wandb):
            return
        final = {
            f"{protocol}/test_{name}": entry["test"][name]
            for protocol, entry in result["protocol"].items()
            for name in ("accuracy", "macro_f1", "ece")
        }
        step = result["epochs"]
        pictures = {
            "confusion_matrix": confusion_picture(
                result["protocol"]["last"]["test"]["confusion_matrix"], data.classes, "test set, last epoch"
            ),
            "labels": contact_sheet(data),
        }
        for board in self.tensorboard:
            board.log_hyperparams(self.config, final)
            for name, picture in pictures.items():
                board.experiment.add_image(name, picture, step, dataformats="HWC")
        for tracker in self.wandb:
            tracker.experiment.summary.update(final)
            for name, picture in pictures.items():
                tracker.log_image(name, [picture])
