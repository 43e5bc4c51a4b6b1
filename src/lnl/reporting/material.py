"""What a report is made of: what is asked for, and the runs that are read for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lnl.errors import UserError, nearest
from lnl.reporting.arrange import arrange, check_column
from lnl.reporting.comparison import ORACLE, Comparison, compare, metrics_of
from lnl.reporting.published import published_beside
from lnl.reporting.results import read_folders, read_metrics
from lnl.reporting.series import Setting
from lnl.reporting.significance import copies
from lnl.runs.find import find_others, find_runs, named_folders
from lnl.runs.folder import RunFolder

SEED_AND_DRAW = ["seed"], ["noise_seed"], ["seed", "noise_seed"]


@dataclass(frozen=True)
class Options:
    """What is asked for, as of ``conf/report.yaml``."""

    runs: str | Sequence[str] | None
    name: str | None
    output_dir: str
    rows: str | Sequence[str]
    columns: str
    metric: str | Sequence[str]
    protocol: str | Sequence[str]
    oracle: bool
    baseline: str | None
    against: str | None
    names: Mapping[str, str] | None
    tables: Sequence[str]
    figures: Sequence[str]
    page: bool


@dataclass(frozen=True)
class Material:
    """All that the tables, figures and the page of a report are made of.

    Attributes:
        name: of the report.
        runs: as of :func:`lnl.reporting.arrange.arrange`, of the protocols that were asked for; ``repeated`` marks runs
            that count once with another run of their cell.
        rows, columns, metrics: what was asked for, as it is shown.
        tables: a table for each metric, setting and protocol.
        settings: the numbers of the figures, for each setting.
        skipped: folders that are left out, with the reason.
    """

    name: str
    runs: pd.DataFrame
    rows: str
    columns: str
    metrics: list[str]
    tables: list[Comparison]
    settings: list[Setting]
    skipped: dict[Path, str]

    @property
    def single(self) -> pd.DataFrame:
        """Each run once."""
        return self.runs.drop_duplicates("path")

    @property
    def order(self) -> list[str]:
        """The rows, in the order that gives them their colours."""
        return [str(row) for row in self.runs["row"].cat.categories]

    @property
    def epochs(self) -> pd.DataFrame:
        """``metrics.csv`` of all runs, one row for each epoch."""
        return pd.concat([setting.epochs for setting in self.settings])

    @property
    def numbers(self) -> dict[str, int]:
        """The place of each row in :attr:`order`."""
        return {row: number for number, row in enumerate(self.order)}


def gather(options: Options) -> Material:
    """Reads and arranges the runs.

    Raises:
        UserError: as :func:`write_report`.
    """
    given = named_folders(options.runs)
    name = _name(options.name, given)
    runs, skipped = read_folders(find_runs(given))
    skipped |= find_others(given, Path(options.output_dir))
    if runs.empty:
        first = "".join(f"\n{folder}: {reason}" for folder, reason in list(skipped.items())[:1])
        raise UserError(f"there is no finished run in {', '.join(map(str, given))}{first}")
    runs = _with_errors(runs.drop_duplicates(["identity", "protocol"], ignore_index=True))
    runs = _of_protocols(runs, _listed("protocol", options.protocol), options.oracle)
    rows = _listed("rows", options.rows)
    runs = arrange(runs, rows, options.columns, options.names)
    runs = runs.assign(repeated=copies(runs, ["protocol", "setting", "row", "column"]))
    metrics = _listed("metric", options.metric)
    for metric in metrics:
        check_column(runs, "metric", metric, metrics_of(runs))
    order = [str(row) for row in runs["row"].cat.categories]
    baseline = _baseline(options.baseline, order, runs)
    shown_rows = ", ".join(rows) if rows != ["method", "loss"] else "method"
    named = [*rows, options.columns, "callbacks"]
    tables = []
    for metric in metrics:
        others = published_beside(runs, options.against, metric) if options.against else None
        tables += compare(runs, shown_rows, options.columns, metric, others, baseline, named)
    epochs = _epochs(runs, skipped)
    settings = [
        Setting(str(setting), members, epochs[epochs["setting"] == setting], metrics_of(runs))
        for setting, members in runs.groupby("setting", sort=False)
    ]
    return Material(name, runs, shown_rows, options.columns, metrics, tables, settings, skipped)


def _epochs(runs: pd.DataFrame, skipped: dict[Path, str]) -> pd.DataFrame:
    """``metrics.csv`` of the runs, one row for each epoch; a file that cannot be read is added to ``skipped``."""
    facts = ["path", "setting", "row", "column", "train_samples", "train_rate"]
    parts = []
    for path, run in runs[~runs["repeated"]].drop_duplicates("path")[facts].groupby("path"):
        try:
            parts.append(read_metrics(str(path)).merge(run, how="cross"))
        except (OSError, ValueError) as error:
            skipped[RunFolder(str(path)).metrics] = f"no curves of this run: {type(error).__name__}"
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["epoch", *facts])


def facts(material: Material) -> str:
    """What the report counts: ``60 runs, 4 methods, 5 rates, 3 seeds: cifar10, uniform noise, cnn``.

    If seeds have several draws of the wrong labels, it says so: ``2 seeds × 3 draws of the wrong labels``.
    """
    single = material.single

    def number(count: int, name: str) -> str:
        plain = name.isalpha()
        return f"{count} {name}{'' if count == 1 else 's'}" if plain else f"{count} values of {name}"

    parts = {material.rows: "row", material.columns: "column", "seed": "seed"}
    counts = [number(single[key].nunique(), name) for name, key in parts.items()]
    seeds, draws, both = (len(single[keys].drop_duplicates()) for keys in SEED_AND_DRAW)
    if seeds < both:
        counts[-1] += f"{' ×' if both == seeds * draws else ','} {draws} draws of the wrong labels"
    return f"{', '.join([number(len(single), 'run'), *counts])}: {'; '.join(dict.fromkeys(single['setting']))}"


def _listed(key: str, value: str | Sequence[str] | None) -> list[str]:
    if not isinstance(value, Sequence) or not value:
        raise UserError(f"{key} must be a name or a list of names, got {value}")
    return [value] if isinstance(value, str) else list(dict.fromkeys(value))


def _name(given: str | None, folders: Sequence[Path]) -> str:
    name = given or "+".join(list(dict.fromkeys(folder.resolve().name for folder in folders))[:3])
    if Path(name).name != name or name in (".", ".."):
        raise UserError(f"name must be the name of a folder in output_dir, got '{name}'")
    return name


def _with_errors(runs: pd.DataFrame) -> pd.DataFrame:
    """Adds ``<split>/error`` for every ``<split>/accuracy``."""
    accuracies = [str(column) for column in runs if str(column).endswith("/accuracy")]
    return runs.assign(**{column.replace("/accuracy", "/error"): 1 - runs[column] for column in accuracies})


def _of_protocols(runs: pd.DataFrame, wanted: list[str], oracle: bool) -> pd.DataFrame:
    if ORACLE in wanted and not oracle:
        raise UserError(f"{ORACLE} is selected on the test set: oracle=true adds it, marked as such")
    there = list(dict.fromkeys(runs["protocol"]))
    for protocol in wanted:
        if protocol not in there:
            have = ", ".join(name for name in there if name != ORACLE or oracle)
            raise UserError(f"protocol={protocol}: no run has it{nearest(protocol, there)}\nThere are {have}.")
    if oracle and ORACLE not in there:
        raise UserError(f"oracle=true: no run has {ORACLE}; train with oracle=true to have it.")
    return runs[runs["protocol"].isin([*wanted, *([ORACLE] if oracle else [])])].reset_index(drop=True)


def _baseline(given: str | None, order: list[str], runs: pd.DataFrame) -> str | None:
    """The row to test against: the one that was asked for, else plain cross entropy if it is one row."""
    if given == "none" or (given is None and len(order) < 2):
        return None
    if given is not None:
        if given not in order:
            raise UserError(
                f"baseline={given}: there is no such row{nearest(given, order)}\nThere are {', '.join(order)}."
            )
        return given
    ce = runs[(runs["method"] == "baseline") & (runs["loss"] == "ce")]
    plain = (ce[ce["callbacks"] == ""] if (ce["callbacks"] == "").any() else ce)["row"].unique()
    others = set(order) - set(plain)
    return str(plain[0]) if len(plain) == 1 and others else None
