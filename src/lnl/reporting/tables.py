"""Runs -> tables: means and standard deviations over seeds, beside what others published, as Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

SEEDS = ["seed", "noise_seed", "split_seed"]
MISSING = "–"


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (NaN for one run) and number of runs, in frames of equal rows and columns.

    ``over`` says what the runs of a cell differ in: ``seeds``, or more (``runs``).
    """

    mean: pd.DataFrame
    std: pd.DataFrame
    count: pd.DataFrame
    over: Literal["seeds", "runs"] = "seeds"


@dataclass(frozen=True)
class Format:
    """How a number is shown: times ``scale``, with ``digits``, its ``spread``, the ``best`` of a column in bold."""

    scale: float = 100.0
    digits: int = 1
    best: Literal["max", "min"] | None = None
    spread: bool = True

    def number(self, value: float) -> str:
        return f"{self.scale * value:,.{self.digits}f}"


def pivot(runs: pd.DataFrame, rows: str, columns: str, metric: str) -> Summary:
    """A metric by two columns of ``runs``, over seeds.

    Args:
        runs: of one protocol, as of :func:`lnl.reporting.results.read_runs`.
        rows, columns: names of columns; categories keep their order, those without
            runs too; other values are sorted.
        metric: a column of numbers.

    Raises:
        ValueError: if a cell would mix runs that differ in more than their seeds, naming what they differ in.
    """
    _refuse_mixed(runs, [rows, columns])
    mean, std, count = (part.unstack() for part in _statistics(runs.groupby([rows, columns], observed=False)[metric]))
    return Summary(mean, std, count.fillna(0))


def summary(
    runs: pd.DataFrame, rows: str, metrics: Mapping[str, str], over: Literal["seeds", "runs"] = "seeds"
) -> Summary:
    """Several metrics by one column of ``runs``, as in :func:`pivot`.

    Args:
        runs, rows: as there.
        metrics: a column of ``runs`` for each column to be shown; those that are not there are left out.
        over: ``runs`` averages over all runs of a row, whatever they differ in (times, sizes).
    """
    if over == "seeds":
        _refuse_mixed(runs, [rows])
    groups = runs.groupby(rows, observed=False)
    parts = {name: _statistics(groups[column]) for name, column in metrics.items() if column in runs}
    mean, std, count = (pd.DataFrame({name: part[i] for name, part in parts.items()}) for i in range(3))
    return Summary(mean, std, count, over)


def _statistics(groups: Any) -> tuple[pd.Series, pd.Series, pd.Series]:
    return groups.mean(), groups.std(ddof=1), groups.count()


def _refuse_mixed(runs: pd.DataFrame, by: list[str]) -> None:
    for cell, group in runs.groupby(by, observed=True):
        if group.duplicated(SEEDS).any():
            where = ", ".join(f"{name} {value}" for name, value in zip(by, cell, strict=True))
            raise ValueError(f"{where} has runs that differ in {', '.join(_differing(group))}")


def _differing(group: pd.DataFrame) -> list[str]:
    """Columns of configuration in which runs of the same seeds differ."""
    known = ["protocol", "data", "corruption", "noise", "rate", "model", "method", "loss"]
    known += [str(column) for column in group if "." in str(column)]
    return [column for column in known if column in group and group[column].nunique(dropna=False) > 1] or ["sweep"]


def cells(values: Summary, formats: Format | Mapping[str, Format] | None = None) -> pd.DataFrame:
    """``mean ± std`` in every cell; where a cell has fewer runs than others, their number; – where there is none."""
    most = values.count.max().max()
    shown = pd.DataFrame(MISSING, index=[str(row) for row in values.mean.index], columns=list(values.mean.columns))
    for j, column in enumerate(values.mean.columns):
        form = _format(formats, column)
        best = _best(values.mean[column], form)
        for i in range(len(shown)):
            mean, std, count = (float(part.iat[i, j]) for part in (values.mean, values.std, values.count))  # type: ignore[arg-type]
            if np.isfinite(mean):
                text = form.number(mean) + (f" ± {form.number(std)}" if form.spread and np.isfinite(std) else "")
                text += f" ({count:g} of {most:g})" if count < most else ""
                shown.iloc[i, j] = f"**{text}**" if best[i] else text
    return shown


def beside(values: Summary, others: pd.DataFrame, formats: Format | Mapping[str, Format] | None = None) -> pd.DataFrame:
    """:func:`cells` with a row of published numbers, and our difference from them, under each that has some.

    Args:
        values: ours.
        others: published numbers, as shown (a percentage as 58.9), with some of the same rows and columns.
        formats: of ours; the difference is taken after scaling.
    """
    ours = cells(values, formats)
    lines, names = [], []
    for i, row in enumerate(values.mean.index):
        lines.append(ours.iloc[i].tolist())
        names.append(ours.index[i])
        if row in others.index and others.loc[row].notna().any():
            lines.append([_published(values, others, row, column, formats) for column in values.mean.columns])
            names.append("*published*")
    return pd.DataFrame(lines, index=names, columns=ours.columns)


def _published(
    values: Summary, others: pd.DataFrame, row: Any, column: Any, formats: Format | Mapping[str, Format] | None
) -> str:
    value = others[column].get(row, np.nan) if column in others else np.nan
    if not np.isfinite(value):
        return ""
    form = _format(formats, column)
    difference = round(form.scale * values.mean[column][row] - value, form.digits) + 0.0  # no -0.0
    return f"{value:g}" + (f" ({difference:+.{form.digits}f})" if np.isfinite(difference) else "")


def _format(formats: Format | Mapping[str, Format] | None, column: object) -> Format:
    if isinstance(formats, Mapping):
        return formats.get(str(column), Format())
    return formats or Format()


def _best(means: pd.Series, form: Format) -> np.ndarray:
    """Which rows show the best number of a column, equals included."""
    shown = (form.scale * means).round(form.digits)
    if form.best is None or shown.nunique() < 2:
        return np.zeros(len(means), dtype=bool)
    return (shown == (shown.max() if form.best == "max" else shown.min())).to_numpy()


def markdown(table: pd.DataFrame, corner: str = "") -> str:
    """A Markdown table, the index first."""
    header = [corner, *(f"{name:g}" if isinstance(name, float) else str(name) for name in table.columns)]
    rows = [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    lines = [header, ["---", *["---:"] * len(table.columns)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def seeds_note(values: Summary) -> str:
    """What the numbers of a table are: over how many seeds."""
    most = int(values.count.max().max())
    text = "One run each" if most == 1 else f"Mean ± sample standard deviation over {most} {values.over}"
    return text + (f"; {MISSING}: not run." if values.mean.isna().any(axis=None) else ".")
