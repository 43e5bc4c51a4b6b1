"""Runs -> tables: means and standard deviations over seeds, beside what others published, as Markdown or LaTeX."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from lnl.reporting.draws import copies, what_varies, with_labels

SEEDS = ["seed", "noise_seed", "split_seed"]
MISSING = "–"


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (NaN for one run) and number of runs, in frames of equal rows and columns.

    ``over`` says what the runs of the largest cells are: ``3 seeds``. ``repeated`` is how many runs were left out,
    because they repeat another of their cell.
    """

    mean: pd.DataFrame
    std: pd.DataFrame
    count: pd.DataFrame
    over: str
    repeated: int = 0


@dataclass(frozen=True)
class Format:
    """How a number is shown: times ``scale``, with ``digits``, its ``spread``, the ``best`` of a column in bold."""

    scale: float = 100.0
    digits: int = 1
    best: Literal["max", "min"] | None = None
    spread: bool = True

    def number(self, value: float) -> str:
        return f"{self.scale * value:,.{self.digits}f}"


@dataclass(frozen=True)
class Markup:
    """How a language writes what a table has: ``bold`` and ``italic`` around a text, and text as it is."""

    bold: str
    italic: str
    escape: Callable[[str], str]


def _escape_latex(text: str) -> str:
    signs = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    signs |= {sign: f"${sign}$" for sign in "<>|"} | {"[": "{[}", "]": "{]}"}  # [ after a line's end is its argument
    signs |= {"±": r"$\pm$", MISSING: "--", "…": r"\ldots{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"}}
    return "".join(signs.get(sign, sign) for sign in text)


MARKDOWN = Markup("**{}**", "*{}*", lambda text: re.sub(r"([|*`]|<(?=[a-zA-Z/!]))", r"\\\1", text))
LATEX = Markup(r"\textbf{{{}}}", r"\emph{{{}}}", _escape_latex)


def pivot(runs: pd.DataFrame, rows: str, columns: str, metric: str) -> Summary:
    """A metric by two columns of ``runs``, over seeds. Runs of equal seed, noisy labels and split count once.

    Args:
        runs: of one protocol, as of :func:`lnl.reporting.results.read_runs`.
        rows, columns: names of columns; categories keep their order, those without
            runs too; other values are sorted.
        metric: a column of numbers.

    Raises:
        ValueError: if a cell would mix runs that differ in more than their seeds, naming what they differ in.
    """
    once, over, repeated = _once(runs, [rows, columns], [metric])
    mean, std, count = (part.unstack() for part in _statistics(once.groupby([rows, columns], observed=False)[metric]))
    return Summary(mean, std, count.fillna(0), over, repeated)


def _once(runs: pd.DataFrame, by: list[str], metrics: list[str]) -> tuple[pd.DataFrame, str, int]:
    """The runs without the numbers of those that repeat another, what those left are, and how many repeat."""
    _refuse_mixed(runs, by)
    masks = {metric: copies(runs, by, metric) for metric in metrics}
    runs = runs.assign(**{metric: runs[metric].mask(mask) for metric, mask in masks.items()})
    there = [with_labels(runs.dropna(subset=[metric])).groupby(by, observed=True) for metric in metrics]
    cells = [cell for groups in there for _, cell in groups]
    most = max(map(len, cells), default=0)
    over = " or ".join(dict.fromkeys(what_varies(cell) for cell in cells if len(cell) == most)) + _shared(cells)
    return runs, over, max((int(mask.sum()) for mask in masks.values()), default=0)


def _shared(cells: list[pd.DataFrame]) -> str:
    """Whether the runs of a cell have one draw of wrong labels, so that their spread holds nothing of other draws."""
    noisy = [cell for cell in cells if len(cell) > 1 and cell["actual_rate"].astype(float).max() > 0]
    shared = [cell["labels"].nunique() == 1 for cell in noisy]
    return (" " if all(shared) else ", in some cells ") + "with the same wrong labels" if any(shared) else ""


def summary(
    runs: pd.DataFrame, rows: str, metrics: Mapping[str, str], over: Literal["seeds", "runs"] = "seeds"
) -> Summary:
    """Several metrics by one column of ``runs``, as in :func:`pivot`.

    Args:
        runs, rows: as there.
        metrics: a column of ``runs`` for each column to be shown; those that are not there are left out.
        over: ``runs`` averages over all runs of a row, whatever they differ in (times, sizes).
    """
    metrics = {name: column for name, column in metrics.items() if column in runs}
    text, repeated = "", 0
    if over == "seeds":
        runs, text, repeated = _once(runs, [rows], list(metrics.values()))
    groups = runs.groupby(rows, observed=False)
    parts = {name: _statistics(groups[column]) for name, column in metrics.items()}
    mean, std, count = (pd.DataFrame({name: part[i] for name, part in parts.items()}) for i in range(3))
    return Summary(mean, std, count, text or f"{count.max().max():g} runs", repeated)


def _statistics(groups: Any) -> tuple[pd.Series, pd.Series, pd.Series]:
    return groups.mean(), groups.std(ddof=1), groups.count()


def _refuse_mixed(runs: pd.DataFrame, by: list[str]) -> None:
    for cell, group in runs.groupby(by, observed=True):
        if differing := what_differs(group):
            where = ", ".join(f"{name} {value}" for name, value in zip(by, cell, strict=True))
            raise ValueError(f"{where} has runs that differ in {', '.join(differing)}")


def what_differs(runs: pd.DataFrame) -> list[str]:
    """The columns, other than seeds, in which runs of one cell differ; empty if they may be averaged over seeds."""
    known = ["protocol", "data", "corruption", "noise", "rate", "model", "method", "loss", "callbacks"]
    known += ["init_from", "oracle", "numbers_version"]
    if "variant" not in runs or runs["variant"].nunique() > 1:  # else the configurations are equal
        known += [str(column) for column in runs if "." in str(column) and not str(column).endswith("seed")]
    differing = [column for column in known if column in runs and runs[column].nunique(dropna=False) > 1]
    if differing:
        return differing
    if "variant" in runs and runs["variant"].nunique() > 1:
        return ["variant"]
    return ["sweep" if runs["sweep"].nunique() > 1 else "run"] if runs.duplicated(SEEDS).any() else []


def cells(
    values: Summary,
    formats: Format | Mapping[str, Format] | None = None,
    markup: Markup = MARKDOWN,
    remarks: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """``mean ± std`` in every cell; where a cell has fewer runs than others, their number; – where there is none.

    ``remarks`` has the same rows and columns: what belongs behind a number, in brackets, or nothing.
    """
    most = values.count.max().max()
    rows = [markup.escape(column_text(row)) for row in values.mean.index]
    shown = pd.DataFrame(markup.escape(MISSING), index=rows, columns=list(values.mean.columns))
    for j, column in enumerate(values.mean.columns):
        form = _format(formats, column)
        best = best_of(values.mean[column], form)
        for i in range(len(shown)):
            mean, std, count = (float(part.iat[i, j]) for part in (values.mean, values.std, values.count))  # type: ignore[arg-type]
            if np.isfinite(mean):
                text = markup.escape(cell_text(mean, std, form))
                text += f" ({count:g} of {most:g})" if count < most else ""
                remark = "" if remarks is None else str(remarks.iat[i, j])
                text += markup.escape(f" ({remark})" if remark else "")
                shown.iloc[i, j] = markup.bold.format(text) if best[i] else text
    return shown


def cell_text(mean: float, std: float, form: Format) -> str:
    """``mean ± std``, or the mean alone where there is no deviation."""
    return form.number(mean) + (f" ± {form.number(std)}" if form.spread and np.isfinite(std) else "")


def beside(
    values: Summary,
    others: pd.DataFrame,
    formats: Format | Mapping[str, Format] | None = None,
    markup: Markup = MARKDOWN,
    remarks: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """:func:`cells` with a row of published numbers, and our difference from them, under each that has some.

    Args:
        values: ours.
        others: published numbers, as shown (a percentage as 58.9), with some of the same rows and columns.
        formats: of ours; the difference is taken after scaling.
        remarks: behind ours.
    """
    ours = cells(values, formats, markup, remarks)
    lines, names = [], []
    for i, row in enumerate(values.mean.index):
        lines.append(ours.iloc[i].tolist())
        names.append(ours.index[i])
        if row in others.index and others.loc[row].notna().any():
            lines.append([published_text(values, others, row, column, formats) for column in values.mean.columns])
            names.append(markup.italic.format("published"))
    return pd.DataFrame(lines, index=names, columns=ours.columns)


def published_text(
    values: Summary, others: pd.DataFrame, row: Any, column: Any, formats: Format | Mapping[str, Format] | None
) -> str:
    """A published number and our difference from it; nothing where there is none."""
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


def best_of(means: pd.Series, form: Format) -> np.ndarray:
    """Which rows show the best number of a column, equals included."""
    shown = (form.scale * means).round(form.digits)
    if form.best is None or shown.nunique() < 2:
        return np.zeros(len(means), dtype=bool)
    return (shown == (shown.max() if form.best == "max" else shown.min())).to_numpy()


def markdown(table: pd.DataFrame, corner: str = "") -> str:
    """A Markdown table, the index first."""
    header = [corner, *(column_text(name) for name in table.columns)]
    rows = [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    lines = [header, ["---", *["---:"] * len(table.columns)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def latex(table: pd.DataFrame, corner: str, caption: str, label: str) -> str:
    """A table for LaTeX's ``booktabs``, of cells in that language; ``corner`` and ``caption`` are escaped here."""
    header = [_escape_latex(column_text(name)) for name in table.columns]
    text = (
        table.set_axis(header, axis=1)
        .rename_axis(columns=_escape_latex(corner))
        .style.to_latex(
            hrules=True,
            position_float="centering",
            column_format="l" + "r" * len(header),
            caption=_escape_latex(caption),
            label=f"tab:{label}",
        )
    )
    return f"% \\usepackage{{booktabs}}\n{text}"


def column_text(name: object) -> str:
    """A column's or row's value as it is shown: 0.3, not 0.30000000000000004."""
    return f"{name:g}" if isinstance(name, float) else str(name)


def seeds_note(values: Summary, ran: pd.DataFrame | None = None) -> str:
    """What the numbers of a table are: over how many seeds; what it means that there is none; what counts once.

    Args:
        values: of the table.
        ran: how many runs each cell has, with this number or without; None if all have it.
    """
    most = int(values.count.max().max())
    text = "One run each" if most == 1 else f"Mean ± sample standard deviation over {values.over}"
    missing = values.mean.isna()
    lacking = missing & (missing & False if ran is None else ran > 0)
    reasons = {"not run": missing & ~lacking, "run, but without this number": lacking}
    why = " or ".join(reason for reason, cells in reasons.items() if cells.any(axis=None))
    legend = [f"{MISSING}: {why}"] if why else []
    note = "; ".join([text, *legend] if most else legend) + "."
    if values.repeated:
        runs = "1 run repeats" if values.repeated == 1 else f"{values.repeated} runs repeat"
        note += f" {runs} the seed, labels and split of another, and count once with it."
    return note
