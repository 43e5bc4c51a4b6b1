"""Evaluation of trained runs on a test set, their own or other data, and their predictions side by side."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from sklearn.metrics import classification_report

from lnl.config import listed
from lnl.data import NoisyDataModule
from lnl.datasets.contents import fingerprints
from lnl.datasets.splits import Split
from lnl.errors import UserError, many, typed_list
from lnl.files import explained, read_arrays, write_atomically
from lnl.labels.tables import csv_text
from lnl.metrics import classification_metrics
from lnl.progress import working
from lnl.runs.find import FinishedRun
from lnl.runs.folder import write_json
from lnl.trained.loading import PREPARATION, load_method, quiet_trainer
from lnl.trained.trust import NETWORK, check_trust
from lnl.training import environment
from lnl.training.assembly import build_data
from lnl.training.evaluation import Prediction, predict_split

SCHEMA_VERSION = 1  # of evaluations/*.json


@dataclass(frozen=True)
class Evaluation:
    """A run's prediction for a test set, the ``record`` that goes to ``evaluations/``, and ``remarks`` on the data."""

    run: FinishedRun
    record: dict[str, Any]
    prediction: Prediction
    remarks: Sequence[str] = ()

    def save(self) -> None:
        """Writes the record and the classification report into the run folder; raises UserError if it cannot."""
        data = self.record["data"]
        split = "" if data["split"] == "test" else f"-{data['split']}"
        path = self.run.folder.evaluations / f"{data['name']}-{self.record['protocol']}{split}.json"
        with explained(path):
            path.parent.mkdir(exist_ok=True)
            write_atomically(path.with_suffix(".txt"), self.report())
            write_json(path, self.record)

    def report(self) -> str:
        """scikit-learn's classification report: precision, recall, F1 and support of each class."""
        classes, predicted = self.record["data"]["classes"], self.prediction.logits.argmax(dim=1)
        named = {"labels": range(len(classes)), "target_names": classes}
        return str(classification_report(self.prediction.labels, predicted, **named, digits=4, zero_division=0))


class Evaluator:
    """Evaluates runs as they were configured when they were trained.

    Args:
        cfg: as of ``conf/evaluate.yaml``.
        dataset: the option chosen of the group ``data``; None for each run's own data.
        overrides: of the command line, to refuse those that would change nothing.
    """

    def __init__(self, cfg: DictConfig, dataset: str | None, overrides: Sequence[str] = ()) -> None:
        fixed = {f"data.{key}" for key in PREPARATION}
        for key in (override.split("=")[0].lstrip("+~") for override in overrides):
            if key.startswith("data.") and (dataset is None or key in fixed):
                hint = "" if dataset else "; data=NAME chooses another dataset"
                raise UserError(f"{key} is what it was when the run was trained{hint}")
        environment.send_warnings_to_the_log()
        self.cfg, self.dataset = cfg, dataset
        self._read: tuple[DictConfig, NoisyDataModule, dict[Split, NDArray[np.int64]]] | None = None

    def evaluate(self, run: FinishedRun) -> Evaluation:
        """Predicts the test set with the checkpoint of the run's last or chosen epoch.

        Raises:
            UserError: if a file is missing, the classes are other ones, or the run names code without trust.
        """
        self._check_trust(run)
        if self.dataset is not None and self.cfg.data.num_classes is not None:
            self._check_count(run, self.cfg.data.num_classes)
        trainer = quiet_trainer(run, self.cfg.trainer.accelerator, self.cfg.trainer.precision)
        method, epoch, _ = load_method(run, self.cfg.protocol, self.cfg.trust)
        config, data, own = self._data(run)
        split, remarks, left_out = self.cfg.split, [], None
        if not own:
            remarks = list(data.dataset.remarks)
            left_out = self._leave_out_seen(run, data, remarks)
            if config.get("only_test"):
                limited = replace(data.splitting, test_subset=config.test_subset)
                data.splits = {**data.splits, split: limited.limited("test", data.splits[split], data.test_labels)}
        method.to(trainer.strategy.root_device)
        same_classes = set(data.classes) == set(run.classes)
        predict_split(method, data, trainer, split, batches=1)  # the start of the device is not timed
        with working(f"testing {run.folder.path.name} on {len(data.splits[split]):,} images"):
            prediction = predict_split(method, data, trainer, split)
        if same_classes and data.classes != run.classes:
            outputs = [run.classes.index(name) for name in data.classes]
            prediction = replace(prediction, logits=prediction.logits[:, outputs])
        samples = len(prediction.index)
        record = {
            "schema_version": SCHEMA_VERSION,
            **{key: run.result.get(key) for key in ("identity", "run", "sweep")},
            "protocol": self.cfg.protocol,
            "epoch": epoch,
            "checkpoint": str(run.folder.chosen(self.cfg.protocol).relative_to(run.folder.path)),
            "data": {
                "name": self._name(run, config, data, own),
                "split": split,
                "classes": data.classes,
                "samples": samples,
                "same_classes": same_classes,
                "left_out": left_out,
            },
            "test": classification_metrics(prediction.logits, prediction.labels),
            "time": {"seconds_per_image": prediction.seconds / samples},
            "environment": environment.describe(method.device, trainer.precision),
        }
        return Evaluation(run, record, prediction, remarks)

    def _check_trust(self, run: FinishedRun) -> None:
        """Raises UserError if the run names a class that must not be built."""
        config = run.result["config"]
        check_trust(config, (*NETWORK, "corruption"), run.folder.path, self.cfg.trust)
        if self.dataset is not None:  # only the preparation is taken from the run, and it builds nothing
            preparation = {key: value for key, value in config["data"].items() if key in PREPARATION}
            config = {"data": {"_target_": "lnl.data.NoisyDataModule", **preparation}}
        check_trust(config, ["data"], run.folder.path, self.cfg.trust)

    def _check_count(self, run: FinishedRun, count: int, names: Sequence[str] = ()) -> None:
        if count != len(run.classes):
            some = set(names) < set(run.classes) and names
            typed = f'"data.classes={typed_list(run.classes)}"'
            hint = f"\nIf it has samples of some of them only: {typed}" if some else ""
            found = many(count, "class", "classes") + _named(names)
            known = f"{len(run.classes)}{_named(run.classes)}"
            raise UserError(f"{self.dataset} has {found}, but {run.folder.path} was trained on {known}{hint}")

    def _name(self, run: FinishedRun, given: DictConfig, data: NoisyDataModule, own: bool) -> str:
        """The name of the data: its option, with a hash unless the option decides which samples were tested."""
        option, split = self.dataset or str(run.result["data"]["name"]), self.cfg.split
        samples = len(data.splits[split])
        whole = data.fingerprints is None and samples == len(data.test_labels)
        if own if self.dataset is None else whole and (not own or samples == run.result["data"]["test"]):
            return option
        place = re.sub(r"[^\w.]+", "_", Path(str(given.get("path") or given.get("name") or "")).stem)
        tested = data.digests(split).tobytes() + data.right_labels(split).tobytes()
        return "-".join(filter(None, (option, place, hashlib.sha256(tested).hexdigest()[:8])))

    def _leave_out_seen(self, run: FinishedRun, data: NoisyDataModule, remarks: list[str]) -> dict[str, int] | None:
        """Leaves out the images that the run was trained or validated on, and returns their numbers; None if unknown.

        Raises:
            UserError: if no image is left; or if these are the run's own data, and it has no record of its images.
        """
        split = self.cfg.split
        if not run.folder.seen.exists():
            own = run.result["data"].get("own") or {}
            lacks = f"{run.folder.path} has no seen.npz, the record of its images"
            if data.fingerprints and data.fingerprints == own.get("fingerprints"):
                raise UserError(f"{lacks}, and these are its own data: leave out data=, or name other samples.")
            remarks.append(f"{lacks}: whether some of these are among those that it was trained on is not known")
            return None
        digests, seen = data.digests(split), read_arrays(run.folder.seen, "train", "val")
        trained = np.isin(digests, seen["train"])
        validated = np.isin(digests, seen["val"]) & ~trained
        known = trained | validated
        counts = {"trained_on": int(trained.sum()), "validated_on": int(validated.sum())}
        how = f"{run.folder.path} was trained on {trained.sum():,} of them and validated on {validated.sum():,}"
        if known.all():
            none = f"none of {len(known):,} images is left to test on"
            raise UserError(f"{none}: {how}.\nName others by data=NAME, data.path=...")
        if known.any():
            are = "is" if known.sum() == 1 else "are"
            remarks.append(f"{known.sum():,} of {len(known):,} images {are} left out: {how}")
        data.splits = {**data.splits, split: data.splits[split][~known]}
        return counts

    def _is_own(self, run: FinishedRun, data: dict[str, Any]) -> bool:
        """Whether the test set was held out in training; raises UserError if changed data does not name it itself."""
        if "test_fraction" not in data:  # a benchmark, whose test set is always the same
            return bool(data["_target_"] == run.result["config"]["data"]["_target_"])
        if self.dataset is not None:
            return False
        own = run.result["data"].get("own") or {}  # older runs have none
        if fingerprints(data) == own.get("fingerprints"):
            return True
        if own.get("test_drawn") is False and run.result["data"]["test"]:
            return False
        raise UserError(
            f"the data has changed since {run.folder.path} was trained, and its test set is now another one, with "
            "samples that the run may have been trained on: name other samples by data=NAME."
        )

    def _data(self, run: FinishedRun) -> tuple[DictConfig, NoisyDataModule, bool]:
        """The configuration of the data, the data, read once for equal runs, and whether it is the run's own."""
        before: dict[str, Any] = run.result["config"]
        asked: Any = OmegaConf.to_container(self.cfg.data, resolve=True)
        if self.dataset is None:
            given = before["data"] | {key: asked[key] for key in ("data_dir", "cache_dir")}
            for key in ("augment", "crop_padding", "views"):  # of runs before 0.2
                given.pop(key, None)
        else:
            given = asked | {key: value for key, value in before["data"].items() if key in PREPARATION}
        own = self._is_own(run, given)
        if not own and "test_fraction" in given:
            given["only_test"] = True
        noise = {"_target_": "lnl.noise.NoNoise"}  # test labels have none
        config = OmegaConf.create({"data": given, "noise": noise, "corruption": before["corruption"]})
        if self._read is None or self._read[0] != config:
            made = config.copy()
            if given.get("only_test"):
                made.data.test_subset = None  # it limits the samples that are left
            data = build_data(made)
            self._read = config, data, data.splits
        _, data, splits = self._read
        data.splits = splits  # another run may have left out samples
        if self.dataset is not None:
            self._check_count(run, len(data.classes), data.classes)
        held_out = [split for split in data.splits if split not in ("train", "val")]
        if not held_out:
            name = self.dataset or run.folder.path
            raise UserError(f"{name} has no test set; data=NAME, with data.path of your own, names samples to test on.")
        if self.cfg.split not in held_out:
            raise UserError(f"split must be one of {', '.join(held_out)}, got '{self.cfg.split}'")
        return config.data, data, own and (self.dataset is None or self.cfg.split == "test")


class SideBySide:
    """A CSV of ``index``, ``file`` (own data), ``label`` (true), and the predicted class of each run in a column.

    ``names`` are those of the runs' columns; None for the facts in which the runs differ. UserError if they are too few
    or too many, or two are equal.
    """

    def __init__(self, path: str, names: str | Sequence[str] | None, runs: Sequence[FinishedRun]) -> None:
        self.path = Path(path).expanduser()
        self.names = listed(names) or column_names(runs)
        if len(self.names) != len(runs):
            raise UserError(f"names gives {len(self.names)} names for {len(runs)} runs")
        columns = ["index", "file", "label", *self.names]
        if twice := sorted({name for name in columns if columns.count(name) > 1}):
            raise UserError(f"names must be unique, and not index, file or label: {', '.join(twice)} is there twice")
        if not self.path.parent.is_dir():
            raise UserError(f"output={path}: there is no folder {self.path.parent}")
        self.evaluations: list[Evaluation] = []

    def add(self, evaluation: Evaluation) -> None:
        """Adds the next run; raises UserError if its samples or classes are not those of the first."""
        self.evaluations.append(evaluation)
        first, last = self.evaluations[0], evaluation
        same = all(last.record["data"][key] == first.record["data"][key] for key in ("name", "classes"))
        if not same or not last.prediction.samples().equals(first.prediction.samples()):
            what = f"{_describe(first)}, {_describe(last)}"
            raise UserError(f"runs side by side need one test set: {what}")

    def save(self) -> Path:
        """Writes the CSV."""
        predicted = [evaluation.prediction.logits.argmax(dim=1).numpy() for evaluation in self.evaluations]
        table = self.evaluations[0].prediction.samples().assign(**dict(zip(self.names, predicted, strict=True)))
        with explained(self.path):
            self.path.write_text(csv_text(table), encoding="utf-8", newline="")
        return self.path


def _named(classes: Sequence[str]) -> str:
    """The first of the classes in brackets; nothing if there are none."""
    return f" ({', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''})" if classes else ""


def column_names(runs: Sequence[FinishedRun]) -> list[str]:
    """The facts in which runs differ: data, model, method, loss, noise and seed; folder names if two are equal."""
    results = [run.result for run in runs]
    facts = pd.DataFrame([{key: result[key] for key in ("model", "method", "loss")} for result in results])
    facts.insert(0, "data", [result["data"]["name"] for result in results])
    facts["kind"] = [result["noise"]["kind"] for result in results]
    facts["rate"] = [f"rate {result['noise']['rate']}" for result in results]
    facts["seed"] = [f"seed {result['seeds']['seed']}" for result in results]
    names = [" ".join(row) for row in facts.loc[:, facts.nunique() > 1].to_numpy()]
    return names if len(set(names)) == len(runs) and all(names) else [run.folder.path.name for run in runs]


def _describe(evaluation: Evaluation) -> str:
    data = evaluation.record["data"]
    images = f"{data['samples']:,} images of {data['name']} {data['split']} in {len(data['classes'])} classes"
    return f"{evaluation.run.folder.path.name} has {images}"
