"""The HTML page of a report: one file that needs nothing else, not even a network."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

from lnl.reporting.comparison import PROTOCOLS, Comparison, metric_format, metric_text, metrics_of
from lnl.reporting.figures import COLORS
from lnl.reporting.html import page_text
from lnl.reporting.material import Material, facts
from lnl.reporting.report_figures import fitted
from lnl.reporting.results import read_transition
from lnl.reporting.settings import partial_note
from lnl.reporting.tables import MISSING, best_of, cell_text, column_text, published_text

FILTERS = ("data", "noise", "rate", "method", "loss", "model", "seed")
CURVES = {
    "val/loss": "validation loss (noisy labels)",
    "val/accuracy": "validation accuracy (noisy labels)",
    "train/loss": "training loss",
    "train/accuracy": "training accuracy (given labels)",
    "fitted_correct": "correctly labelled samples fitted",
    "fitted_wrong": "wrongly labelled samples fitted",
}
MOST_POINTS = 500_000  # of all curves; beyond it each is thinned
THINNED = 100  # points of a curve then
MOST_CLASSES = 25  # of which confusion matrices are in the page


def write_page(material: Material, path: Path) -> None:
    """Writes the page."""
    text = page_text(
        "lnl.reporting",
        payload(material, path.parent),
        kind="report",
        name=material.name,
        facts=facts(material),
        overview=_overview(material),
        tables=[_table(table, material.order) for table in material.tables],
        partial=partial_note(material.epochs),
        passed_over={str(folder): reason for folder, reason in material.passed_over.items()},
        colors=len(COLORS),
        plotly=get_plotlyjs(),
    )
    path.write_text(text)


def _overview(material: Material) -> dict[str, str]:
    """What was run, in words."""
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


def _table(table: Comparison, order: list[str]) -> dict[str, Any]:
    """What the template needs of a table: texts, and the numbers to sort by."""
    values, most = table.values, table.values.count.max().max()
    best = {column: best_of(values.mean[column], table.form) for column in values.mean}
    rows = []
    for i, row in enumerate(values.mean.index):
        cells = []
        for column in values.mean:
            mean, std, count = (float(part.at[row, column]) for part in (values.mean, values.std, values.count))  # type: ignore[arg-type]
            there = np.isfinite(mean)
            few = f"{count:g} of {most:g}" if there and count < most else ""
            has = row in table.others.index
            cells.append(
                {
                    "value": f"{mean:.9g}" if there else "",
                    "text": cell_text(mean, std, table.form) if there else MISSING,
                    "few": ", ".join(filter(None, [few, str(table.visited.at[row, column]) if there else ""])),
                    "best": bool(best[column][i]),
                    "published": published_text(values, table.others, row, column, table.form) if has else "",
                }
            )
        rows.append({"name": str(row), "color": order.index(str(row)), "cells": cells})
    return {
        "id": table.slug,
        "title": table.title,
        "leak": table.protocol == "oracle_best",
        "corner": table.rows,
        "columns": [f"{table.columns} {column_text(column)}" for column in values.mean],
        "rows": rows,
        "notes": " ".join(table.notes),
        "baseline": table.baseline,
        "tests": _tests(table, order),
        "tests_note": table.tests_note() if table.baseline and len(table.tests) else "",
    }


def _tests(table: Comparison, order: list[str]) -> list[dict[str, Any]]:
    found: dict[str, dict[Any, dict[str, Any]]] = {}
    for test in table.tests.itertuples() if table.baseline else ():
        scale, digits = table.form.scale, table.form.digits
        low, high, p, p_holm = (float(getattr(test, name)) for name in ("low", "high", "p", "p_holm"))
        tested = np.isfinite(p)
        interval = f"95 % interval {scale * low:+.{digits}f} to {scale * high:+.{digits}f}; p {p:.4f} before correction"
        found.setdefault(str(test.row), {})[test.column] = {
            "value": f"{float(test.difference):.9g}",  # type: ignore[arg-type]
            "text": table.difference_text(test),
            "title": interval if tested else "",
            "best": tested and p_holm < 0.05,
        }
    nothing = {"value": "", "text": MISSING, "title": "", "best": False}
    return [
        {"name": row, "color": order.index(row), "cells": [cells.get(column, nothing) for column in table.values.mean]}
        for row, cells in found.items()
    ]


def payload(material: Material, folder: Path) -> dict[str, Any]:
    """All that the page's figures and its table of runs are drawn of.

    Args:
        material: of the report.
        folder: the page's, that links to run folders start from.
    """
    runs, single = material.runs, material.single
    settings = list(dict.fromkeys(single["setting"]))
    metrics = metrics_of(runs)
    config = sorted(str(name) for name in runs if "." in str(name) and "/" not in str(name))
    texts = {name: [_text(value) for value in single[name]] for name in config}
    common = {name: values[0] for name, values in texts.items() if len(set(values)) == 1}
    curves = _curves(material)
    classes: dict[int, list[str]] = {}
    of_run = {str(path): group for path, group in runs.groupby("path")}
    rows = []
    for place, run in enumerate(single.to_dict("records")):
        names, matrices = material.confusions[run["path"]]
        setting = settings.index(run["setting"])
        shown = len(names) <= MOST_CLASSES and classes.setdefault(setting, names) == names
        protocols = of_run[run["path"]]
        rows.append(
            {
                **{key: _plain(run[key]) for key in ("sweep", "run", "column", *FILTERS)},
                "path": _short(run["path"]),
                "link": Path(os.path.relpath(run["path"], folder)).as_posix(),
                "setting": setting,
                "row": material.order.index(str(run["row"])),
                "repeated": bool(run["repeated"]),
                "seconds": _number(run["fit_seconds"]),
                "epochs": _plain(run["epochs"]),
                "metrics": {
                    str(entry["protocol"]): [_number(entry[metric]) for metric in metrics]
                    for entry in protocols.to_dict("records")
                },
                "curves": curves.get(run["path"], {}),
                "confusion": {
                    name: matrix.ravel().tolist()
                    for name, matrix in matrices.items()
                    if shown and name in set(protocols["protocol"])
                },
                "config": {name: values[place] for name, values in texts.items() if name not in common},
            }
        )
    protocols_there = list(dict.fromkeys(runs["protocol"]))
    return {
        "columns": material.columns,
        "columnLabel": "noise rate" if material.columns == "rate" else material.columns,
        "settings": settings,
        "series": material.order,
        "protocols": {name: PROTOCOLS.get(name, name) for name in protocols_there},
        "metrics": [{"key": name, "text": metric_text(name), "scale": metric_format(name).scale} for name in metrics],
        "metric": material.metrics[0],
        "curveTexts": CURVES,
        "filters": FILTERS,
        "classes": classes,
        "common": common,
        "transitions": _transitions(single, settings),
        "runs": rows,
    }


def _curves(material: Material) -> dict[str, dict[str, Any]]:
    """For each run folder ``epoch`` (from 1) and the curves it has."""
    table = fitted(material.epochs)
    there = [name for name in CURVES if name in table and table[name].notna().any()]
    thin = len(table) * len(there) > MOST_POINTS
    found: dict[str, dict[str, Any]] = {}
    for path, epochs in table.groupby("path"):
        ordered = epochs.sort_values("epoch")
        if thin and len(ordered) > THINNED:
            ordered = ordered.iloc[np.linspace(0, len(ordered) - 1, THINNED).round().astype(int)]
        known = [name for name in there if ordered[name].notna().any()]
        found[str(path)] = {"epoch": [int(epoch) + 1 for epoch in ordered["epoch"]]} | {
            name: _numbers(ordered[name]) for name in known
        }
    return found


def _transitions(runs: pd.DataFrame, settings: list[str]) -> list[dict[str, Any]]:
    """The matrix that labels were drawn by, of the first run of every setting and column."""
    found = []
    for (setting, column), members in runs.groupby(["setting", "column"], sort=False):
        matrix = read_transition(members["path"].iloc[0])
        if matrix is not None and matrix.ndim == 2 and len(matrix) <= MOST_CLASSES:
            values = _numbers(matrix.ravel())
            found.append({"setting": settings.index(str(setting)), "column": _plain(column), "matrix": values})
    return found


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: Any) -> float | None:
    """Six digits are more than a figure shows."""
    return float(f"{value:.6g}") if value is not None and np.isfinite(value) else None


def _plain(value: Any) -> Any:
    """As JSON has it: a number, a text, or null."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any) -> str:
    return "null" if value is None or (isinstance(value, float) and np.isnan(value)) else column_text(value)


def _short(path: str) -> str:
    """Relative to where the command runs, if it is in there."""
    here = Path.cwd()
    whole = Path(path).resolve()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else path
