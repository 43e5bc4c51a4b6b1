"""The blocks of docs/methods.md: the bench of all methods and of the best losses. Its runs are kept in methods.csv."""

from collections.abc import Callable

import pandas as pd

from lnl.reporting.arrange import share_text, visits_part
from lnl.reporting.tables import MARKDOWN, Format, cells, markdown, pivot, seeds_note, shown, written
from studies.common import BEST, WORST, Blocks, Missing, Study, machine, summary

EPOCHS, TIME = "methods_bench", "methods_equal_time"  # sweeps
TRUSTED = ("label_correction", "glc", "mw_net", "l2rw", "mlc")
NOISE = {"symmetric": ("symmetric", 0.4), "asymmetric": ("asymmetric", 0.4), "worse": ("human worse", None)}
COLUMNS = {"last epoch %": "test/accuracy", "noisy val best %": "best", "memorised %": "train/memorised"}
FORMATS = {"epochs": Format(1, 0, spread=False), "last epoch %": BEST, "noisy val best %": BEST, "memorised %": WORST}
# What methods.csv has of a run, and of these what tells it from others.
RUN = ["sweep", "row", "noise", "rate", "epochs", "seed", "noise_seed", "split_seed"]
KEPT = ["method", "loss", "noise_sha256", "actual_rate", "test/accuracy", "val/accuracy"]
KEPT += ["train/memorised", "train/visited", "best", "best_val", "best_epoch", "fit_seconds"]
KEPT += ["device_name", "precision", "variant"]


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


def of(study: Study, sweep: str, *names: str) -> pd.DataFrame:
    """The runs of a sweep with these kinds of noise, whose name is in ``kind``."""
    runs, parts = kept_runs(study), []
    runs = runs[runs["sweep"] == sweep]
    for name in names:
        kind, rate = NOISE[name]
        chosen = (runs["noise"] == kind) & (True if rate is None else runs["rate"] == rate)
        parts.append(runs[chosen].assign(kind=name))
        if parts[-1].empty:
            raise Missing(f"there are no runs of {sweep} with {kind} noise")
    return pd.concat(parts)


def ordered(runs: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    """The runs with ``row`` as a category, in the order of the values, largest first."""
    order = values.sort_values(ascending=False).index
    return runs.assign(row=pd.Categorical(runs["row"], list(order), ordered=True))


def ranking(study: Study) -> str:
    """The last epoch's accuracy by noise, rows by the mean over the kinds."""
    runs = of(study, EPOCHS, *NOISE)
    table = runs.groupby(["row", "kind"])["test/accuracy"].mean().unstack()
    whole = table.dropna().index
    runs = ordered(runs[runs["row"].isin(whole)], table.loc[whole].mean(axis=1))
    runs["kind"] = pd.Categorical(runs["kind"], list(NOISE), ordered=True)
    ours = pivot(runs, "row", "kind", "test/accuracy")
    least = runs.groupby("row", observed=True)["fit_seconds"].min()  # of runs beside others the one that waited least
    more = {
        "mean": [f"{100 * mean:.1f}" for mean in ours.mean.mean(axis=1)],
        "time": [f"{seconds / least['loss=ce']:.1f}" for seconds in least[ours.mean.index]],
    }
    return f"{markdown(cells(ours, BEST).assign(**more), 'last epoch %')}\n\n{seeds_note(ours)} {machine(runs)}"


def bench(sweep: str, name: str, columns: dict[str, str] = COLUMNS) -> Callable[[Study], str]:
    """Accuracies and what is memorised, best first."""

    def block(study: Study) -> str:
        runs = of(study, sweep, name)
        runs = ordered(runs, runs.groupby("row")["test/accuracy"].mean())
        ours = summary(runs, "row", columns)
        remarks = pd.DataFrame("", index=ours.mean.index, columns=ours.mean.columns)
        for row, group in runs[visits_part(runs)].groupby("row", observed=True):
            remarks.loc[row, "memorised %"] = f"of {share_text(group['train/visited'])}"
        table = written(shown(ours, FORMATS, remarks=remarks), ours.mean.columns, MARKDOWN)
        return f"{markdown(table, name)}\n\n{seeds_note(ours)} {machine(runs)}"

    return block


BLOCKS: Blocks = {
    "ranking": ranking,
    **{name: bench(EPOCHS, name) for name in NOISE},
    "equal_time": bench(TIME, "symmetric", {"epochs": "epochs", **COLUMNS}),
}
