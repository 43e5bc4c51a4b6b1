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
    """A CSV of ``index``, ``file`` (own data), ``label`` (true), and the predicted class of each run.

    Args:
        path: of the CSV.
        names: the runs' columns, one or several; None for the facts in which the runs differ.
        runs: in the order of the columns.

    Raises:
        UserError: for too few or too many names, or equal ones.
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
