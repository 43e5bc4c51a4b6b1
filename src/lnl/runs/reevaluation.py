"""A trained run, taken from its folder and tried on a test set: its own, or another dataset's."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from lnl.runs.trust import NETWORK
from lnl.runs.trust import check as check_trust

SCHEMA_VERSION = 1  # of evaluations/*.json
PLACE = ("_target_", "path", "name")  # of `data`: where samples are from
# Arguments of `data` that say nothing of which samples there are; `labels` and `root` have fingerprints.
NO_SAMPLES = {*inspect.signature(NoisyDataModule.__init__).parameters, "cache_limit_gb", "labels", "root"}


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
            UserError: if the checkpoint is missing or another architecture's, the data has other classes, or the run
                names code of a package that ``cfg.trust`` does not.
        """
        self._check_trust(run)
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
        same_classes = set(data.classes) == set(run.classes)
        predict_split(method, data, trainer, split, batches=1)  # what only the first batch waits for is not timed
        prediction = predict_split(method, data, trainer, split)
        if same_classes and data.classes != run.classes:
            outputs = [run.classes.index(name) for name in data.classes]
            prediction = replace(prediction, logits=prediction.logits[:, outputs])
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
                "same_classes": same_classes,
            },
            "test": classification_metrics(prediction.logits, prediction.labels),
            "time": {"seconds_per_image": prediction.seconds / samples},
            "environment": environment.describe(device, trainer.precision),
        }
        return Evaluation(run, record, prediction)

    def _check_trust(self, run: FinishedRun) -> None:
        """Raises UserError if something would be built of the run that must not be."""
        config = run.result["config"]
        check_trust(config, (*NETWORK, "corruption"), run.folder.path, self.cfg.trust)
        if self.dataset is not None:  # of the run's own data only the preparation is taken, which builds nothing
            preparation = {key: value for key, value in config["data"].items() if key in PREPARATION}
            config = {"data": {"_target_": "lnl.data.NoisyDataModule", **preparation}}
        check_trust(config, ["data"], run.folder.path, self.cfg.trust)

    def _check_classes(self, run: FinishedRun) -> None:
        if self.dataset is not None and self.cfg.data.num_classes is not None:
            self._check_count(run, self.cfg.data.num_classes)

    def _check_count(self, run: FinishedRun, count: int) -> None:
        if count != len(run.classes):
            raise UserError(
                f"{self.dataset} has {count} classes, but {run.folder.path} was trained on "
                f"{len(run.classes)} ({', '.join(run.classes[:5])}{', ...' if len(run.classes) > 5 else ''})"
            )

    def _check_unseen(self, run: FinishedRun, config: dict[str, Any], data: NoisyDataModule) -> None:
        """Raises UserError if the run may have been trained on some of the test set.

        Of data that is not what it was in training, or not cut as it was, another test set may be drawn. A test set
        that the data names, and named then, stays what it is while the data grows.
        """
        own = run.result["data"].get("own") or {}  # none of benchmarks, nor of runs by versions that kept none
        before, now = _settings(run.result["config"]["data"]), _settings(config["data"])
        unchanged = data.fingerprints == own.get("fingerprints")
        same_place = all(before.get(key) == now.get(key) for key in PLACE)
        if data.fingerprints is None or not (same_place or (unchanged and any(data.fingerprints.values()))):
            return
        other = [key for key in now if key not in PLACE and before.get(key) != now[key]]
        # The test set that there is was one in training.
        named = not data.test_drawn and own.get("test_drawn") is False and run.result["data"]["test"]
        if (unchanged and not other) or (named and not set(other) - {"classes", "on_error", "test_fraction"}):
            return
        if not unchanged:
            raise UserError(
                f"the data has changed since {run.folder.path} was trained, and its test set is now another one, with "
                "samples that the run may have been trained on: name other samples by data=NAME."
            )
        value = before.get(other[0])
        setting = f"data.{other[0]}={'null' if value is None else value}".replace("'", "")
        mend = f"set {setting}, as in training" if before["test_fraction"] else "name other samples"
        raise UserError(
            f"the test set would have samples that {run.folder.path} was trained on, with {setting}: {mend}."
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
        held_out = [split for split in data.splits if split not in ("train", "val")]
        if not held_out:
            name = self.dataset or run.folder.path
            raise UserError(f"{name} has no test set; data=NAME, with data.path of your own, names samples to test on.")
        self._check_unseen(run, config, data)
        if self.cfg.split not in held_out:
            raise UserError(f"split must be one of {', '.join(held_out)}, got '{self.cfg.split}'")
        return made, data


def _settings(data: dict[str, Any]) -> dict[str, Any]:
    """What of own data's configuration says which samples are in it and which of them are for testing."""
    fraction = data.get("test_fraction")
    found = {key: value for key, value in data.items() if key not in NO_SAMPLES}
    if found.get("path") is not None:
        found["path"] = Path(found["path"]).expanduser().resolve()
    for column, name in (found.pop("columns", None) or {}).items():
        found[f"columns.{column}"] = name
    found["test_fraction"] = (0.0 if data.get("folds") else 0.2) if fraction is None else fraction
    return found
