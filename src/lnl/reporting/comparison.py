"""One table of a report: a metric by rows and columns at one setting and protocol, and what it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lnl.config import CONF_DIR
from lnl.errors import UserError, nearest
from lnl.reporting.draws import wrong_note
from lnl.reporting.results import published
from lnl.reporting.settings import VISITED, shares_visited, unnamed, visits_part
from lnl.reporting.significance import FEWEST_PAIRS, against_baseline
from lnl.reporting.tables import (
    LATEX,
    MARKDOWN,
    MISSING,
    Format,
    Markup,
    Summary,
    beside,
    latex,
    markdown,
    pivot,
    seeds_note,
)

PROTOCOLS = {
    "last": "last epoch",
    "noisy_val_best": "best epoch by noisy validation labels",
    "oracle_best": "best epoch, SELECTED ON THE TEST SET",
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
    """``test/accuracy`` as a reader wants it: ``test accuracy, %``."""
    if metric in UNITS:
        return UNITS[metric][0]
    words = metric.replace("/", " ").replace("_", " ").replace("macro f1", "macro F1").replace("val ", "validation ")
    return words + (", %" if metric.rsplit("/", 1)[-1] in SHARES else "")


def metric_format(metric: str) -> Format:
    """How it is written, and which end of it is the better one. On training labels, some of them wrong, neither is."""
    if metric in UNITS:
        return UNITS[metric][1]
    split, _, name = metric.rpartition("/")
    lower = name in ("ece", "error", "memorised") or name.endswith("loss")
    best = None if split == "train" else "min" if lower else "max" if name in SHARES else None
    return Format(100, 1, best) if name in SHARES else Format(1, 3, best)  # type: ignore[arg-type]


def metrics_of(runs: pd.DataFrame) -> list[str]:
    """The columns that can be a table's metric: numbers that some run has."""
    numbers = [str(name) for name in runs.select_dtypes("number") if runs[name].notna().any()]
    return [name for name in numbers if name in UNITS or ("/" in name and "." not in name)]


@dataclass(frozen=True)
class Comparison:
    """A table.

    Attributes:
        setting, protocol, metric: what all its cells have in common.
        rows, columns: what the axes are called.
        values: the numbers.
        others: published ones, as printed (percentages), with some of the same rows and columns.
        visited: text that belongs behind the numbers of an epoch that visited a part of the training samples.
        tests: as of :func:`lnl.reporting.significance.against_baseline`.
        baseline: the row that tests compare with, or None.
        notes: sentences that belong below it.
    """

    setting: str
    protocol: str
    metric: str
    rows: str
    columns: str
    values: Summary
    others: pd.DataFrame
    visited: pd.DataFrame
    tests: pd.DataFrame
    baseline: str | None
    notes: tuple[str, ...]

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

    def shown(self, markup: Markup = MARKDOWN) -> pd.DataFrame:
        """Cells as text, published numbers in rows of their own."""
        return beside(self.values, self.others, self.form, markup, self.visited)

    def markdown(self) -> str:
        """The table, its notes, and below it the differences from the baseline."""
        parts = [f"### {self.title}", markdown(self.shown(), self.corner), " ".join(self.notes)]
        if self.baseline is not None and len(self.tests):
            title = f"Difference from {MARKDOWN.escape(self.baseline)}"
            parts += [markdown(self.differences(), title), self.tests_note()]
        return "\n\n".join(parts)

    def latex(self) -> str:
        """Both tables, for ``booktabs``."""
        text = latex(self.shown(LATEX), self.corner, f"{self.title}. {' '.join(self.notes)}", self.slug)
        if self.baseline is not None and len(self.tests):
            caption = f"{self.title}: difference from {self.baseline}. {self.tests_note()}"
            text += "\n" + latex(self.differences(LATEX), self.corner, caption, f"{self.slug}-tests")
        return text

    def frame(self) -> pd.DataFrame:
        """The numbers, a cell a row, in the metric's own unit (published ones in it too)."""
        parts = {"mean": self.values.mean, "std": self.values.std, "runs": self.values.count}
        parts |= {"visited": self.visited} if (self.visited != "").any(axis=None) else {}
        cells = pd.DataFrame({name: part.stack(future_stack=True) for name, part in parts.items()})
        cells.index.names = ["row", "column"]
        others = self.others.stack(future_stack=True) / self.form.scale if len(self.others) else None
        if others is not None:
            others.index.names = ["row", "column"]
            cells["published"] = others
            cells["difference_from_published"] = cells["mean"] - cells["published"]
        cells = cells.reset_index().astype({"row": str, "runs": int})
        if self.baseline is not None:
            tests = self.tests.rename(columns={"difference": "difference_from_baseline"}).astype({"row": str})
            cells = cells.merge(tests, on=["row", "column"], how="left")
        what = {"setting": self.setting, "protocol": self.protocol, "metric": self.metric}
        return cells.assign(**what)[[*what, *cells.columns]]

    def differences(self, markup: Markup = MARKDOWN) -> pd.DataFrame:
        """Each row's difference from the baseline with its p and number of pairs, as text."""
        rows = [row for row in self.values.mean.index if row in set(self.tests["row"])]
        table = pd.DataFrame(
            markup.escape(MISSING), index=[markup.escape(str(row)) for row in rows], columns=self.values.mean.columns
        ).astype(object)
        for test in self.tests.itertuples():
            text, p = markup.escape(self.difference_text(test)), float(test.p_holm)  # type: ignore[arg-type]
            shown = markup.bold.format(text) if p < 0.05 else text
            table.loc[markup.escape(str(test.row)), test.column] = shown
        return table

    def difference_text(self, test: object) -> str:
        """``+2.3, p 0.012 (n 3)``; without p where there is no test."""
        difference, p, pairs = (getattr(test, name) for name in ("difference", "p_holm", "pairs"))
        text = f"{round(self.form.scale * difference, self.form.digits) + 0.0:+.{self.form.digits}f}"  # no -0.0
        if not np.isfinite(p):
            return f"{text} (n {pairs})"
        return f"{text}, p {p:.3f} (n {pairs})" if p >= 0.0005 else f"{text}, p <0.001 (n {pairs})"

    def tests_note(self) -> str:
        """What the differences are."""
        note = f"Mean difference over n pairs of runs with the same seed, wrong labels and split as {self.baseline}."
        if within := " or ".join(dict.fromkeys(filter(None, self.tests["within"]))):
            note += f" Pairs with the same {within} are averaged first and count as one of the n."
        tested = int(self.tests["p"].notna().sum())
        if not tested:
            return f"{note} No test: that takes {FEWEST_PAIRS} pairs that do not all differ by the same."
        short = self.tests["pairs"] < FEWEST_PAIRS
        few = f" No test below {FEWEST_PAIRS} pairs." if short.any() else ""
        few += " No test where all pairs differ by the same." if (self.tests["p"].isna() & ~short).any() else ""
        many = f"{tested} test{'s' * (tested > 1)}"
        holm = f"p: paired t-test, two-sided, corrected after Holm for the {many} of this table; bold below 0.05."
        return f"{note} {holm}{few}"


def slug(*parts: str) -> str:
    """A name for a file."""
    kept = ["".join(sign if sign.isalnum() or sign in "_." else "-" for sign in part.lower()) for part in parts if part]
    return "-".join("-".join(filter(None, part.split("-"))) for part in kept)


def compare(
    runs: pd.DataFrame,
    rows: str,
    columns: str,
    metric: str,
    others: pd.DataFrame,
    baseline: str | None,
    named: Sequence[str],
) -> list[Comparison]:
    """A table for every setting and protocol.

    Args:
        runs: as of :func:`lnl.reporting.arrange.arrange`, of the protocols that are wanted.
        rows, columns: what the axes are called.
        metric: a column of numbers.
        others: published numbers to stand beside, as of :func:`published_beside`; may be empty.
        baseline: a row to test against, where a table has it.
        named: the columns of ``runs`` that the names of rows and columns are made of.
    """
    made = []
    for (setting, protocol), members in runs.groupby(["setting", "protocol"], sort=False):
        here = members.assign(
            row=members["row"].cat.remove_unused_categories(), column=members["column"].infer_objects()
        )
        values = pivot(here, "row", "column", metric)
        theirs = others[others["setting"] == setting] if len(others) else others
        base = baseline if baseline in values.mean.index else None
        partial = visits_part(here) & metric.startswith("train/") & (metric != "train/visited")
        visited = shares_visited(here, values.mean, partial)
        # Samples that one method visits and another does not are no pairs.
        tests = against_baseline(here[~partial], base, metric) if base else pd.DataFrame(columns=["row", "p", "pairs"])
        # A published number stands for the last epoch unless it says otherwise.
        theirs = theirs[theirs["protocol"].fillna("last").str.split().str[0] == protocol] if len(theirs) else theirs
        table = theirs.pivot_table(index="row", columns="column", values="value", observed=True, sort=False)
        ran = here.groupby(["row", "column"], observed=False).size().unstack()
        notes = [seeds_note(values, ran), VISITED if partial.any() else "", unnamed(here, named, columns)]
        notes = [*filter(None, notes), *_wrong(here), *_sources(theirs)]
        if protocol == "oracle_best":
            notes.insert(0, "The epoch was selected on the test set: an upper bound, not a result.")
        made.append(
            Comparison(
                str(setting), str(protocol), metric, rows, columns, values, table, visited, tests, base, tuple(notes)
            )
        )
    order = list(PROTOCOLS)
    return sorted(made, key=lambda one: order.index(one.protocol) if one.protocol in order else len(order))


def _wrong(runs: pd.DataFrame) -> list[str]:
    """Rates that are asked for are not rates of wrong labels."""
    note = wrong_note(runs, "column") if runs["column"].equals(runs["rate"]) else ""
    return [note] if note else []


def _sources(others: pd.DataFrame) -> list[str]:
    if others.empty:
        return []
    models = {
        (f"{model}, {epochs:g} epochs" if epochs > 0 else model)
        for model, epochs in zip(others["model"], others["epochs"], strict=True)
    }
    source = "; ".join(sorted(set(others["source"])))
    return [f"Published: {source} ({'; '.join(sorted(models))}); our difference in brackets."]


def published_beside(runs: pd.DataFrame, study: str, metric: str) -> pd.DataFrame:
    """Published numbers that are of the same thing as some of the runs: data, noise, rate, method, loss.

    ``symmetric``, as papers use it, is either convention and stands beside ``uniform`` too. A model that lnl has must
    be the same; one that lnl has no option for is left to the note below the table.

    Returns:
        Rows of :func:`lnl.reporting.results.published` with the ``setting``, ``row`` and ``column`` they stand in.

    Raises:
        UserError: if there is no such study, or none of its numbers is of one of the runs.
    """
    everything = published()
    studies = sorted(set(everything["study"]))
    if study not in studies:
        raise UserError(
            f"against={study}: there is no such study{nearest(study, studies)}\nThere are {', '.join(studies)}."
        )
    theirs = everything[everything["study"] == study]
    theirs = theirs.assign(metric=theirs["metric"].str.replace(r"_(?=[a-z]+$)", "/", regex=True))
    if metric not in set(theirs["metric"]):
        there = ", ".join(sorted(set(theirs["metric"])))
        raise UserError(f"against={study}: it has no {metric}; metric= one of {there}")
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
    """The same option, or, of a model that is none of lnl's, one whose name begins alike: resnet50 from scratch."""
    options = {path.stem for path in (Path(CONF_DIR) / "model").glob("*.yaml")}
    return printed == ours or (printed not in options and (printed.startswith(ours) or ours.startswith(printed)))
