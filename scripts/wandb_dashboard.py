"""Sends the tables and figures of runs to a W&B report: ``python scripts/wandb_dashboard.py outputs/apl_symmetric``.

Tables are those of the run folders. Figures and the list of runs are W&B's own panels, over the runs that it has of
these sweeps (``logger=wandb``; ``wandb sync`` uploads those tracked offline). Without an account the report's
specification goes to a file. Needs ``pip install -e '.[dashboard]'``.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from lnl.errors import install
from lnl.reporting.arrange import column_values, short_names, value_text
from lnl.reporting.results import read_runs
from lnl.reporting.tables import SEEDS, Format, cells, markdown, pivot, seeds_note

PROTOCOLS = {"last": "last epoch", "noisy_val_best": "epoch chosen by noisy validation labels"}
NAMES = ["data", "corruption", "noise", "model", "method", "loss", "callbacks"]
COLUMNS = ["dataset", "noise_kind", "noise_rate", "model_name", "method_name", "loss_name", "seed"]


def told_apart(runs: pd.DataFrame) -> pd.Series:
    """What tells runs of one noise rate apart but their seeds: the fewest of their columns, as text."""
    columns = sorted(map(str, runs))
    values = [name for name in columns if "." in name and name.split(".")[-1] not in ("rate", "seed", "split_seed")]
    chosen: list[str] = []
    for column in NAMES + values:
        groups: Any = runs.groupby(chosen, dropna=False)[column] if chosen else runs[[column]]
        if groups.nunique(dropna=False).max() > 1:
            chosen.append(column)
    short = short_names(chosen)
    rows = [
        [
            f"{value}" if name in NAMES else f"{short[str(name)]} {value_text(str(name), value)}"
            for name, value in row.items()
            if pd.notna(value) and value != ""
        ]
        for row in runs[chosen].to_dict("records")
    ]
    return pd.Series([", ".join(row) or "all runs" for row in rows], index=runs.index)


def tables(runs: pd.DataFrame) -> Iterator[str]:
    """Test accuracy by what was trained and noise rate, for each protocol, as Markdown."""
    for protocol, meaning in PROTOCOLS.items():
        chosen = runs[runs["protocol"] == protocol]
        if len(chosen):
            chosen = chosen.drop_duplicates("identity").assign(label=told_apart(chosen))
            chosen["rate"] = column_values(chosen["rate"])
            values = pivot(chosen, "label", "rate", "test/accuracy")
            table = markdown(cells(values, Format(best="max")), "noise rate")
            yield f"Test accuracy in percent, {meaning}. {seeds_note(values)}\n\n{table}"


def make_report(runs: pd.DataFrame, project: str, entity: str, title: str) -> Any:
    """The W&B report, not yet sent."""
    import wandb_workspaces.reports.v2 as wr

    def runset(*groupby: str) -> Any:
        return wr.Runset(
            name=", ".join(sweeps),
            filters=f"Group in {sweeps}",
            groupby=[f"config.{name}" for name in groupby],
            pinned_columns=["run:displayName", *(f"config:{name}.value" for name in COLUMNS)],
            visible_columns=[f"summary:{protocol}/test_accuracy" for protocol in PROTOCOLS],
            lock_columns=True,
        )

    def curve(metric: str, title: str) -> Any:
        over_seeds: dict[str, Any] = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
        return wr.LinePlot(title=title, x="epoch", y=[metric], title_x="epoch", **over_seeds)

    def against_rate(protocol: str, meaning: str) -> Any:
        accuracy = wr.SummaryMetric(f"{protocol}/test_accuracy")
        return wr.ScatterPlot(title=f"test accuracy, {meaning}", x=wr.Config("noise_rate"), y=accuracy)

    cell = ("method_name", "loss_name", "noise_rate")  # what is a line or a point, over its seeds
    sweeps = sorted(runs["sweep"].unique())
    count, seeds = runs["identity"].nunique(), len(runs[SEEDS].drop_duplicates())
    blocks = [
        wr.P(f"{count} runs of {', '.join(sweeps)}, {seeds} {'seed' if seeds == 1 else 'seeds'}."),
        wr.H2("Test accuracy"),
        *(wr.MarkdownBlock(text=table) for table in tables(runs)),
        wr.H2("Accuracy against noise rate"),
        wr.PanelGrid(runsets=[runset(*cell)], panels=[against_rate(*protocol) for protocol in PROTOCOLS.items()]),
        wr.H2("Memorisation"),
        wr.PanelGrid(
            runsets=[runset(*cell)],
            panels=[
                curve("train/memorised", "share of wrong labels that are fitted"),
                curve("train/accuracy_correct", "share of right labels that are fitted"),
                curve("train/accuracy_wrong", "share of wrongly labelled samples predicted as their true class"),
                curve("val/loss", "validation loss, noisy labels"),
            ],
        ),
        wr.H2("Runs"),
        wr.PanelGrid(runsets=[runset()], panels=[wr.RunComparer(diff_only=True)]),
    ]
    return wr.Report(project=project, entity=entity, title=title, blocks=blocks)


def specification(report: Any) -> str:
    """What W&B would be sent, as JSON."""
    return str(report._to_model().model_dump_json(by_alias=True, exclude_none=True, indent=2))  # save() sends this


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders with runs")
    parser.add_argument("--project", default="lnl", help="of the runs and the report (default: lnl)")
    parser.add_argument("--entity", help="user or team (default: yours)")
    parser.add_argument("--title", help="of the report (default: the sweeps)")
    parser.add_argument("--file", type=Path, help="write the specification there, and send nothing")
    arguments = parser.parse_args()
    runs = read_runs(arguments.runs)
    if runs.empty:
        sys.exit(f"error: no finished run is in {', '.join(map(str, arguments.runs))}: there is no result.json")
    title = arguments.title or ", ".join(sorted(runs["sweep"].unique()))
    try:
        import wandb_workspaces  # noqa: F401
    except ImportError:
        sys.exit(f"error: the package wandb-workspaces is missing: {install('dashboard')}")
    import wandb

    reason, entity = "", arguments.entity or ""
    if not arguments.file:
        try:
            entity = entity or wandb.Api().default_entity or ""
            report = make_report(runs, arguments.project, entity, title).save()
            print(report.url)
            return
        except (wandb.Error, OSError) as error:
            reason = f"W&B was sent nothing: {str(error).splitlines()[0]}\n"
    path = arguments.file or Path("outputs/reports") / title.replace(", ", "-") / "wandb.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(specification(make_report(runs, arguments.project, entity, title)) + "\n")
    print(f"{reason}The report's specification is in {path}")


if __name__ == "__main__":
    main()
