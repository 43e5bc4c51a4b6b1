"""Runs -> tables: means and standard deviations over seeds, beside published numbers, as Markdown or LaTeX."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from lnl.reporting.significance import copies, what_varies, with_labels

SEEDS = ["seed", "noise_seed", "split_seed"]
MISSING = "–"


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (NaN for one run) and number of runs, in frames of equal rows and columns.

    ``over`` describes the runs of the largest cells: ``3 seeds``. ``repeated`` is the number of runs left out because
    they repeat another run of their cell.
    """

    mean: pd.DataFrame
    std: pd.DataFrame
    count: pd.DataFrame
    over: str
    repeated: int = 0


@dataclass(frozen=True)
class Format:
    """How a number is written: times ``scale``, with ``digits``, its ``spread``, the ``best`` of a column in bold."""

    scale: float = 100.0
    digits: int = 1
    best: Literal["max", "min"] | None = None
    spread: bool = True

    def number(self, value: float) -> str:
        return f"{self.scale * value:,.{self.digits}f}"

    def signed(self, difference: float) -> str:
        return f"{round(difference, self.digits) + 0.0:+.{self.digits}f}"  # without -0.0


Formats = Format | Mapping[str, Format] | None


@dataclass(frozen=True)
class Markup:
    """How a language writes ``bold`` and ``italic`` text, and how it escapes plain text."""

    bold: str
    italic: str
    escape: Callable[[str], str]


def _escape_latex(text: str) -> str:
    signs = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    signs |= {sign: f"${sign}$" for sign in "<>|"} | {
        "[": "{[}",
        "]": "{]}",
    }  # [ after a line break is its argument
    signs |= {"±": r"$\pm$", MISSING: "--", "…": r"\ldots{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"}}
    return "".join(signs.get(sign, sign) for sign in text)


MARKDOWN = Markup("**{}**", "*{}*", lambda text: re.sub(r"([|*`]|<(?=[a-zA-Z/!]))", r"\\\1", text))
LATEX = Markup(r"\textbf{{{}}}", r"\emph{{{}}}", _escape_latex)


def averages(runs: pd.DataFrame, by: Sequence[str], metrics: Sequence[str], observed: bool = True) -> pd.DataFrame:
    """``mean``, ``std`` (sample) and ``count`` of each metric in each cell; runs that repeat another count once.

    Args:
        runs: as of :func:`lnl.reporting.arrange.arrange`.
        by: the columns that make a cell, the protocol among them if there are several.
        metrics: columns of numbers.
        observed: false adds cells without runs, of columns that are categories.

    Returns:
        A row for each cell, with columns ``(metric, statistic)``.
    """
    once = runs.assign(**{metric: runs[metric].mask(copies(runs, by, metric)) for metric in metrics})
    return once.groupby(list(by), observed=observed)[list(metrics)].agg(["mean", "std", "count"])


def pivot(runs: pd.DataFrame, rows: str, columns: str, metric: str) -> Summary:
    """A metric by two columns of ``runs``, over seeds. Runs of equal seed, noisy labels and split count once.

    Args:
        runs: of one protocol, as of :func:`lnl.reporting.results.read_runs`.
        rows, columns: names of columns; categories keep their order and may have no runs; other values are sorted.
        metric: a column of numbers.

    Raises:
        ValueError: if the runs of a cell differ in more than their seeds, naming what they differ in.
    """
    over, repeated = checked(runs, [rows, columns], [metric])
    table = averages(runs, [rows, columns], [metric], observed=False)[metric]
    mean, std, count = (table[name].unstack() for name in ("mean", "std", "count"))
    return Summary(mean, std, count.fillna(0), over, repeated)


def checked(runs: pd.DataFrame, by: list[str], metrics: list[str]) -> tuple[str, int]:
    """What the runs of the largest cells are (``3 seeds``), and how many runs repeat another run of their cell.

    Raises:
        ValueError: as of :func:`pivot`.
    """
    for cell, group in runs.groupby(by, observed=True):
        if differing := what_differs(group):
            where = ", ".join(f"{name} {value}" for name, value in zip(by, cell, strict=True))
            raise ValueError(f"{where} has runs that differ in {', '.join(differing)}")
    masks = {metric: copies(runs, by, metric) for metric in metrics}
    once = [with_labels(runs[runs[metric].notna() & ~mask]) for metric, mask in masks.items()]
    cells = [cell for counted in once for _, cell in counted.groupby(by, observed=True)]
    most = max(map(len, cells), default=0)
    over = " or ".join(dict.fromkeys(what_varies(cell) for cell in cells if len(cell) == most)) + _shared(cells)
    return over, max((int(mask.sum()) for mask in masks.values()), default=0)


def _shared(cells: list[pd.DataFrame]) -> str:
    """Says so where the runs of a cell share one draw of wrong labels: other draws are then not part of the spread."""
    noisy = [cell for cell in cells if len(cell) > 1 and cell["actual_rate"].astype(float).max() > 0]
    shared = [cell["labels"].nunique() == 1 for cell in noisy]
    return (" " if all(shared) else ", in some cells ") + "with the same wrong labels" if any(shared) else ""


def what_differs(runs: pd.DataFrame) -> list[str]:
    """The columns, other than seeds, in which runs of one cell differ; empty if they may be averaged over seeds."""
    known = ["protocol", "data", "corruption", "noise", "rate", "model", "method", "loss", "callbacks"]
    known += ["init_from", "oracle", "numbers_version"]
    varied = "variant" in runs and runs["variant"].nunique() > 1
    if varied or "variant" not in runs:  # else the configurations are equal
        known += [str(column) for column in runs if "." in str(column) and not str(column).endswith("seed")]
    differing = [column for column in known if column in runs and runs[column].nunique(dropna=False) > 1]
    if differing or varied:
        return differing or ["variant"]
    return ["sweep" if runs["sweep"].nunique() > 1 else "run"] if runs.duplicated(SEEDS).any() else []


class Cell(NamedTuple):
    """A cell as it is shown: its number (NaN if there is none), text, remarks behind it, and whether it is the best."""

    value: float
    text: str = MISSING
    remarks: tuple[str, ...] = ()
    best: bool = False


def shown(values: Summary, formats: Formats = None, remarks: pd.DataFrame | None = None) -> list[list[Cell]]:
    """The cells of a table, row by row; arguments as in :func:`cells`."""
    most = values.count.max().max()
    columns = []
    for j, column in enumerate(values.mean.columns):
        form, cells = _format(formats, column), []
        best = best_of(values.mean[column], form)
        for i in range(len(values.mean)):
            mean, std, count = (float(part.iat[i, j]) for part in (values.mean, values.std, values.count))  # type: ignore[arg-type]
            text = form.number(mean) + (f" ± {form.number(std)}" if form.spread and np.isfinite(std) else "")
            few = f"{count:g} of {most:g}" if count < most else ""
            remark = "" if remarks is None else str(remarks.iat[i, j])
            there = Cell(mean, text, tuple(filter(None, [few, remark])), bool(best[i]))
            cells.append(there if np.isfinite(mean) else Cell(np.nan))
        columns.append(cells)
    return [list(row) for row in zip(*columns, strict=True)]


def cells(
    values: Summary, formats: Formats = None, markup: Markup = MARKDOWN, remarks: pd.DataFrame | None = None
) -> pd.DataFrame:
    """``mean ± std`` in every cell, – where there is none; the number of runs where a cell has fewer than others.

    Args:
        values: of the table.
        formats: of its columns, or one for all.
        markup: the language.
        remarks: text for brackets behind the numbers, with the same rows and columns.
    """
    return beside(values, pd.DataFrame(), formats, markup, remarks)


def beside(
    values: Summary,
    others: pd.DataFrame,
    formats: Formats = None,
    markup: Markup = MARKDOWN,
    remarks: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """:func:`cells` with published numbers, and our difference from them, below each row that has some.

    Args:
        values, formats, markup, remarks: as of :func:`cells`.
        others: published numbers, as printed (a percentage as 58.9), with some of the same rows and columns.
    """
    lines, names = [], []
    for row, ours in zip(values.mean.index, shown(values, formats, remarks), strict=True):
        lines.append([in_markup(cell, markup) for cell in ours])
        names.append(markup.escape(column_text(row)))
        if row in others.index and others.loc[row].notna().any():
            lines.append([published_text(values, others, row, column, formats) for column in values.mean.columns])
            names.append(markup.italic.format("published"))
    return pd.DataFrame(lines, index=names, columns=list(values.mean.columns))


def in_markup(cell: Cell, markup: Markup) -> str:
    """The text of a cell, with its remarks in brackets."""
    text = markup.escape(" ".join([cell.text, *(f"({remark})" for remark in cell.remarks)]))
    return markup.bold.format(text) if cell.best else text


def published_text(values: Summary, others: pd.DataFrame, row: Any, column: Any, formats: Formats) -> str:
    """A published number and our difference from it; empty where there is none."""
    value = others[column].get(row, np.nan) if column in others else np.nan
    if not np.isfinite(value):
        return ""
    form = _format(formats, column)
    difference = form.scale * values.mean[column][row] - value
    return f"{value:g}" + (f" ({form.signed(difference)})" if np.isfinite(difference) else "")


def _format(formats: Formats, column: object) -> Format:
    if isinstance(formats, Mapping):
        return formats.get(str(column), Format())
    return formats or Format()


def best_of(means: pd.Series, form: Format) -> np.ndarray:
    """The rows that show the best number of a column, ties included."""
    rounded = (form.scale * means).round(form.digits)
    if form.best is None or rounded.nunique() < 2:
        return np.zeros(len(means), dtype=bool)
    return (rounded == (rounded.max() if form.best == "max" else rounded.min())).to_numpy()


def markdown(table: pd.DataFrame, corner: str = "") -> str:
    """A Markdown table, the index first."""
    header = [corner, *(column_text(name) for name in table.columns)]
    rows = [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    lines = [header, ["---", *["---:"] * len(table.columns)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def latex(table: pd.DataFrame, corner: str, caption: str, label: str) -> str:
    """A table for LaTeX's ``booktabs``; its cells are LaTeX, ``corner`` and ``caption`` are escaped here."""
    header = [_escape_latex(column_text(name)) for name in table.columns]
    named = table.set_axis(header, axis=1).rename_axis(columns=_escape_latex(corner))
    text = named.style.to_latex(
        hrules=True,
        position_float="centering",
        column_format="l" + "r" * len(header),
        caption=_escape_latex(caption),
        label=f"tab:{label}",
    )
    return f"% \\usepackage{{booktabs}}\n{text}"


def column_text(name: object) -> str:
    """The value of a row or column as it is shown: 0.3, not 0.30000000000000004."""
    return f"{name:g}" if isinstance(name, float) else str(name)


def seeds_note(values: Summary, ran: pd.DataFrame | None = None) -> str:
    """What the numbers of a table are averaged over, what – means in it, and which runs count once.

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
