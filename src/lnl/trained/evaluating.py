"""A trained run, taken from its folder and tried on a test set: its own, or other data."""

import hashlib
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from sklearn.metrics import classification_report

from lnl.data import NoisyDataModule
from lnl.data.splits import Split
from lnl.datasets.contents import fingerprints
from lnl.datasets.source import Source
from lnl.errors import UserError, first_line
from lnl.files import explained, write_atomically
from lnl.metrics import classification_metrics
from lnl.runs.finished import FinishedRun
from lnl.runs.result import write_json
from lnl.trained.loading import (
    PREPARATION,
    check_protocol,
    checkpoint_path,
    config_to_rebuild,
    num_samples,
    quiet_trainer,
)
from lnl.trained.trust import NETWORK
from lnl.trained.trust import check as check_trust
from lnl.training import environment
from lnl.training.assembly import build_data, build_method
from lnl.training.checkpoints import load_checkpoint, load_weights
from lnl.training.evaluation import Prediction, predict_split
from lnl.values import hints_of

SCHEMA_VERSION = 1  # of evaluations/*.json
PLACE = ("_target_", "path", "name")  # of `data`: where samples are from
LIMITS = ("test_subset", "subset_mode", "split_seed")


@dataclass(frozen=True)
class Evaluation:
    """What a run made of a test set; ``record`` is the content of ``evaluations/<data>-<protocol>.json``.

    Attributes:
        remarks: what the user is to hear of data that the run does not know.
    """

    run: FinishedRun
    record: dict[str, Any]
    prediction: Prediction
    remarks: Sequence[str] = ()

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
        self._read: tuple[DictConfig, NoisyDataModule, dict[Split, NDArray[np.int64]]] | None = None

    def evaluate(self, run: FinishedRun) -> Evaluation:
        """Predicts the test set with the checkpoint of the run's last or chosen epoch. Nothing is trained.

        Raises:
            UserError: if the checkpoint is missing or another architecture's, the data has other classes, or the run
                names code of a package that ``cfg.trust`` does not.
        """
        self._check_trust(run)
        if self.dataset is not None and self.cfg.data.num_classes is not None:
            self._check_count(run, self.cfg.data.num_classes)
        path = checkpoint_path(run.folder, self.cfg.protocol)
        checkpoint = load_checkpoint(path)
        trainer = quiet_trainer(run, self.cfg.trainer.accelerator, self.cfg.trainer.precision)
        config, data, own = self._data(run)
        remarks = list(data.dataset.remarks) if not own else []
        split = self.cfg.split
        left_out = None if own else self._leave_out_seen(run, data, split, remarks)
        method = build_method(config, data, None if self.dataset is None else num_samples(run))
        load_weights(method, checkpoint["state_dict"], path)
        device = trainer.strategy.root_device
        method.to(device)
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
                "name": self._name(run, config.data, data, own),
                "split": split,
                "classes": data.classes,
                "samples": samples,
                "same_classes": same_classes,
                "left_out": left_out,
            },
            "test": classification_metrics(prediction.logits, prediction.labels),
            "time": {"seconds_per_image": prediction.seconds / samples},
            "environment": environment.describe(device, trainer.precision),
        }
        return Evaluation(run, record, prediction, remarks)

    def _check_trust(self, run: FinishedRun) -> None:
        """Raises UserError if something would be built of the run that must not be."""
        config = run.result["config"]
        check_trust(config, (*NETWORK, "corruption"), run.folder.path, self.cfg.trust)
        if self.dataset is not None:  # of the run's own data only the preparation is taken, which builds nothing
            preparation = {key: value for key, value in config["data"].items() if key in PREPARATION}
            config = {"data": {"_target_": "lnl.data.NoisyDataModule", **preparation}}
        check_trust(config, ["data"], run.folder.path, self.cfg.trust)

    def _check_count(self, run: FinishedRun, count: int, names: Sequence[str] = ()) -> None:
        if count != len(run.classes):
            some = set(names) < set(run.classes) and names
            hint = f"\nIf it has samples of some of them only: data.classes=[{','.join(run.classes)}]" if some else ""
            raise UserError(
                f"{self.dataset} has {count} classes, but {run.folder.path} was trained on "
                f"{len(run.classes)} ({', '.join(run.classes[:5])}{', ...' if len(run.classes) > 5 else ''}){hint}"
            )

    def _name(self, run: FinishedRun, given: DictConfig, data: NoisyDataModule, own: bool) -> str:
        """What the data is called: only its option, where that says which samples were tested."""
        option = self.dataset or str(run.result["data"]["name"])
        before, now = ([config.get(key) for key in LIMITS] for config in (run.result["config"]["data"], given))
        if own and (before == now or before[0] == now[0] is None):
            return option
        split = self.cfg.split
        if not own and data.fingerprints is None and len(data.splits[split]) == len(data.test_labels):
            return option
        place = re.sub(r"[^\w.]+", "_", Path(str(given.get("path") or given.get("name") or "")).stem)
        tested = data.digests(split).tobytes() + data.right_labels(split).tobytes()
        return "-".join(filter(None, (option, place, hashlib.sha256(tested).hexdigest()[:8])))

    def _leave_out_seen(
        self, run: FinishedRun, data: NoisyDataModule, split: Split, remarks: list[str]
    ) -> dict[str, int] | None:
        """Leaves out of a split what the run was trained or validated on, and says of how many images; None: unknown.

        Raises:
            UserError: if nothing is left.
        """
        seen = _read_seen(run)
        if seen is None:
            remarks.append(
                f"{run.folder.path} keeps no record of its images (seen.npz): whether some of these are among those "
                "that it was trained on is not known"
            )
            return None
        digests = data.digests(split)
        trained = np.isin(digests, seen["train"])
        validated = np.isin(digests, seen["val"]) & ~trained
        known = trained | validated
        counts = {"trained_on": int(trained.sum()), "validated_on": int(validated.sum())}
        how = f"{run.folder.path} was trained on {trained.sum():,} of them and validated on {validated.sum():,}"
        if known.all():
            raise UserError(
                f"none of {len(known):,} images is left to test on: {how}.\nName others by data=NAME, data.path=..."
            )
        if known.any():
            remarks.append(f"{known.sum():,} of {len(known):,} images are left out: {how}")
        data.splits = {**data.splits, split: data.splits[split][~known]}
        return counts

    def _is_own(self, run: FinishedRun, data: dict[str, Any]) -> bool:
        """Whether the test set is the one that was held out in training.

        Raises:
            UserError: if the run's own data has changed, and did not say itself which samples are for testing; or if an
                older run, which has no record of its images, is to be tested on other samples of its own data.
        """
        before, now = _settings(run.result["config"]["data"]), _settings(data)
        same_place = all(before.get(key) == now.get(key) for key in PLACE)
        same_cut = all(before.get(key) == value for key, value in now.items() if key not in PLACE)
        if "test_fraction" not in data:
            return same_place and same_cut  # a benchmark
        own = run.result["data"].get("own") or {}  # none of benchmarks, nor of runs by versions that kept none
        now_in_it = fingerprints(data)
        unchanged = now_in_it == own.get("fingerprints")
        same = same_place or (unchanged and any(now_in_it.values()))
        if same and same_cut and unchanged:
            return True
        named = own.get("test_drawn") is False and run.result["data"]["test"]  # there was a test set, by that name
        if self.dataset is None and not named:
            raise UserError(
                f"the data has changed since {run.folder.path} was trained, and its test set is now another one, with "
                "samples that the run may have been trained on: name other samples by data=NAME."
            )
        if same and self.dataset is not None and not run.folder.seen.exists():
            raise UserError(
                f"{run.folder.path} has no seen.npz, the record of what it was trained on, and these are its own data, "
                "cut otherwise: name other samples by data=NAME."
            )
        return False

    def _data(self, run: FinishedRun) -> tuple[DictConfig, NoisyDataModule, bool]:
        """The run's configuration, with the data that is asked for in it, that data, and whether it is the run's own.

        Data is read once for equal runs.
        """
        config = config_to_rebuild(run)
        directories = {key: self.cfg.data[key] for key in ("data_dir", "cache_dir")}
        if self.dataset is None:
            config["data"] = {**config["data"], **directories}
        else:
            preparation = {key: value for key, value in config["data"].items() if key in PREPARATION}
            config["data"] = {**OmegaConf.to_container(self.cfg.data, resolve=True), **preparation}  # type: ignore[dict-item]
        own = self._is_own(run, config["data"])
        if not own and "test_fraction" in config["data"]:
            config["data"]["only_test"] = True
        config["noise"] = {"_target_": "lnl.noise.NoNoise"}  # test labels have none, and are all that is asked for
        made = OmegaConf.create(config)
        part = OmegaConf.masked_copy(made, ["data", "noise", "corruption"])
        if self._read is None or self._read[0] != part:
            data = build_data(made)
            self._read = part, data, data.splits
        _, data, splits = self._read
        data.splits = splits  # another run may have left some out
        if self.dataset is not None:
            self._check_count(run, len(data.classes), data.classes)
        held_out = [split for split in data.splits if split not in ("train", "val")]
        if not held_out:
            name = self.dataset or run.folder.path
            raise UserError(f"{name} has no test set; data=NAME, with data.path of your own, names samples to test on.")
        if self.cfg.split not in held_out:
            raise UserError(f"split must be one of {', '.join(held_out)}, got '{self.cfg.split}'")
        return made, data, own and (self.dataset is None or self.cfg.split == "test")


def _read_seen(run: FinishedRun) -> dict[str, NDArray[np.uint64]] | None:
    """Digests of the images that the run was trained and validated on; None of a run that did not write them down."""
    path = run.folder.seen
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {part: arrays[part].astype(np.uint64) for part in ("train", "val")}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}") from error


def _settings(data: dict[str, Any]) -> dict[str, Any]:
    """What of own data's configuration says which samples are in it and which of them are for testing."""
    fraction = data.get("test_fraction")
    beside = {*hints_of(NoisyDataModule), *Source.elsewhere, "labels", "root"}  # the last two have fingerprints
    found = {key: value for key, value in data.items() if key not in beside}
    if found.get("path") is not None:
        found["path"] = Path(found["path"]).expanduser().resolve()
    for column, name in (found.pop("columns", None) or {}).items():
        found[f"columns.{column}"] = name
    if "test_fraction" in data:
        found["test_fraction"] = (0.0 if data.get("folds") else 0.2) if fraction is None else fraction
    return found
