"""The HTML page of a report: one file that needs nothing else, not even a network."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from plotly.offline import get_plotlyjs

from lnl.reporting.arrange import UNKNOWN, partial_note
from lnl.reporting.comparison import PROTOCOLS, metric_format, metric_text, metrics_of
from lnl.reporting.figures import COLORS
from lnl.reporting.html import page_text
from lnl.reporting.material import Material, facts
from lnl.reporting.series import CURVES, by_epoch, shares
from lnl.reporting.tables import column_text

FILTERS = ("data", "noise", "rate", "method", "loss", "model", "seed")
MOST_POINTS = 500_000  # of the curves of all runs; if there are more, each is thinned
THINNED = 100  # points of a thinned curve
MOST_CLASSES = 25  # larger matrices are left out


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
        filters={key: list(dict.fromkeys(map(_text, material.single[key].sort_values()))) for key in FILTERS},
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
    curves = _curves_by(setting.curves, ["row", "column"], thin)
    averages: dict[tuple[str, Any], dict[str, list[list[float | None]]]] = {}
    numbers = setting.metrics[list(scales)].to_numpy().reshape(len(setting.metrics), -1, 3)
    for (protocol, row, column), values in zip(setting.metrics.index, numbers, strict=True):
        points = [_point(scale, *point) for scale, point in zip(scales.values(), values, strict=True)]
        averages.setdefault((str(row), column), {})[protocol] = points
    for (row, column), runs in setting.runs.groupby(["row", "column"], observed=True):
        paths = runs.loc[~runs["repeated"], "path"].unique()
        found = {key[0]: counts for key, counts in setting.confusions.items() if key[1:] == (row, column)}
        cell = {
            "setting": place,
            "row": material.numbers[str(row)],
            "column": column_text(column),
            "x": _number(column) if numeric else column_text(column),
            "runs": [places[path] for path in paths],
            "confusion": {
                protocol: {"share": _grid(shares(counts)), "count": counts.tolist()}
                for protocol, counts in found.items()
                if len(counts) <= MOST_CLASSES
            },
        }
        if len(paths) > 1:
            cell["curves"] = curves.get((row, column), {})
            cell["metrics"] = averages[str(row), column]
        yield cell


def _runs(material: Material, folder: Path, scales: Mapping[str, float], thin: bool) -> Iterator[dict[str, Any]]:
    """Each run, with numbers in the form of a cell's averages."""
    curves = _curves_by(by_epoch(material.epochs, ["path"]), ["path"], thin)
    metrics: dict[str, dict[str, list[list[float | None]]]] = {}
    numbers = material.runs[list(scales)].to_numpy(dtype=float) * list(scales.values())
    for path, protocol, values in zip(material.runs["path"], material.runs["protocol"], numbers, strict=True):
        metrics.setdefault(path, {})[protocol] = [[_number(value)] for value in values]
    names = [setting.name for setting in material.settings]
    for run in material.single.to_dict("records"):
        yield {
            **{key: _text(run[key]) for key in ("run", "column", *FILTERS)},
            "path": _short(run["path"]),
            "link": Path(os.path.relpath(run["path"], folder)).as_posix(),
            "setting": names.index(run["setting"]),
            "row": material.numbers[str(run["row"])],
            "seconds": _number(run["fit_seconds"]),
            "metrics": metrics[run["path"]],
            "curves": curves.get((run["path"],), {}),
        }


def _config(runs: pd.DataFrame) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The configuration that all runs share, and the rest of each."""
    names = sorted(str(name) for name in runs if "." in str(name) and "/" not in str(name))
    texts = {name: ["null" if pd.isna(value) else column_text(value) for value in runs[name]] for name in names}
    common = {name: values[0] for name, values in texts.items() if len(set(values)) == 1}
    return common, [{name: texts[name][i] for name in names if name not in common} for i in range(len(runs))]


def _curves_by(curves: pd.DataFrame, by: list[str], thin: bool) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The curves of each group, as points that begin with the epoch."""
    if curves.empty:
        return {}
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    names, epochs = list(dict.fromkeys(curves.columns.get_level_values(0))), curves.index.get_level_values("epoch")
    numbers = curves.to_numpy().reshape(len(curves), len(names), 3)
    for key, group_places in curves.groupby(level=by, observed=True).indices.items():
        places = np.asarray(group_places)
        if thin and len(places) > THINNED:
            places = places[np.linspace(0, len(places) - 1, THINNED).round().astype(int)]
        group = found[key if isinstance(key, tuple) else (key,)] = {}
        for i, name in enumerate(names):
            there = [place for place in places if np.isfinite(numbers[place, i, 0])]
            points = [[int(epochs[place]), *_point(CURVES[name][1], *numbers[place, i])] for place in there]
            group |= {name: points} if points else {}
    return found


def _point(scale: float, mean: float, std: float = np.nan, count: float = 1) -> list[float | None]:
    """The mean; of several runs with their standard deviation and number."""
    return [_number(scale * mean)] if count < 2 else [_number(scale * mean), _number(scale * std), int(count)]


def _grid(matrix: np.ndarray) -> list[list[float | None]]:
    return [[_number(value) for value in row] for row in matrix]


def _number(value: Any) -> float | None:
    """Six digits are more than a figure shows."""
    return float(f"{value:.6g}") if value is not None and np.isfinite(value) else None


def _text(value: Any) -> str:
    return UNKNOWN if pd.isna(value) else column_text(value)


def _short(path: str) -> str:
    """Relative to the working directory, if it is in there."""
    here, whole = Path.cwd(), Path(path).resolve()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else path
