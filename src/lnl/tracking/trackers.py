"""What TensorBoard and W&B get of a run: the configuration first, results and pictures last."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from lnl.data import NoisyDataModule
from lnl.errors import UserError
from lnl.runs.folder import RunFolder
from lnl.runs.identity import acting
from lnl.tracking.pictures import confusion_picture, contact_sheet

TAGGED = ("data", "noise", "method", "loss", "model")


def wandb_tracker(save_dir: str, tags: list[str] | None = None, **options: Any) -> WandbLogger:
    """Lightning's W&B logger for one run of a sweep.

    The group is the sweep; name and id are the run's folder, so that an interrupted run continues the same W&B run.

    Args:
        save_dir: the run folder.
        tags: of the run, beside the names of its data, noise, method, loss and model.
        options: of ``wandb.init``, such as ``project`` and ``entity``.
    """
    folder = Path(save_dir)
    is_fold = RunFolder(folder.parent).hydra.exists()  # of a cross-validated run, whose folder is one level up
    name = f"{folder.parent.name}-{folder.name}" if is_fold else folder.name
    sweep = folder.parents[1 if is_fold else 0].name
    identity: dict[str, Any] = {"name": name, "id": name, "group": sweep, "resume": "allow"}
    return WandbLogger(save_dir=save_dir, tags=tags, **identity, **options)


def overview(config: Mapping[str, Any]) -> dict[str, Any]:
    """The choices of a run, under names that the runs of all methods, losses and noises have, for panels over sweeps.

    ``config`` is that of :func:`lnl.runs.identity.relevant_config`, with the ``options`` chosen in each group and the
    ``noise_rate`` asked for (None of labels as given).
    """
    options, noise = config["options"], config["noise"]
    return {
        "dataset": options["data"],
        "corruption_kind": options["corruption"],
        "noise_kind": options["noise"],
        "noise_rate": config["noise_rate"],
        **{f"{group}_name": options[group] for group in ("model", "augment", "method", "loss")},
        "callback_names": " + ".join(acting(config)) or None,
        "optimizer_name": options["optimizer"],
        "lr": config["optimizer"].get("lr"),
        "batch_size": config["data"]["batch_size"],
        "max_epochs": config["trainer"]["max_epochs"],
        "seed": config["seed"],
        "noise_seed": noise.get("seed"),
        "split_seed": config["data"]["split_seed"],
    }


def compared(config: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of TensorBoard's table: :func:`overview` and the values of method, loss, model and optimizer."""
    values = {
        f"{section}.{name}": value
        for section in ("method", "loss", "model", "optimizer")
        for name, value in config[section].items()
        if isinstance(value, bool | int | float | str) and not name.startswith("_")
    }
    return {name: value for name, value in (overview(config) | values).items() if value is not None}


class Trackers:
    """The trackers of one run. As a context manager it closes them, so that the next run of a sweep starts its own."""

    def __init__(self, loggers: list[Logger]) -> None:
        self.tensorboard = [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]
        self.wandb = [logger for logger in loggers if isinstance(logger, WandbLogger)]
        self.wandb_runs: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        for board in self.tensorboard:
            board.finalize("failed" if kind else "success")
            board.experiment.close()
        for run in self.wandb_runs:
            run.finish(exit_code=1 if kind else 0)

    def start(self, config: dict[str, Any]) -> None:
        """Sends the whole configuration, with its :func:`overview`, and the tags."""
        self.config = {**config, **overview(config)}
        for tracker in self.wandb:
            import wandb  # takes a second

            try:
                tracker.log_hyperparams(self.config)
                self.wandb_runs.append(run := tracker.experiment)
                named = (config["options"][group] for group in TAGGED)
                run.tags = tuple(dict.fromkeys([*named, *(run.tags or ())]))  # a loss and a method may have one name
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
            if "test" in entry
        }
        step = result["epochs"]
        worth = {"epochs": step, "wrong_labels": result["noise"]["train_rate"]}
        worth |= {"fit_seconds": result["time"]["fit_seconds"], "parameters": result["size"]["parameters"]}
        pictures = {"labels": contact_sheet(data)}
        if test := result["protocol"]["last"].get("test"):
            matrix = test["confusion_matrix"]
            pictures["confusion_matrix"] = confusion_picture(matrix, data.classes, "test set, last epoch")
        for board in self.tensorboard:
            from torch.utils.tensorboard.summary import hparams  # slow to load

            for name, value in final.items():
                board.experiment.add_scalar(name, value, step)
            for name, picture in pictures.items():
                board.experiment.add_image(name, picture, step, dataformats="HWC")
            # Without Lightning's columns, because TensorBoard gives all runs those of the first that it finds.
            for record in hparams(compared(self.config), {})[1:]:
                board.experiment.file_writer.add_summary(record)
        for tracker in self.wandb:
            tracker.experiment.summary.update(final | worth)
            for name, picture in pictures.items():
                tracker.log_image(name, [picture])
