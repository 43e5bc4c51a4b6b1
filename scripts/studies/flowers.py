"""The blocks of docs/studies/flowers.md."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from PIL import Image

from lnl.reporting import figures
from lnl.reporting.published import published
from lnl.reporting.tables import Format, cells, markdown, pivot, seeds_note
from studies.common import BEST, Blocks, Missing, Study, cost, named

SHOWN = (0.1, 0.5, 0.9)
PRETRAINED = {"CE": {"loss": "ce"}, "L1": {"loss": "l1"}}
FLOWERS = {"control": {"sweep": "flowers_control"}, "CE": {"sweep": "flowers_corrupted"}, "L1": {"sweep": "flowers_l1"}}


def flower_runs(study: Study, data: str) -> pd.DataFrame:
    return named(study.runs(*(values["sweep"] for values in FLOWERS.values()), data=data), FLOWERS)


def flowers_two(study: Study) -> str:
    runs = flower_runs(study, "tf_flowers_sunflower")
    ours = pivot(runs, "label", "rate", "test/accuracy")
    others = published("flowers")
    label = others["table"].map({"control": "control", "corrupted": "CE", "l1": "L1"})
    theirs = others.assign(label=label).pivot(index="label", columns="rate", values="value")
    accuracy = markdown(cells(ours, BEST, others=theirs), "two classes, test %")
    return f"{accuracy}\n\n{macro_f1(runs)}\n\n{seeds_note(ours)}"


def macro_f1(runs: pd.DataFrame) -> str:
    """Which an answer that is always the same does not make high."""
    return markdown(cells(pivot(runs, "label", "rate", "test/macro_f1"), Format(1, 2, "max")), "macro F1")


def flowers_five(study: Study) -> str:
    ours = pivot(flower_runs(study, "tf_flowers"), "label", "rate", "test/accuracy")
    return f"{markdown(cells(ours, BEST), 'five classes, test %')}\n\n{seeds_note(ours)}"


def flowers_pretrained(data: str, classes: str) -> Callable[[Study], str]:
    """Rate 0 is the control."""

    def block(study: Study) -> str:
        runs = named(study.runs("flowers_pretrained", data=data), PRETRAINED)
        ours = pivot(runs, "label", "rate", "test/accuracy")
        accuracy = markdown(cells(ours, BEST), f"pretrained, {classes} classes, test %")
        return f"{accuracy}\n\n{macro_f1(runs)}\n\n{seeds_note(ours)}"

    return block


def flowers_literal(study: Study) -> str:
    runs = study.runs("flowers_literal").assign(label="CE, five outputs")
    ours = pivot(runs, "label", "rate", "test/accuracy")
    accuracy = markdown(cells(ours), "labels redrawn from 0-4, test %")
    return f"{accuracy}\n\n{macro_f1(runs)}\n\n{seeds_note(ours)}"


def flowers_figure(study: Study) -> str:
    if study.runs("flowers_corrupted")["rate"].nunique() < 2:
        raise Missing("a line takes runs at two corruption levels")
    figure, axes = figures.panels(2)
    for one, (data, title) in zip(
        axes, {"tf_flowers_sunflower": "two classes", "tf_flowers": "five classes"}.items(), strict=True
    ):
        figures.against(one, pivot(flower_runs(study, data), "label", "rate", "test/accuracy"))
        one.set(title=title, xlabel="labels redrawn (uniform)", ylabel="test accuracy, %", ylim=(0, 100))
    axes[0].legend()
    return study.picture(figure, "Test accuracy against label corruption, cross entropy and L1")


def flowers_contact_sheet(study: Study) -> str:
    """The sheets that runs at low, medium and high corruption left in their folders, small enough for a page."""
    runs = study.runs("flowers_corrupted", data="tf_flowers_sunflower")
    sheets = {
        rate: Path(path) / "figures/labels.png"
        for rate, path in runs.drop_duplicates("rate").set_index("rate")["path"].items()
        if rate in SHOWN and (Path(path) / "figures/labels.png").exists()
    }
    if not sheets:
        raise Missing("no run has figures/labels.png")
    shown = []
    for rate in sorted(sheets):
        copy = study.folder / f"{study.name}_{rate:g}.jpg"  # photographs: a PNG of them is ten times the size
        copy.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(sheets[rate]) as sheet:
            sheet.thumbnail((900, 1200))
            sheet.convert("RGB").save(copy, quality=60, optimize=True)
        shown.append(f"![Training images, labels redrawn at {rate:g}](figures/{study.folder.name}/{copy.name})")
    return "\n\n".join(shown)


def flowers_time(study: Study) -> str:
    runs = study.runs(*(values["sweep"] for values in FLOWERS.values()))
    return cost(runs.assign(label=runs["data"] + ", " + runs["model"]), {}, "data, model")


BLOCKS: Blocks = {
    "corrupted_vs_l1": flowers_two,
    "five_classes": flowers_five,
    "pretrained_two": flowers_pretrained("tf_flowers_sunflower", "two"),
    "pretrained_five": flowers_pretrained("tf_flowers", "five"),
    "literal": flowers_literal,
    "figure": flowers_figure,
    "contact_sheet": flowers_contact_sheet,
    "time": flowers_time,
}
