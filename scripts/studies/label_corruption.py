"""The blocks of docs/studies/label_corruption.md."""

from itertools import product

import pandas as pd

from lnl.reporting import figures
from lnl.reporting.tables import MISSING, Format, cells, markdown, pivot, seeds_note
from studies.common import WORST, Blocks, Study, curves, epochs_until, machine, summary


def errors(runs: pd.DataFrame) -> pd.DataFrame:
    """Error in place of accuracy: of the test set, of the training labels as given, and the gap between them."""
    test, train = 1 - runs["test/accuracy"], 1 - runs["train/accuracy"]
    return runs.assign(**{"test/error": test, "train/error": train, "gap": test - train})


def corruption_errors(study: Study) -> str:
    runs = errors(study.runs("rethinking_corruption"))
    ours = pivot(runs, "model", "rate", "test/error")
    return f"{markdown(cells(ours, WORST), 'test error %')}\n\n{seeds_note(ours)} {machine(runs)}"


def corruption_fit(study: Study) -> str:
    runs = fitted(study)
    parts = [("epochs to fit", "epochs_to_fit", Format(1, 0))]
    note = "Epochs until every training label is predicted"
    if runs["train/error"].max() > 0:
        parts += [("train error %", "train/error", Format()), ("test - train error", "gap", Format())]
        note += f"; {MISSING} where that was not reached."
    else:
        note += ". All runs reached it: their training error is 0, and the generalisation gap is the test error."
    tables = [markdown(cells(pivot(runs, "model", "rate", metric), form), name) for name, metric, form in parts]
    return "\n\n".join([*tables, note])


def fitted(study: Study) -> pd.DataFrame:
    runs = errors(study.runs("rethinking_corruption"))
    return runs.assign(epochs_to_fit=[epochs_until(path, "train/accuracy", 1.0) for path in runs["path"]])


def corruption_regularisers(study: Study) -> str:
    """Each regulariser off and on, over all settings of the others; then none and all of them."""
    runs = errors(study.runs("rethinking_regularisers"))
    on = pd.DataFrame(
        {
            "weight decay": runs["optimizer.weight_decay"] > 0,
            "dropout": runs["model.dropout"] > 0,
            "augmentation": runs["augment.crop_flip._target_"].notna(),
            "batch norm": runs["model.batch_norm"].astype(bool),
        }
    )
    each, columns = [], {}
    for split, state, name in product(("train", "test"), ("off", "on"), on.columns):
        column = f"{split} error, {state}"
        columns[column] = column
        each.append(runs.assign(label=str(name), **{column: runs[f"{split}/error"].where(on[name] == (state == "on"))}))
    effects = summary(pd.concat(each), "label", {to: to for to in columns}, "runs")
    together = on.sum(axis=1).map({0: "none of the four", len(on.columns): "all four"})
    metrics = {"train error": "train/error", "test error": "test/error", "gap": "gap"}
    ends = summary(runs.assign(label=together), "label", metrics)
    return f"{markdown(cells(effects), '%')}\n\n{seeds_note(effects)}\n\n{markdown(cells(ends), '%')}"


RANDOMISATIONS = ["true labels", "shuffled pixels", "random pixels", "gaussian", "random labels"]


def randomisation(row: pd.Series) -> str:
    if row["corruption"] != "none":
        return str(row["corruption"]).replace("_", " ")
    return "random labels" if row["rate"] >= 1 else "true labels"


def corruption_figure_a(study: Study) -> str:
    runs = study.runs("rethinking_randomisation")
    figure, (axes,) = figures.panels()
    kinds = pd.Categorical(runs.apply(randomisation, axis=1), RANDOMISATIONS, ordered=True)
    curves(axes, runs.assign(kind=kinds), "kind", "train/loss")
    axes.set_ylabel("training loss")
    axes.legend()
    return study.picture(figure, "Training loss by epoch for each kind of randomisation")


def corruption_figure_b(study: Study) -> str:
    figure, (axes,) = figures.panels()
    figures.against(axes, pivot(fitted(study), "model", "rate", "epochs_to_fit"), scale=1)
    axes.set(xlabel="label corruption", ylabel="epochs until all training labels are fitted", ylim=(0, None))
    axes.legend()
    return study.picture(figure, "Epochs needed to fit the training labels against label corruption")


def corruption_figure_c(study: Study) -> str:
    runs = errors(study.runs("rethinking_corruption"))
    figure, (left, right) = figures.panels(2)
    figures.against(left, pivot(runs, "model", "rate", "test/error"))
    figures.against(right, pivot(runs, "model", "rate", "train/error"))
    left.set(xlabel="label corruption", ylabel="test error, %", ylim=(-2, 102))
    right.set(xlabel="label corruption", ylabel="training error, %", ylim=(-2, 102))
    left.legend(fontsize=8)
    return study.picture(figure, "Test and training error against label corruption")


BLOCKS: Blocks = {
    "test_error_table": corruption_errors,
    "fit_table": corruption_fit,
    "regularisers": corruption_regularisers,
    "figure_1a": corruption_figure_a,
    "figure_1b": corruption_figure_b,
    "figure_1c": corruption_figure_c,
}
