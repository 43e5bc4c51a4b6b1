"""The HTML page of a report: one file that needs nothing else, not even a network."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from plotly.offline import get_plotlyjs

from lnl.reporting.arrange import partial_note
from lnl.reporting.comparison import PROTOCOLS, metric_format, metric_text, metrics_of
from lnl.reporting.figures import COLORS
from lnl.reporting.html import page_text
from lnl.reporting.material import CURVES, Material, by_epoch, facts, shares
from lnl.reporting.tables import UNKNOWN, averages, column_text

FILTERS = ("data", "noise", "rate", "method", "loss", "model", "seed")
MOST_POINTS = 500_000  # of the curves of all runs; if there are more, each is thinned
THINNED = 100  # points of a thinned curve
MOST_CLASSES = 25  # larger matrices are left out

Groups = dict[tuple[Any, ...], dict[str, Any]]


def write_page(material: Material, path: Path) -> None:
    """Writes the page."""
    data = payload(material, path.parent)
    text = page_text(
        "lnl.reporting",
        data,
        kind="report",
        name=material.name,
        facts=facts(material),
        overview=_overview(material),
        tables=material.tables,
        order=material.order,
        column_text=column_text,
        report=data,
        metric=material.metrics[0],
        filters={key: list(dict.fromkeys(map(column_text, material.single[key].sort_values()))) for key in FILTERS},
        unknown=UNKNOWN,
        partial=partial_note(material.epochs),
        skipped={str(folder): reason for folder, reason in material.skipped.items()},
        colors=len(COLORS),
        plotly=get_plotlyjs(),
    )
    path.write_text(text)


def _overview(material: Material) -> dict[str, str]:
    """A summary of the runs."""
    runs = material.single

    def values(column: str) -> str:
        return ", ".join(column_text(value) for value in sorted(runs[column].dropna().unique()))

    named = {"data": "data", "noise": "noise", "noise rate asked": "rate", "model": "model", "seeds": "seed"}
    shown = {"sweeps": values("sweep")} | {name: values(column) for name, column in named.items()}
    if set(runs["corruption"]) != {"none"}:
        shown["corruption of images"] = values("corruption")
    methods = {f"{run.method} ({run.loss})" if run.loss != "none" else f"{run.method}" for run in runs.itertuples()}
    shown["methods"] = ", ".join(sorted(methods))
    if runs["callbacks"].any():
        shown["callbacks"] = ", ".join(sorted({str(text) or "none" for text in runs["callbacks"]}))
    shown["epochs"] = values("epochs")
    shown["training time"] = f"{runs['fit_seconds'].sum() / 60:.1f} minutes in all, on {values('device_name')}"
    shown["precision"] = values("precision")
    return shown


def payload(material: Material, folder: Path) -> dict[str, Any]:
    """All that the page draws; links to run folders start at its ``folder``.

    A cell has averages, which figures show while none of its runs is hidden.
    """
    settings = material.settings
    scales = {name: metric_format(name).scale for name in metrics_of(material.runs)}
    thin = len(material.epochs) * len(CURVES) > MOST_POINTS
    there = [name for name in CURVES if any(name in setting.curves for setting in settings)]
    common, config = _config(material.single)
    runs = zip(_runs(material, folder, scales, thin), config, strict=True)
    return {
        "columnLabel": "noise rate" if material.columns == "rate" else material.columns,
        "settings": [setting.name for setting in settings],
        "columns": [[column_text(column) for column in setting.columns] for setting in settings],
        "series": material.order,
        "protocols": {name: PROTOCOLS.get(name, name) for name in dict.fromkeys(material.runs["protocol"])},
        "metrics": {name: metric_text(name) for name in scales},
        "curves": {name: CURVES[name][0] for name in there},
        "filters": FILTERS,
        "classes": [setting.classes for setting in settings],
        "common": common,
        "transitions": [
            {column_text(key): _grid(drawn) for key, drawn in one.transitions.items() if len(drawn) <= MOST_CLASSES}
            for one in settings
        ],
        "cells": [cell for place in range(len(settings)) for cell in _cells(material, place, scales, thin)],
        "runs": [run | {"config": values} for run, values in runs],
    }


def _cells(material: Material, place: int, scales: Mapping[str, float], thin: bool) -> Iterator[dict[str, Any]]:
    """Each row and column of a setting; averages only of several runs."""
    setting, places = material.settings[place], {path: i for i, path in enumerate(material.single["path"])}
    numeric = is_numeric_dtype(setting.runs["column"])
    metrics = _metrics_by(setting.runs, ["row", "column"], scales)
    curves = _curves_by(setting.curves, ["row", "column"], thin)
    for (row, column), runs in setting.runs.groupby(["row", "column"], observed=True):
        paths = runs.loc[~runs["repeated"], "path"].unique()
        cell = {
            "setting": place,
            "row": material.numbers[str(row)],
            "column": column_text(column),
            "x": _number(column) if numeric else column_text(column),
            "runs": [places[path] for path in paths],
            "confusion": {
                protocol: {"share": _grid(shares(counts)), "count": counts.tolist()}
                for (protocol, *where), counts in setting.confusions.items()
                if where == [row, column] and len(counts) <= MOST_CLASSES
            },
        }
        if len(paths) > 1:
            cell["curves"] = curves.get((row, column), {})
            cell["metrics"] = metrics[row, column]
        yield cell


def _runs(material: Material, folder: Path, scales: Mapping[str, float], thin: bool) -> Iterator[dict[str, Any]]:
    """Each run, with numbers in the form of a cell's averages."""
    metrics = _metrics_by(material.runs, ["path"], scales)
    curves = _curves_by(by_epoch(material.epochs, ["path"]), ["path"], thin)
    names = [setting.name for setting in material.settings]
    for run in material.single.to_dict("records"):
        yield {
            **{key: column_text(run[key]) for key in ("run", "column", *FILTERS)},
            "path": _short(run["path"]),
            "link": Path(os.path.relpath(run["path"], folder)).as_posix(),
            "setting": names.index(run["setting"]),
            "row": material.numbers[str(run["row"])],
            "seconds": _number(run["fit_seconds"]),
            "metrics": metrics[(run["path"],)],
            "curves": curves.get((run["path"],), {}),
        }


def _config(runs: pd.DataFrame) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The configuration that all runs share, and the rest of each."""
    names = sorted(str(name) for name in runs if "." in str(name) and "/" not in str(name))
    texts = {name: ["null" if pd.isna(value) else column_text(value) for value in runs[name]] for name in names}
    common = {name: values[0] for name, values in texts.items() if len(set(values)) == 1}
    return common, [{name: texts[name][i] for name in names if name not in common} for i in range(len(runs))]


def _metrics_by(runs: pd.DataFrame, by: list[str], scales: Mapping[str, float]) -> Groups:
    """Every metric of each group, by protocol, in the order of ``scales``."""
    found: Groups = {}
    table = averages(runs, [*by, "protocol"], list(scales))
    numbers = table.to_numpy().reshape(len(table), -1, 3)
    for (*key, protocol), values in zip(table.index, numbers, strict=True):
        points = [_point(scale, *point) for scale, point in zip(scales.values(), values, strict=True)]
        found.setdefault(tuple(key), {})[protocol] = points
    return found


def _curves_by(curves: pd.DataFrame, by: list[str], thin: bool) -> Groups:
    """The curves of each group, as points that begin with the epoch."""
    found: Groups = {}
    if curves.empty:
        return found
    for key, group in curves.groupby(level=by, observed=True):
        if thin and len(group) > THINNED:
            group = group.iloc[np.linspace(0, len(group) - 1, THINNED).round().astype(int)]
        epochs, numbers = group.index.get_level_values("epoch"), group.to_numpy().reshape(len(group), -1, 3)
        found[key] = {}
        for i, name in enumerate(curves.columns.unique(0)):
            there = np.isfinite(numbers[:, i, 0])
            pairs = zip(epochs[there], numbers[there, i], strict=True)
            points = [[int(epoch), *_point(CURVES[name][1], *values)] for epoch, values in pairs]
            found[key] |= {name: points} if points else {}
    return found


def _point(scale: float, mean: float, std: float = np.nan, count: float = 1) -> list[float | None]:
    """The mean; of several runs with their standard deviation and number."""
    return [_number(scale * mean)] if count < 2 else [_number(scale * mean), _number(scale * std), int(count)]


def _grid(matrix: np.ndarray) -> list[list[float | None]]:
    return [[_number(value) for value in row] for row in matrix]


def _number(value: Any) -> float | None:
    """Six digits are more than a figure shows."""
    return float(f"{value:.6g}") if value is not None and np.isfinite(value) else None


def _short(path: str) -> str:
    """Relative to the working directory, if it is in there."""
    here, whole = Path.cwd(), Path(path).resolve()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else path
