"""The blocks of docs/methods.md: the bench of all methods and of the best losses."""

from collections.abc import Callable

import pandas as pd

from lnl.reporting.tables import Format, cells, markdown, seeds_note
from studies.common import BEST, Blocks, Missing, Study, machine, summary

SWEEP = "methods_bench"
TRUSTED = ("label_correction", "glc", "mw_net", "l2rw", "mlc")
NOISE = {"symmetric": ("symmetric", 0.4), "asymmetric": ("asymmetric", 0.4), "worse": ("human worse", None)}
COLUMNS = {"last epoch %": "test/accuracy", "noisy val best %": "best", "memorised %": "train/memorised"}


def row_of(run: pd.Series) -> str:
    """The option that a row is named by: the loss of the baseline, else the method."""
    if run["method"] == "baseline":
        return f"loss={run['loss']}"
    return f"{run['method']}{' (trusted)' if run['method'] in TRUSTED else ''}"


def bench(name: str) -> Callable[[Study], str]:
    """Accuracies and what is memorised, best first."""
    kind, rate = NOISE[name]

    def block(study: Study) -> str:
        runs = study.runs(SWEEP, noise=kind)
        runs = runs[runs["rate"] == rate] if rate is not None else runs
        if runs.empty:
            raise Missing(f"there are no runs of {SWEEP} with {kind} noise")
        best = study.all[study.all["protocol"] == "noisy_val_best"].set_index("path")["test/accuracy"]
        runs = runs.assign(best=runs["path"].map(best), row=runs.apply(row_of, axis=1))
        order = runs.groupby("row")["test/accuracy"].mean().sort_values(ascending=False).index
        runs["row"] = pd.Categorical(runs["row"], list(order), ordered=True)
        ours = summary(runs, "row", COLUMNS)
        formats = {"last epoch %": BEST, "noisy val best %": BEST, "memorised %": Format(best="min")}
        return f"{markdown(cells(ours, formats), name)}\n\n{seeds_note(ours)} {machine(runs)}"

    return block


BLOCKS: Blocks = {name: bench(name) for name in NOISE}
