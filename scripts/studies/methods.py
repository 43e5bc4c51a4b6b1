"""The blocks of docs/methods.md: the bench of all methods and of the best losses. Its runs are kept in methods.csv."""

from collections.abc import Callable

import pandas as pd

from lnl.reporting.tables import cells, markdown, seeds_note
from studies.common import BEST, WORST, Blocks, Missing, Study, machine, summary

EPOCHS, TIME = "methods_bench", "methods_equal_time"  # sweeps
TRUSTED = ("label_correction", "glc", "mw_net", "l2rw", "mlc")
NOISE = {"symmetric": ("symmetric", 0.4), "asymmetric": ("asymmetric", 0.4), "worse": ("human worse", None)}
COLUMNS = {"last epoch %": "test/accuracy", "noisy val best %": "best", "memorised %": "train/memorised"}
FORMATS = {"last epoch %": BEST, "noisy val best %": BEST, "memorised %": WORST}
# What methods.csv has of a run, and of these what tells it from others.
RUN = ["sweep", "row", "noise", "rate", "epochs", "seed", "noise_seed", "split_seed"]
KEPT = ["method", "loss", "noise_sha256", "actual_rate", "test/accuracy", "val/accuracy", "train/memorised"]
KEPT += ["best", "best_val", "best_epoch", "fit_seconds", "device_name", "precision", "variant"]


def row_of(run: pd.Series) -> str:
    """The option that a row is named by: the loss of the baseline, else the method."""
    if run["method"] == "baseline":
        return f"loss={run['loss']}"
    return f"{run['method']}{' (trusted)' if run['method'] in TRUSTED else ''}"


def kept_runs(study: Study) -> pd.DataFrame:
    """The bench's runs, a row each: those of ``methods.csv`` beside the page, where the study's replace their like."""
    path = study.folder.parents[1] / "methods.csv"
    parts = [pd.read_csv(path)] if path.exists() else []
    if len(study.all):
        runs = study.all[study.all["sweep"].isin([EPOCHS, TIME])]
        best = runs[runs["protocol"] == "noisy_val_best"].set_index("path")
        runs = runs[runs["protocol"] == "last"]
        chosen = {"best": "test/accuracy", "best_epoch": "epoch", "best_val": "val/accuracy"}
        runs = runs.assign(**{name: runs["path"].map(best[column]) for name, column in chosen.items()})
        parts.append(runs.assign(row=runs.apply(row_of, axis=1)))
    if not any(map(len, parts)):
        raise Missing(f"there are no runs of {EPOCHS}")
    every = pd.concat(parts)[RUN + KEPT].drop_duplicates(RUN, keep="last").sort_values(RUN)
    every = every.assign(**{name: every[name].str[:12] for name in ("noise_sha256", "variant")})  # hashes
    every.to_csv(path, index=False, float_format="%.6g")
    return every


def of(study: Study, sweep: str, name: str) -> pd.DataFrame:
    """The runs of a sweep with one noise."""
    kind, rate = NOISE[name]
    runs = kept_runs(study)
    runs = runs[(runs["sweep"] == sweep) & (runs["noise"] == kind) & (True if rate is None else runs["rate"] == rate)]
    if runs.empty:
        raise Missing(f"there are no runs of {sweep} with {kind} noise")
    return runs


def ordered(runs: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    """The runs with ``row`` as a category, in the order of the values, largest first."""
    order = values.sort_values(ascending=False).index
    return runs.assign(row=pd.Categorical(runs["row"], list(order), ordered=True))


def bench(sweep: str, name: str) -> Callable[[Study], str]:
    """Accuracies and what is memorised, best first."""

    def block(study: Study) -> str:
        runs = of(study, sweep, name)
        runs = ordered(runs, runs.groupby("row")["test/accuracy"].mean())
        ours = summary(runs, "row", COLUMNS)
        return f"{markdown(cells(ours, FORMATS), name)}\n\n{seeds_note(ours)} {machine(runs)}"

    return block


BLOCKS: Blocks = {name: bench(EPOCHS, name) for name in NOISE}
