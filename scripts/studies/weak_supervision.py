"""The blocks of docs/studies/weak_supervision.md."""

import json
from pathlib import Path

import pandas as pd

from lnl.reporting.published import published
from lnl.reporting.tables import MISSING, markdown
from studies.common import Blocks, Study, cost, named, with_columns

MODELS = {
    "Baseline: histograms": {"sweep": "weak_supervision", "model": "histogram_logistic"},
    "Model I: CNN on noisy labels": {"sweep": "weak_supervision", "model": "cnn_dropout"},
    "Model II: label correction": {"sweep": "weak_supervision", "model": "mobilenet_v2"},
    "Best: label correction": {"sweep": "weak_supervision_best"},
}
PRETRAINED = {
    "Model II: label correction": {"sweep": "weak_supervision_pretrained"},
    "Best: label correction": {"sweep": "weak_supervision_pretrained_best"},
}
ACCURACIES = {"trusted test %": "trusted_test/accuracy", "CIFAR-10 test %": "test/accuracy"}


def models(study: Study) -> str:
    runs = with_columns(study.runs("weak_supervision", "weak_supervision_best"), "trusted_test/accuracy")
    theirs = published("weak_supervision")
    theirs = theirs[theirs["metric"].str.contains("accuracy")]
    shown = ", ".join(f"{row['table']} {row['value']:g} ({row['metric']})" for row in theirs.to_dict("records"))
    return f"{cost(named(runs, MODELS), ACCURACIES, '')}\n\nPublished, in %: {shown}."


def pretrained(study: Study) -> str:
    runs = with_columns(study.runs(*(values["sweep"] for values in PRETRAINED.values())), "trusted_test/accuracy")
    timed = named(runs, PRETRAINED).drop(columns="seconds_per_image")  # of features that were kept
    return cost(timed, ACCURACIES, "pretrained")


def corrections(study: Study) -> str:
    runs = with_columns(study.runs("weak_supervision", "weak_supervision_best", method="label_correction"), "path")
    return correction_table(named(runs, MODELS))


def pretrained_corrections(study: Study) -> str:
    runs = study.runs(*(values["sweep"] for values in PRETRAINED.values()), seed=0)
    return f"{correction_table(named(runs, PRETRAINED))}\n\nSeed 0."


def correction_table(runs: pd.DataFrame) -> str:
    """A row for each run and round, by the column ``label``."""
    rows = []
    for run in runs.to_dict("records"):
        result = json.loads((Path(run["path"]) / "result.json").read_text())
        for done in result["corrections"]:
            before = result["protocol"][f"stage{done['round']}"]
            kept, changed, candidates = (f"{done[name]:,}" for name in ("kept", "changed", "candidates"))
            shares = [done["kept_accuracy"], done["precision"], done["recall"], *(before[s]["accuracy"] for s in TESTS)]
            rows.append([run["label"], f"{kept} of {candidates}", changed, *(percent(share) for share in shares)])
    columns = [
        "kept",
        "changed",
        "kept that are right %",
        "precision %",
        "recall %",
        "stage 1: trusted test %",
        "test %",
    ]
    table = pd.DataFrame([row[1:] for row in rows], index=[row[0] for row in rows], columns=columns)
    return markdown(table)


def percent(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.1f}"


TESTS = ("trusted_test", "test")
BLOCKS: Blocks = {
    "models": models,
    "corrections": corrections,
    "pretrained": pretrained,
    "pretrained_corrections": pretrained_corrections,
}
