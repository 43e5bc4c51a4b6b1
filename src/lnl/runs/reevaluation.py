"""A trained run, taken from its folder and tried on a test set: its own, or another dataset's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from sklearn.metrics import classification_report

from lnl.data import NoisyDataModule
from lnl.errors import UserError
from lnl.files import explained, write_atomically
from lnl.metrics import classification_metrics
from lnl.runs import environment
from lnl.runs.assembly import build_data, build_method
from lnl.runs.evaluation import Prediction, predict_split
from lnl.runs.finished import FinishedRun
from lnl.runs.folder import load_checkpoint, load_weights
from lnl.runs.result import write_json
from lnl.runs.trained import (
    PREPARATION,
    check_protocol,
    checkpoint_path,
    config_to_rebuild,
    num_samples,
    quiet_trainer,
)

SCHEMA_VERSION = 1  # of evaluations/*.json
SOURCE = ("_target_", "path", "name")  # of `data`: where samples are from


@dataclass(frozen=True)
class Evaluation:
    """What a run made of a test set; ``record`` is the content of ``evaluations/<data>-<protocol>.json``."""

    run: FinishedRun
    record: dict[str, Any]
    prediction: Prediction

    def save(self) -> None:
        """Writes the record and the classification report into the run folder.

        Raises:
            UserError: if they cannot be written.
        """
        data = self.record["data"]
        split = "" if data["split"] == "test" else f"-{data['split']}"
        path = self.run.folder.evaluations / f"{data['name']}-{self.record['protocol']}{split}.json"
        with explained(path):
            path.parent.mkdir(exist_ok=True)
            write_atomically(path.with_suffix(".txt"), self.report())
            write_json(path, self.record)

    def report(self) -> str:
        """scikit-learn's classification report: precision, recall, F1 and support of each class."""
        classes = self.record["data"]["classes"]
        predicted = self.prediction.logits.argmax(dim=1)
        return str(
            classification_report(
                self.prediction.labels,
                predicted,
                labels=range(len(classes)),
                target_names=classes,
                digits=4,
                zero_division=0,
            )
        )


class Evaluator:
    """Evaluates runs as they were configured when they were trained, whatever ``conf/`` says today.

    Args:
        cfg: as of ``conf/evaluate.yaml``.
        dataset: the option chosen of the group ``data``; None for each run's own data.
        overrides: of the command line, to refuse what would change nothing.

    Raises:
        UserError: for what cannot be, before anything is read.
    """

    def __init__(self, cfg: DictConfig, dataset: str | None, overrides: Sequence[str] = ()) -> None:
        check_protocol(cfg.protocol)
        fixed = {f"data.{key}" for key in PREPARATION}
        for key in (override.split("=")[0].lstrip("+~") for override in overrides):
            if key.startswith("data.") and (dataset is None or key in fixed):
                hint = "" if dataset else "; data=NAME chooses another dataset"
                raise UserError(f"{key} is what it was when the run was trained{hint}")
        environment.send_warnings_to_the_log()
        self.cfg, self.dataset = cfg, dataset
        self._read: tuple[DictConfig, NoisyDataModule] | None = None

    def evaluate(self, run: FinishedRun) -> Evaluation:
        """Predicts the test set with the checkpoint of the run's last or chosen epoch. Nothing is trained.

        Raises:
            UserError: if the checkpoint is missing or another architecture's, or the data has other classes.
        """
        self._check_classes(run)
        path = checkpoint_path(run.folder, self.cfg.protocol)
        checkpoint = load_checkpoint(path)
        trainer = quiet_trainer(run, self.cfg.trainer.accelerator, self.cfg.trainer.precision)
        config, data = self._data(run)
        method = build_method(config, data, None if self.dataset is None else num_samples(run))
        load_weights(method, checkpoint["state_dict"], path)
        device = trainer.strategy.root_device
        method.to(device)
        split = self.cfg.split
        predict_split(method, data, trainer, split, batches=1)  # what only the first batch waits for is not timed
        prediction = predict_split(method, data, trainer, split)
        samples = len(prediction.index)
        record = {
            "schema_version": SCHEMA_VERSION,
            **{key: run.result.get(key) for key in ("identity", "run", "sweep")},
            "protocol": self.cfg.protocol,
            "epoch": checkpoint["epoch"],
            "checkpoint": str(path.relative_to(run.folder.path)),
            "data": {
                "name": self.dataset or run.result["data"]["name"],
                "split": split,
                "classes": data.classes,
                "samples": samples,
                "same_classes": data.classes == run.classes,
            },
            "test": classification_metrics(prediction.logits, prediction.labels),
            "time": {"seconds_per_image": prediction.seconds / samples},
            "environment": environment.describe(device, trainer.precision),
        }
        return Evaluation(run, record, prediction)

    def _check_classes(self, run: FinishedRun) -> None:
        if self.dataset is not None and self.cfg.data.num_classes is not None:
            self._check_count(run, self.cfg.data.num_classes)

    def _check_count(self, run: FinishedRun, count: int) -> None:
        if count != len(run.classes):
            raise UserError(
                f"{self.dataset} has {count} classes, but {run.folder.path} was trained on "
                f"{len(run.classes)} ({', '.join(run.classes[:5])}{', ...' if len(run.classes) > 5 else ''})"
            )

    def _check_unseen(self, run: FinishedRun, data: NoisyDataModule) -> None:
        """Raises UserError if what is held out for testing was held out otherwise, or not at all, for training."""
        before, now = run.result["config"]["data"], self.cfg.data
        if "test_fraction" not in now or any(_source(before, key) != _source(now, key) for key in SOURCE):
            return
        fraction, wanted = (part["test_fraction"] for part in (before, now))
        if fraction is None:
            fraction = 0 if before["folds"] else 0.2
        # The same number of training samples: the data says itself what is for testing, or the share is the same.
        if fraction != wanted and len(data.labels.noisy) != num_samples(run):
            mend = f"set data.test_fraction={fraction:g}, as in training" if fraction else "name other samples"
            raise UserError(
                f"the test set would have samples that {run.folder.path} was trained on, "
                f"with data.test_fraction={fraction:g}: {mend}."
            )

    def _data(self, run: FinishedRun) -> tuple[DictConfig, NoisyDataModule]:
        """The run's configuration, with the data that is asked for in it, and that data; read once for equal runs."""
        config = config_to_rebuild(run)
        directories = {key: self.cfg.data[key] for key in ("data_dir", "cache_dir")}
        if self.dataset is None:
            config["data"] = {**config["data"], **directories}
        else:
            preparation = {key: value for key, value in config["data"].items() if key in PREPARATION}
            config["data"] = {**OmegaConf.to_container(self.cfg.data, resolve=True), **preparation}  # type: ignore[dict-item]
        config["noise"] = {"_target_": "lnl.noise.NoNoise"}  # test labels have none, and are all that is asked for
        made = OmegaConf.create(config)
        part = OmegaConf.masked_copy(made, ["data", "noise", "corruption"])
        if self._read is None or self._read[0] != part:
            self._read = part, build_data(made)
        data = self._read[1]
        if self.dataset is not None:
            self._check_count(run, len(data.classes))
            self._check_unseen(run, data)
        held_out = [split for split in data.splits if split not in ("train", "val")]
        if not held_out:
            name = self.dataset or run.folder.path
            raise UserError(f"{name} has no test set; data=NAME, with data.path of your own, names samples to test on.")
        if self.cfg.split not in held_out:
            raise UserError(f"split must be one of {', '.join(held_out)}, got '{self.cfg.split}'")
        return made, data


def _source(data: Any, key: str) -> Any:
    """Whatever a path was called."""
    value = data.get(key)
    return Path(value).expanduser().resolve() if key == "path" and value is not None else value
