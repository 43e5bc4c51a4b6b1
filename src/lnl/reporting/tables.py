"""Runs -> tables: means and standard deviations over seeds, beside published numbers, as Markdown or LaTeX."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from lnl.reporting.significance import copies, what_varies, with_labels

SEEDS = ["seed", "noise_seed", "split_seed"]
MISSING, UNKNOWN = "–", "not given"  # a cell without a number, a value that a run does not have


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (NaN for one run) and number of runs, in frames of equal rows and columns.

    ``over`` describes the runs of the largest cells: ``3 seeds``. ``repeated`` counts the runs left out as repeats of
    another run of their cell.
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
    signs |= {"[": "{[}", "]": "{]}"}  # [ after a line break is its argument
    signs |= {sign: f"${sign}$" for sign in "<>|"}
    signs |= {"±": r"$\pm$", MISSING: "--", "…": r"\ldots{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"}}
    return "".join(signs.get(sign, sign) for sign in text)


MARKDOWN = Markup("**{}**", "*{}*", lambda text: re.sub(r"([|*`]|<(?=[a-zA-Z/!]))", r"\\\1", text))
LATEX = Markup(r"\textbf{{{}}}", r"\emph{{{}}}", _escape_latex)


def averages(runs: pd.DataFrame, by: Sequence[str], metrics: Sequence[str], observed: bool = True) -> pd.DataFrame:
    """``mean``, ``std`` (sample) and ``count`` of each metric in each cell; runs that repeat another count once.

    Returns a row for each cell, which the columns ``by`` make (with the protocol if there are several), and columns
    ``(metric, statistic)``. If ``by`` are categories, ``observed=False`` adds cells without runs.
    """
    once = runs.assign(**{metric: runs[metric].mask(copies(runs, by, metric)) for metric in metrics})
    return once.groupby(list(by), observed=observed)[list(metrics)].agg(["mean", "std", "count"])


def pivot(runs: pd.DataFrame, rows: str, columns: str, metric: str) -> Summary:
    """A metric by two columns of ``runs``, averaged over seeds as by :func:`averages`.

    The runs are of one protocol. Categories keep their order and may have no runs; other values are sorted.

    Raises:
        ValueError: if the runs of a cell differ in more than their seeds, naming what they differ in.
    """
    over, repeated = checked(runs, [rows, columns], [metric])
    table = averages(runs, [rows, columns], [metric], observed=False)[metric]
    mean, std, count = (table[name].unstack() for name in ("mean", "std", "count"))
    return Summary(mean, std, count.fillna(0), over, repeated)


def checked(runs: pd.DataFrame, by: list[str], metrics: list[str]) -> tuple[str, int]:
    """``over`` and ``repeated`` of a :class:`Summary`; raises ValueError as :func:`pivot`."""
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
    """Whether the runs of a cell share one draw of wrong labels: the spread then leaves out that of draws."""
    noisy = [cell for cell in cells if len(cell) > 1 and cell["actual_rate"].astype(float).max() > 0]
    shared = [cell["labels"].nunique() == 1 for cell in noisy]
    return (" " if all(shared) else ", in some cells ") + "with the same wrong labels" if any(shared) else ""


def what_differs(runs: pd.DataFrame) -> list[str]:
    """The columns, other than seeds, in which runs of one cell differ; empty if they may be averaged over seeds."""
    known = ["protocol", "data", "corruption", "noise", "rate", "model", "method", "loss", "callbacks"]
    known += ["augment", "init_from", "oracle", "numbers_version"]
    varied = "variant" in runs and runs["variant"].nunique() > 1
    if varied or "variant" not in runs:  # else the configurations are equal
        known += [str(column) for column in runs if "." in str(column) and not str(column).endswith("seed")]
    differing = [column for column in known if column in runs and runs[column].nunique(dropna=False) > 1]
    if differing or varied:
        return differing or ["variant"]
    return ["sweep" if runs["sweep"].nunique() > 1 else "run"] if runs.duplicated(SEEDS).any() else []


class Cell(NamedTuple):
    """A cell as it is shown."""

    value: float  # or NaN
    text: str = MISSING
    remarks: tuple[str, ...] = ()  # in brackets
    best: bool = False  # of its column
    published: str = ""
    title: str = ""  # on the page, under the mouse

    def written(self, markup: Markup) -> str:
        """The text, with its remarks in brackets."""
        text = markup.escape(" ".join([self.text, *(f"({remark})" for remark in self.remarks)]))
        return markup.bold.format(text) if self.best else text


def shown(
    values: Summary, formats: Formats = None, others: pd.DataFrame | None = None, remarks: pd.DataFrame | None = None
) -> dict[str, list[Cell]]:
    """The cells of each row, as of :func:`cells`; ``remarks`` stand in brackets behind the numbers."""
    most = values.count.max().max()
    rows: dict[str, list[Cell]] = {column_text(row): [] for row in values.mean.index}
    for j, column in enumerate(values.mean):
        form = formats.get(str(column), Format()) if isinstance(formats, Mapping) else formats or Format()
        theirs = pd.Series(dtype=float) if others is None or column not in others else others[column]
        rounded = (form.scale * values.mean[column]).round(form.digits)
        best = rounded.agg(form.best) if form.best and rounded.nunique() > 1 else np.nan
        for i, (row, line) in enumerate(zip(values.mean.index, rows.values(), strict=True)):
            mean, std, count = (float(part.iat[i, j]) for part in (values.mean, values.std, values.count))  # type: ignore[arg-type]
            published, difference = f"{theirs.get(row, np.nan):g}", form.scale * mean - theirs.get(row, np.nan)
            below = published + (f" ({form.signed(difference)})" if np.isfinite(difference) else "")
            cell = Cell(np.nan, published=below if published != "nan" else "")
            if np.isfinite(mean):
                text = form.number(mean) + (f" ± {form.number(std)}" if form.spread and np.isfinite(std) else "")
                few = f"{count:g} of {most:g}" if count < most else ""
                remark = "" if remarks is None else str(remarks.iat[i, j])
                known = tuple(filter(None, [few, remark]))
                cell = Cell(mean, text, known, bool(rounded.iat[i] == best), cell.published)
            line.append(cell)
    return rows


def cells(
    values: Summary, formats: Formats = None, markup: Markup = MARKDOWN, others: pd.DataFrame | None = None
) -> pd.DataFrame:
    """``mean ± std`` in every cell, or –; with the number of runs if a cell has fewer than others.

    ``formats`` are of the columns, or one for all. ``others`` are published numbers, as printed (a percentage as 58.9),
    with some of the same rows and columns; they and our difference from them stand below each row that has some.
    """
    return written(shown(values, formats, others), values.mean.columns, markup)


def written(rows: Mapping[str, list[Cell]], columns: pd.Index, markup: Markup) -> pd.DataFrame:
    """The texts of cells."""
    lines, names = [], []
    for row, ours in rows.items():
        lines.append([cell.written(markup) for cell in ours])
        names.append(markup.escape(row))
        if any(cell.published for cell in ours):
            lines.append([cell.published for cell in ours])
            names.append(markup.italic.format("published"))
    return pd.DataFrame(lines, index=names, columns=list(columns))


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
    style: dict[str, Any] = {"hrules": True, "position_float": "centering", "column_format": "l" + "r" * len(header)}
    text = named.style.to_latex(**style, caption=_escape_latex(caption), label=f"tab:{label}")
    return f"% \\usepackage{{booktabs}}\n{text}"


def column_text(name: object) -> str:
    """The text of a value: 0.3, not 0.30000000000000004."""
    return UNKNOWN if pd.isna(name) else f"{name:g}" if isinstance(name, float) else str(name)  # type: ignore[call-overload]


def seeds_note(values: Summary, ran: pd.DataFrame | None = None) -> str:
    """The meaning of a table's averages and of its –, and the number of runs that count with another.

    ``ran`` is the number of runs of each cell, with this number or without; None if all have it.
    """
    most = int(values.count.max().max())
    text = "One run each" if most == 1 else f"Mean ± sample standard deviation over {values.over}" if most else ""
    missing = values.mean.isna()
    lacking = missing & (missing & False if ran is None else ran > 0)
    reasons = {"not run": missing & ~lacking, "run, but without this number": lacking}
    why = " or ".join(reason for reason, cells in reasons.items() if cells.any(axis=None))
    note = "; ".join(filter(None, [text, f"{MISSING}: {why}" if why else ""])) + "."
    if values.repeated:
        runs = "1 run repeats" if values.repeated == 1 else f"{values.repeated} runs repeat"
        note += f" {runs} the seed, labels and split of another, and count once with it."
    return note
