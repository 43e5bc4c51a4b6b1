"""One table of a report: a metric by rows and columns at one setting and protocol, and its comparisons."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lnl.reporting import tables
from lnl.reporting.arrange import VISITED, shares_visited, unnamed, visits_part
from lnl.reporting.published import source_note
from lnl.reporting.significance import FEWEST_PAIRS, against_baseline, wrong_note
from lnl.reporting.tables import LATEX, MARKDOWN, Cell, Format, Markup, Summary

ORACLE = "oracle_best"
PROTOCOLS = {
    "last": "last epoch",
    "noisy_val_best": "best epoch by noisy validation labels",
    "clean_val_best": "best epoch by CLEAN validation labels",
    "label_wave": "epoch in which the fewest training predictions changed",
    ORACLE: "best epoch, SELECTED ON THE TEST SET",
}
SHARES = ("accuracy", "macro_f1", "ece", "error", "accuracy_correct", "accuracy_wrong", "memorised")
UNITS = {
    "fit_seconds": ("training time, s", Format(1, 1, "min")),
    "seconds_per_epoch": ("time of an epoch, s", Format(1, 2, "min")),
    "seconds_per_image": ("inference, ms an image", Format(1000, 3, "min")),
    "parameters": ("parameters", Format(1, 0, spread=False)),
    "checkpoint_bytes": ("checkpoint, MB", Format(1e-6, 1, "min", spread=False)),
    "peak_memory_bytes": ("peak memory, MB", Format(1e-6, 0, "min")),
    "peak_device_memory_bytes": ("peak device memory, MB", Format(1e-6, 0, "min")),
    "epoch": ("epoch (from 0)", Format(1, 1)),
    "epochs": ("epochs", Format(1, 0)),
    "actual_rate": ("wrong labels, %", Format()),
    "train/visited": ("training samples visited, %", Format()),
}


def metric_text(metric: str) -> str:
    """The name of a metric: ``test accuracy, %`` for ``test/accuracy``."""
    if metric in UNITS:
        return UNITS[metric][0]
    words = metric.replace("/", " ").replace("_", " ").replace("macro f1", "macro F1").replace("val ", "validation ")
    return words + (", %" if metric.rsplit("/", 1)[-1] in SHARES else "")


def metric_format(metric: str) -> Format:
    """How a metric is written, and whether it should be low or high: neither on training labels, which may be wrong."""
    if metric in UNITS:
        return UNITS[metric][1]
    split, _, name = metric.rpartition("/")
    lower = name in ("ece", "error", "memorised") or name.endswith("loss")
    best = None if split == "train" else "min" if lower else "max" if name in SHARES else None
    return Format(100, 1, best) if name in SHARES else Format(1, 3, best)  # type: ignore[arg-type]


def metrics_of(runs: pd.DataFrame) -> list[str]:
    """The columns that can be the metric of a table: numbers that some run has."""
    numbers = map(str, runs.select_dtypes("number").dropna(axis="columns", how="all"))
    return [name for name in numbers if name in UNITS or ("/" in name and "." not in name)]


@dataclass(frozen=True)
class Comparison:
    """A table of one setting, protocol and metric."""

    setting: str
    protocol: str
    metric: str
    rows: str  # the name of that axis
    columns: str
    values: Summary
    others: pd.DataFrame  # published numbers, as printed (percentages), with some of the same rows and columns
    visited: pd.DataFrame  # remarks on cells whose epochs visited a part of the training samples
    tests: pd.DataFrame  # of `against_baseline`; empty without a baseline
    baseline: str | None  # the row that tests compare with
    notes: tuple[str, ...]  # sentences below the table

    @property
    def title(self) -> str:
        return f"{self.setting}: {metric_text(self.metric)}, {PROTOCOLS.get(self.protocol, self.protocol)}"

    @property
    def slug(self) -> str:
        return slug(self.metric, self.setting, self.protocol)

    @property
    def form(self) -> Format:
        return metric_format(self.metric)

    @property
    def corner(self) -> str:
        return f"{self.rows} \\ {self.columns}"

    def cells(self) -> dict[str, list[Cell]]:
        """Each row's cells."""
        return tables.shown(self.values, self.form, self.others, self.visited)

    def differences(self) -> dict[str, list[Cell]]:
        """Each tested row's differences from the baseline: ``+2.3, p 0.012 (n 3)``, with the interval as a title."""
        scale, form = self.form.scale, self.form
        columns = list(self.values.mean.columns)
        tested = set(self.tests["row"].astype(str))
        found = {row: [Cell(np.nan)] * len(columns) for row in map(str, self.values.mean.index) if row in tested}
        for test in self.tests.to_dict("records"):
            p, known = test["p_holm"], bool(np.isfinite(test["p_holm"]))
            chance = f", p {p:.3f}" if p >= 0.0005 else ", p <0.001" if known else ""
            text = f"{form.signed(scale * test['difference'])}{chance} (n {test['pairs']})"
            low, high = (f"{scale * test[end]:+.{form.digits}f}" for end in ("low", "high"))
            interval = f"95 % interval {low} to {high}; p {test['p']:.4f} before correction"
            cell = Cell(test["difference"], text, best=known and p < 0.05, title=interval if known else "")
            found[str(test["row"])][columns.index(test["column"])] = cell
        return found

    def markdown(self) -> str:
        """The table, its notes, and the differences from the baseline."""
        table, differences = self._texts(MARKDOWN)
        parts = [f"### {self.title}", tables.markdown(table, self.corner), " ".join(self.notes)]
        if len(self.tests):
            title = f"Difference from {MARKDOWN.escape(str(self.baseline))}"
            parts += [tables.markdown(differences, title), self.tests_note()]
        return "\n\n".join(parts)

    def latex(self) -> str:
        """Both tables, for ``booktabs``."""
        table, differences = self._texts(LATEX)
        text = tables.latex(table, self.corner, f"{self.title}. {' '.join(self.notes)}", self.slug)
        if len(self.tests):
            caption = f"{self.title}: difference from {self.baseline}. {self.tests_note()}"
            text += "\n" + tables.latex(differences, self.corner, caption, f"{self.slug}-tests")
        return text

    def _texts(self, markup: Markup) -> list[pd.DataFrame]:
        return [tables.written(rows, self.values.mean.columns, markup) for rows in (self.cells(), self.differences())]

    def frame(self) -> pd.DataFrame:
        """The numbers, a row for each cell, in the metric's own unit, published ones too."""
        parts = {"mean": self.values.mean, "std": self.values.std, "runs": self.values.count}
        parts |= {"visited": self.visited} if (self.visited != "").any(axis=None) else {}
        if len(self.others):
            parts["published"] = self.others.reindex_like(self.values.mean) / self.form.scale
            parts["difference_from_published"] = self.values.mean - parts["published"]
        cells = pd.DataFrame({name: part.stack(future_stack=True) for name, part in parts.items()})
        cells = cells.rename_axis(["row", "column"]).reset_index().astype({"row": str, "runs": int})
        if self.baseline is not None:
            tests = self.tests.rename(columns={"difference": "difference_from_baseline"}).astype({"row": str})
            cells = cells.merge(tests, on=["row", "column"], how="left")
        what = {"setting": self.setting, "protocol": self.protocol, "metric": self.metric}
        return cells.assign(**what)[[*what, *cells.columns]]

    def tests_note(self) -> str:
        """The meaning of the differences; empty without any."""
        if self.tests.empty:
            return ""
        note = f"Mean difference over n pairs of runs with the same seed, wrong labels and split as {self.baseline}."
        if within := " or ".join(dict.fromkeys(filter(None, self.tests["within"]))):
            note += f" Pairs with the same {within} are averaged first and count as one of the n."
        tested = int(self.tests["p"].notna().sum())
        if not tested:
            return f"{note} No test: it takes {FEWEST_PAIRS} pairs that do not all differ by the same."
        short = self.tests["pairs"] < FEWEST_PAIRS
        few = f" No test below {FEWEST_PAIRS} pairs." if short.any() else ""
        few += " No test where all pairs differ by the same." if (self.tests["p"].isna() & ~short).any() else ""
        many = f"{tested} test{'s' * (tested > 1)}"
        holm = f"p: paired t-test, two-sided, corrected after Holm for the {many} of this table; bold below 0.05."
        return f"{note} {holm}{few}"


def slug(*parts: str) -> str:
    """A name for a file."""
    return "-".join(re.sub(r"[^\w.]+", "-", part.lower()).strip("-") for part in parts if part)


def compare(
    runs: pd.DataFrame,
    rows: str,
    columns: str,
    metric: str,
    others: pd.DataFrame | None,
    baseline: str | None,
    named: Sequence[str],
) -> list[Comparison]:
    """A table of ``metric`` for every setting and protocol of :func:`lnl.reporting.arrange.arrange`.

    ``rows`` and ``columns`` are the names of the axes, ``named`` the columns of ``runs`` in the names on them.
    ``others`` are of :func:`lnl.reporting.published.published_beside`. Tables that have the row ``baseline`` test
    against it.
    """
    if others is None:
        others = pd.DataFrame(columns=["setting", "protocol", "row", "column", "value"])
    # A published number is of the last epoch unless it says otherwise.
    others = others.assign(protocol=others["protocol"].fillna("last").str.split().str[0])
    made = []
    for (setting, protocol), members in runs.groupby(["setting", "protocol"], sort=False):
        here = members.assign(
            row=members["row"].cat.remove_unused_categories(), column=members["column"].infer_objects()
        )
        values = tables.pivot(here, "row", "column", metric)
        theirs = others[(others["setting"] == setting) & (others["protocol"] == protocol)]
        table = theirs.pivot_table(index="row", columns="column", values="value", observed=True, sort=False)
        base = baseline if baseline in values.mean.index else None
        partial = visits_part(here) & metric.startswith("train/") & (metric != "train/visited")
        visited = shares_visited(here, values.mean, partial)
        # Runs that visited different samples are not pairs.
        tests = against_baseline(here[~partial], base, metric) if base else pd.DataFrame(columns=["row", "p", "pairs"])
        ran = here.groupby(["row", "column"], observed=False).size().unstack()
        # The rate that was asked for is not the share of wrong labels.
        wrong = wrong_note(here, "column") if here["column"].equals(here["rate"]) else ""
        leak = "The epoch was selected on the test set: an upper bound, not a result." if protocol == ORACLE else ""
        part = VISITED if partial.any() else ""
        notes = leak, tables.seeds_note(values, ran), part, unnamed(here, named, columns), wrong, source_note(theirs)
        about = str(setting), str(protocol), metric, rows, columns
        made.append(Comparison(*about, values, table, visited, tests, base, tuple(filter(None, notes))))
    order = list(PROTOCOLS)
    return sorted(made, key=lambda one: order.index(one.protocol) if one.protocol in order else len(order))
