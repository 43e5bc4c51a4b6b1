"""Published numbers, and the runs that they belong to."""

from pathlib import Path
from typing import Any

import pandas as pd

from lnl.config import CONF_DIR
from lnl.errors import UserError, nearest

PUBLISHED = Path(__file__).parent / "published.csv"


def published(study: str | None = None, **where: Any) -> pd.DataFrame:
    """Rows of ``published.csv`` with these values; without ``study`` those of all studies.

    Columns ``study, table, data, noise, rate, model, epochs, method, loss, metric, value, protocol, source``; ``value``
    in the metric's own unit, accuracies and errors in percent.
    """
    table = pd.read_csv(PUBLISHED, dtype={"table": str})
    for key, value in ({"study": study} if study else {}).items() | where.items():
        table = table[table[key] == value]
    return table


def published_beside(runs: pd.DataFrame, study: str, metric: str) -> pd.DataFrame:
    """Rows of :func:`published` of the same data, noise, rate, method and loss as some of the runs.

    They have the ``setting``, ``row`` and ``column`` of these runs. ``symmetric`` in a paper is either convention, and
    matches ``uniform`` too. A model that lnl has must be the same; one that lnl has no option for is named in the note
    below the table.

    Raises:
        UserError: if there is no such study, or none of its numbers matches a run.
    """
    everything = published()
    studies = sorted(set(everything["study"]))
    if study not in studies:
        known = ", ".join(studies)
        raise UserError(f"against={study}: there is no such study{nearest(study, studies)}\nThere are {known}.")
    theirs = everything[everything["study"] == study]
    theirs = theirs.assign(metric=theirs["metric"].str.replace(r"_(?=[a-z]+$)", "/", regex=True))
    if metric not in set(theirs["metric"]):
        known = ", ".join(sorted(set(theirs["metric"])))
        raise UserError(f"against={study}: it has no {metric}; metric= one of {known}")
    theirs = theirs[theirs["metric"] == metric]
    keys = ["data", "noise", "rate", "method", "loss"]
    places = runs[[*keys, "model", "setting", "row", "column"]].drop_duplicates()
    also = [("uniform", "symmetric"), *((kind, "none") for kind in places.loc[places["rate"] == 0, "noise"].unique())]
    for ours, printed in also:
        same = (places["noise"] == ours) & ((places["rate"] == 0) | (printed != "none"))
        places = pd.concat([places, places[same].assign(noise=printed)])
    found = theirs.merge(places.drop_duplicates(), on=keys, suffixes=("", "_run"))
    found = found[[_same_model(*pair) for pair in zip(found["model"], found["model_run"], strict=True)]]
    if found.empty:
        has = {key: ", ".join(map(str, pd.unique(theirs[key].dropna()))) for key in ("data", "noise", "model")}
        what = "; ".join(f"{key} {values}" for key, values in has.items() if values)
        raise UserError(f"against={study}: none of its numbers is of one of these runs.\nIt has {what}.")
    return found


def _same_model(printed: str, ours: str) -> bool:
    """The same option, or a model that lnl lacks with the same beginning, such as resnet50 from scratch."""
    options = {path.stem for path in (Path(CONF_DIR) / "model").glob("*.yaml")}
    return printed == ours or (printed not in options and (printed.startswith(ours) or ours.startswith(printed)))


def source_note(others: pd.DataFrame) -> str:
    """Where published numbers are from, and of which models and epochs; empty without any."""
    if others.empty:
        return ""
    pairs = zip(others["model"], others["epochs"], strict=True)
    models = {(f"{model}, {epochs:g} epochs" if epochs > 0 else model) for model, epochs in pairs}
    source = "; ".join(sorted(set(others["source"])))
    return f"Published: {source} ({'; '.join(sorted(models))}); our difference in brackets."
