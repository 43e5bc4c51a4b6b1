"""The blocks of docs/studies/apl.md."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from lnl.reporting import figures
from lnl.reporting.published import published
from lnl.reporting.significance import wrong_note
from lnl.reporting.tables import Format, cells, markdown, pivot, seeds_note
from studies.common import BEST, MILLISECONDS, SECONDS, Blocks, Study, curves, machine, named, summary, with_columns

METHODS: dict[str, dict[str, Any]] = {
    "CE": {"method": "baseline", "loss": "ce"},
    "Dynamic weight": {"method": "dynamic_weight", "loss": "ce"},
    "APL (NCE+RCE)": {"method": "apl", "loss": "apl_nce_rce"},
    "APL (NFL+RCE)": {"method": "apl", "loss": "apl_nfl_rce"},
}
SHOWN_RATE = 0.3  # in the figure of accuracy against time
KINDS = {"symmetric": "apl_symmetric", "asymmetric": "apl_asymmetric"}
SHOWN = {"symmetric": "uniform (the paper's symmetric)", "asymmetric": "asymmetric"}  # the noise as lnl calls it


def by_rate(runs: pd.DataFrame, others: pd.DataFrame, metric: str, corner: str) -> str:
    """Methods by noise rate, beside published numbers."""
    ours = pivot(named(runs, METHODS), "label", "rate", metric)
    theirs = named(others, METHODS).pivot_table(index="label", columns="rate", values="value", observed=True)
    return f"{markdown(cells(ours, BEST, others=theirs), corner)}\n\n{seeds_note(ours)} {wrong_note(runs, 'rate')}"


def apl_table(kind: str) -> Callable[[Study], str]:
    others = published("apl_dynamic_weight", noise=kind, metric="test_accuracy")
    return lambda study: by_rate(study.runs(KINDS[kind]), others, "test/accuracy", f"{SHOWN[kind]}, test %")


def apl_thresholds(study: Study) -> str:
    columns = {"train loss": "train/loss", "train %": "train/accuracy", "val loss": "val/loss", "val %": "val/accuracy"}
    losses = {"train loss": Format(1, 2, "min"), "val loss": Format(1, 2, "min")}
    accuracies = {"train %": BEST, "val %": BEST}
    ours = summary(study.runs("dynamic_weight_threshold"), "method.threshold", columns)
    others = published("apl_dynamic_weight", table="1")
    theirs = others.assign(
        row=others["method"].str.extract(r"=([\d.]+)")[0].astype(float),
        column=others["metric"].str.replace("_", "/").map({value: key for key, value in columns.items()}),
    ).pivot(index="row", columns="column", values="value")
    return f"{markdown(cells(ours, losses | accuracies, others=theirs), 'threshold')}\n\n{seeds_note(ours)}"


def apl_on_mnist(study: Study) -> str:
    parts = []
    for kind, sweep in KINDS.items():
        runs = with_columns(study.runs(sweep), "mnist/accuracy")
        others = published("apl_dynamic_weight", table="2", noise=kind)
        parts.append(by_rate(runs, others, "mnist/accuracy", f"{SHOWN[kind]}, MNIST %"))
    return "\n\n".join(parts)


def apl_alpha_beta(study: Study) -> str:
    runs = study.runs("apl_alpha_beta")
    pairs = runs["loss.alpha"].map("({:g}, ".format) + runs["loss.beta"].map("{:g})".format)
    columns = {"val %": "val/accuracy", "test %": "test/accuracy"}
    ours = summary(runs.assign(pair=pairs), "pair", columns)
    return f"{markdown(cells(ours, {'val %': BEST}), 'alpha, beta')}\n\n{seeds_note(ours)}"


def apl_trained_on_mnist(study: Study) -> str:
    parts = []
    for kind, runs in study.runs("apl_mnist").groupby("noise"):
        ours = pivot(named(runs, METHODS), "label", "rate", "test/accuracy")
        parts.append(f"{markdown(cells(ours, BEST), f'{kind}, test %')}\n\n{seeds_note(ours)}")
    return "\n\n".join(parts)


def apl_time(study: Study) -> str:
    runs = named(study.runs("apl_symmetric"), METHODS)
    timed = {
        "training s": "fit_seconds",
        "s an epoch": "seconds_per_epoch",
        "inference ms an image": "seconds_per_image",
    }
    formats = {"training s": SECONDS, "s an epoch": Format(1, 2), "inference ms an image": MILLISECONDS}
    table = cells(summary(runs, "label", timed, "runs"), formats)
    accuracy = cells(pivot(runs, "label", "rate", "test/accuracy"), BEST)
    accuracy.columns = pd.Index([f"test % at {rate:g}" for rate in accuracy.columns])
    note = f"Times: mean ± standard deviation over all noise rates and seeds. {machine(runs)}"
    figure, (axes,) = figures.panels()
    figures.scatter(axes, runs[runs["rate"] == SHOWN_RATE], "label", "fit_seconds", "test/accuracy")
    axes.set(xlabel="training time, s", ylabel=f"test accuracy at uniform {SHOWN_RATE:g}, %")
    axes.legend()
    picture = study.picture(figure, "Test accuracy against training time, a point for each seed")
    return f"{markdown(table.join(accuracy), 'uniform')}\n\n{note}\n\n{picture}"


def apl_epochs(kind: str) -> Callable[[Study], str]:
    def block(study: Study) -> str:
        runs = named(study.runs(KINDS[kind]), {"CE": METHODS["CE"]})
        figure, (left, right) = figures.panels(2)
        curves(left, runs, "rate", "val/loss")
        curves(right, runs, "rate", "train/accuracy", scale=100)
        left.set_ylabel("validation loss (noisy labels)")
        right.set_ylabel("training accuracy (noisy labels), %")
        right.legend(title="noise rate", fontsize=8)
        return study.picture(
            figure, f"Cross entropy, {SHOWN[kind]} noise: validation loss and training accuracy by epoch"
        )

    return block


def apl_weights(kind: str) -> Callable[[Study], str]:
    def block(study: Study) -> str:
        two = {name: METHODS[name] for name in ("CE", "Dynamic weight")}
        figure, (axes,) = figures.panels()
        figures.against(axes, pivot(named(study.runs(KINDS[kind]), two), "label", "rate", "test/accuracy"))
        axes.set(xlabel=f"{SHOWN[kind]} noise rate", ylabel="test accuracy, %")
        axes.legend()
        return study.picture(figure, f"Test accuracy against {SHOWN[kind]} noise: cross entropy and dynamic weights")

    return block


BLOCKS: Blocks = {
    "table_1": apl_thresholds,
    "table_2": apl_on_mnist,
    "table_3": apl_table("symmetric"),
    "table_4": apl_table("asymmetric"),
    "mnist": apl_trained_on_mnist,
    "alpha_beta": apl_alpha_beta,
    "time": apl_time,
    "figure_2": apl_epochs("symmetric"),
    "figure_3": apl_epochs("asymmetric"),
    "figure_4": apl_weights("symmetric"),
    "figure_5": apl_weights("asymmetric"),
}
