"""Predictions of several runs for the same samples, a column each."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lnl.config import listed
from lnl.errors import UserError
from lnl.files import explained
from lnl.labels.tables import csv_text
from lnl.runs.find import FinishedRun
from lnl.trained.evaluating import Evaluation


class SideBySide:
    """A CSV in the making: ``index``, ``file`` of own data, ``label`` (true), and the predicted class of each run.

    Args:
        path: of the CSV.
        names: the runs' columns, one or several; None: what differs between the runs.
        runs: in the order of the columns.

    Raises:
        UserError: if there are too few or too many names, or two are the same.
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
        self.samples = self.table = pd.DataFrame()
        self.first: Evaluation | None = None

    def add(self, evaluation: Evaluation) -> None:
        """Adds the next run.

        Raises:
            UserError: if it was evaluated on other samples, or on other classes, than the first.
        """
        prediction = evaluation.prediction
        samples = prediction.samples()
        if self.first is None:
            self.first = evaluation
            self.samples, self.table = samples, samples.copy()
        here, there = evaluation.record["data"], self.first.record["data"]
        same_samples = samples.equals(self.samples)
        if here["name"] != there["name"] or here["classes"] != there["classes"] or not same_samples:
            raise UserError(
                f"runs side by side need one test set: {self.first.run.folder.path.name} has {_describe(there)}, "
                f"{evaluation.run.folder.path.name} has {_describe(here)}"
            )
        name = self.names[self.table.shape[1] - self.samples.shape[1]]
        self.table[name] = prediction.logits.argmax(dim=1).numpy()

    def save(self) -> Path:
        """Writes the CSV."""
        with explained(self.path):
            self.path.write_text(csv_text(self.table), encoding="utf-8", newline="")
        return self.path


def column_names(runs: Sequence[FinishedRun]) -> list[str]:
    """What tells runs apart, of data, model, method, loss, noise and seed; folder names where that does not."""
    facts = [
        [
            run.result["data"]["name"],
            run.result["model"],
            run.result["method"],
            run.result["loss"],
            run.result["noise"]["kind"],
            f"rate {run.result['noise']['rate']}",
            f"seed {run.result['seeds']['seed']}",
        ]
        for run in runs
    ]
    differing = [len(set(values)) > 1 for values in zip(*facts, strict=True)]
    names = [" ".join(value for value, differs in zip(fact, differing, strict=True) if differs) for fact in facts]
    if len(set(names)) == len(runs) and all(names):
        return names
    return [run.folder.path.name for run in runs]


def _describe(data: dict) -> str:
    return f"{data['samples']:,} images of {data['name']} {data['split']} in {len(data['classes'])} classes"
