"""``python -m lnl.audit``: cross-validated runs -> the files of an audit."""

import hashlib
import json
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from lnl.auditing.by_features import evidence_of_features
from lnl.auditing.decisions import corrected_labels, read_estimate, write_table
from lnl.auditing.estimate import estimate_noise, pairs_of
from lnl.auditing.evidence import HISTORY, Evidence, read_evidence
from lnl.auditing.exports import check_exports, chosen, write_exports
from lnl.auditing.issues import SEEN, UNSEEN, find_issues, ranking_quality
from lnl.auditing.kinds import UNCLEAR, counts_of, told
from lnl.auditing.page import write_page
from lnl.auditing.pictures import SMALL, pictures_of
from lnl.auditing.unusual import Unusual, on_page, samples_of, sections
from lnl.data import NoisyDataModule
from lnl.datasets.contents import fingerprints
from lnl.datasets.splits import check_classes, class_sizes
from lnl.datasets.userdata.source import UserSource
from lnl.errors import UserError
from lnl.files import explained
from lnl.progress import say, working
from lnl.runs.find import named_folders
from lnl.runs.folder import RunFolder, write_json
from lnl.runs.identity import identify
from lnl.runs.plan import make_plan
from lnl.sweeps.job import run_job
from lnl.trained.trust import check_trust
from lnl.training.assembly import build_data
from lnl.values import check_values

KEYS = ("output", "runs", "apply", "export", "suspects", "page_mb", "trust")  # of conf/audit.yaml, and not of a run
BESIDE_RUNS = (*KEYS, "force", "paths", "data.data_dir", "data.cache_dir")
TRAINED = ("method", "loss", "optimizer", "scheduler", "mix", "average", "trainer", "callbacks")  # unused by features
OPTIONAL = ("pictures.csv", "label_studio.json", "label_studio.xml", "fiftyone.json")  # files that not every audit has
CHECKED = ("data", "noise", "corruption")  # parts of an audited run, which may be untrusted


def audit(cfg: DictConfig, hydra: HydraConf) -> str:
    """Writes ``issues.csv``, ``corrected_labels.csv``, ``estimate.json`` and ``index.html`` into ``cfg.output``.

    Of photographs by features also ``pictures.csv``, and what ``cfg.export`` names.

    Without ``cfg.runs`` a run is trained, or continued, in the output folder of ``hydra``. Returns :func:`summary`.

    Raises:
        UserError: if the audit is not possible; usually before training.
    """
    unused = [] if cfg.runs is None else [str(key) for key in cfg if key not in BESIDE_RUNS]  # no data may be chosen
    check_values("", cfg, skip=["trainer.precision", *unused], known=False)
    output, exports = Path(str(cfg.output)).expanduser(), chosen(cfg.export)
    data: NoisyDataModule | None = None
    if cfg.runs is None and hydra.runtime.choices["features"] != "pixels":
        data, result = _with_features(cfg, hydra, output)
        evidence, results, runs = evidence_of_features(cfg, data), [result], []
    else:
        if cfg.runs is None:
            runs, data = [output / "run"], _train(cfg, hydra, output)
        else:
            runs = _named_runs(cfg, hydra)
        evidence, results = read_evidence(runs), [RunFolder(run).read_result() for run in runs]
    identities = [str(result.get("identity")) for result in results]
    _check_output(output, identities, bool(cfg.force))
    if data is None:
        data = _data_of(results, runs, cfg)
        check_exports(exports, data.dataset)
    with working("judging the labels"):
        issues, estimate = make_audit(evidence, data)
    estimate |= {"runs": identities, "audited": _audited(results[0], data), "remarks": list(data.dataset.remarks)}
    config = results[0]["config"]["data"]
    name = Path(config["path"]).expanduser().resolve().name if "path" in config else results[0]["data"]["name"]
    with explained(output):
        if cfg.force:
            _remove(output)
        size = _write(cfg, output, data, issues, evidence.kinds, estimate, name)
    return f"{summary(estimate, output)} ({size})"


def _write(
    cfg: DictConfig,
    output: Path,
    data: NoisyDataModule,
    issues: pd.DataFrame,
    kinds: pd.DataFrame | None,
    estimate: dict[str, Any],
    name: str,
) -> str:
    """Writes the files of an audit of the data ``name``; returns the size of its page, for the user."""
    output.mkdir(parents=True, exist_ok=True)
    write_table(output / "issues.csv", issues)
    accepted = issues[issues["issue"]].rename(columns={"suggested_label": "label"})
    write_table(output / "corrected_labels.csv", corrected_labels(_all_labels(data), accepted))
    for left in OPTIONAL:
        (output / left).unlink(missing_ok=True)  # of the audit before
    if kinds is not None:
        write_table(output / "pictures.csv", kinds)
    write_exports(chosen(cfg.export), output, issues, kinds, data.classes, data.dataset)
    write_json(output / "estimate.json", estimate)
    shown = on_page(kinds)
    unusual = pictures_of(data.dataset, samples_of(shown), output, cfg.page_mb, SMALL)
    left = cfg.page_mb - sum(len(picture.embedded) for picture in unusual) / 1e6
    worst = issues["index"][: cfg.suspects].tolist()
    pictures = pictures_of(data.dataset, worst, output, left, progress=True)
    beside = Unusual(kinds, sections(kinds, shown, dict(zip(samples_of(shown), unusual, strict=True))))
    return write_page(
        output / "index.html", issues, pictures, data.classes, estimate, f"{name}: doubtful labels", beside
    )


def make_audit(evidence: Evidence, data: NoisyDataModule) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Issues and estimate of this data, with ``quality`` if true labels are known."""
    index, labels = evidence.index, evidence.labels
    if index.max() >= len(data.given) or not np.array_equal(data.given[index], labels):
        raise UserError("the data has changed since the runs were trained: its labels are different.")
    issues = find_issues(
        labels,
        evidence.probabilities,
        data.classes,
        index=index,
        files=None if data.labels.names is None else [data.labels.names[i] for i in index],
        **{name: getattr(evidence, name) for name in (*HISTORY, "posterior")},
    )
    if evidence.kinds is not None:
        unclear = evidence.kinds["index"][evidence.kinds["kind"].isin(UNCLEAR)]
        issues["issue"] &= ~issues["index"].isin(unclear)
    averaged = evidence.probabilities if evidence.epoch_probabilities is None else evidence.epoch_probabilities
    by_features = evidence.posterior is not None
    estimate = estimate_noise(labels, averaged, data.classes, issues, evidence.noise, by_features)
    estimate["combined"] = [name for name in (*UNSEEN, *SEEN) if name in issues]
    estimate["not_judged"] = {"training": len(data.labels) - len(index), "test": len(data.test_labels)}
    if evidence.kinds is not None:
        estimate["pictures"] = counts_of(evidence.kinds)
    if data.labels.truth is not None:
        given, suggested = pairs_of(issues, data.classes)
        quality = ranking_quality(issues, given, data.labels.truth[issues["index"]], suggested)
        estimate |= {"quality": quality} if quality else {}
    return issues, estimate


def summary(estimate: dict[str, Any], output: Path) -> str:
    """The lines to print after an audit."""
    low, high = estimate["wrong_interval"]
    share = (
        f"the models cannot tell; at most {high:.1%}"
        if estimate["wrong"] is None
        else f"{estimate['wrong']:.1%} ({low:.1%} to {high:.1%})"
    )
    left = " and ".join(f"{count:,} {what}" for what, count in estimate["not_judged"].items() if count)
    besides = f" (not judged: {left} labels)" if left else ""
    where = ": corrected_labels.csv has the suggestions for them" if estimate["issues"] else ""
    pairs = [pair for pair in estimate["pairs"][:3] if pair["count"]]
    lines = [
        f"{estimate['samples']:,} labels{besides}, {estimate['issues']:,} of them flagged{where}",
        *(f"  {pair['given']} that may be {pair['suggested']}: {pair['count']:,}" for pair in pairs),
        f"wrong labels: {share}",
        *(line for sentence in estimate["advice"] for line in textwrap.wrap(sentence, 100)),
    ]
    lines += [f"pictures.csv: {unusual}"] if (unusual := told(estimate.get("pictures", {}))) else []
    expected = [name for name in UNSEEN + SEEN if name != "doubt"]
    if "doubt" not in estimate["combined"] and (missing := [n for n in expected if n not in estimate["combined"]]):
        lines.append(f"ranked without {', '.join(missing)}, which the runs did not record")
    if quality := estimate.get("quality"):
        precision = "none" if quality["precision"] is None else f"{quality['precision']:.1%}"
        lines += [
            f"against the known truth: average precision {quality['average_precision']:.4f} "
            f"(cleanlab's ranking {quality['cleanlab_average_precision']:.4f}, chance {quality['chance']:.4f})",
            f"flagged labels: precision {precision}, recall {quality['recall']:.1%}; "
            f"wrong labels {quality['wrong_before']:.2%}, {quality['wrong_after']:.2%} with their suggestions",
        ]
    return "\n".join(f"  {line}" for line in [*lines, os.path.relpath(output / "index.html")])


def _named_runs(cfg: DictConfig, hydra: HydraConf) -> list[Path]:
    """The folders in ``runs=``; refuses other keys of a run's configuration."""
    for override in hydra.overrides.task:
        key = override.lstrip("+~").partition("=")[0]
        if not f"{key}.".startswith(tuple(f"{known}." for known in BESIDE_RUNS)):
            raise UserError(f"runs= decides the data and the models of the audit: leave out {override}")
    return named_folders(cfg.runs)


def _with_features(cfg: DictConfig, hydra: HydraConf, output: Path) -> tuple[NoisyDataModule, dict[str, Any]]:
    """The data of an audit by features, and what is known of it, as of a run's result; refuses keys of training."""
    for override in hydra.overrides.task:
        key = override.lstrip("+~").partition("=")[0].partition(".")[0]
        if key in TRAINED:
            raise UserError(f"features need no training: leave out {override}, or train networks by features=pixels")
    plan = make_plan(OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in KEYS]), hydra)
    _check_output(output, [plan.folder.identity], bool(cfg.force))
    data = build_data(cfg, contents=plan.experiment.fingerprints)
    for remark in data.dataset.remarks:
        say(remark.split("\n")[0])
    check_exports(chosen(cfg.export), data.dataset)
    _check_classes(data, None)
    known = {"name": plan.options["data"], "classes": data.classes}
    return data, {"identity": plan.folder.identity, "config": plan.experiment.config, "data": known}


def _train(cfg: DictConfig, hydra: HydraConf, output: Path) -> NoisyDataModule:
    """Trains the run in ``output/run``, or continues it, and returns its data."""
    run_cfg = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in KEYS])
    plan = make_plan(run_cfg, hydra)
    _check_output(output, [plan.folder.identity], bool(cfg.force), plan.folder)
    if cfg.force:
        _remove(output)  # an audit that is stopped can then continue without force
    data = build_data(run_cfg.copy(), contents=plan.experiment.fingerprints)  # a copy, because it is written into
    check_exports(chosen(cfg.export), data.dataset)
    _check_classes(data, cfg.data.folds)
    run_job(plan, hydra)
    return data


def _check_output(output: Path, identities: Sequence[str], force: bool, folder: RunFolder | None = None) -> None:
    """Refuses a folder that holds another audit."""
    if force:
        return
    others = [read_estimate(output).get("runs")] if (output / "estimate.json").is_file() else []
    if folder is not None and folder.marker.exists():
        others.append([folder.marker.read_text().strip()])
    foreign = [name for name in ("issues.csv", "corrected_labels.csv", "index.html") if (output / name).exists()]
    if foreign and not others and not RunFolder(output / "run").is_run():
        raise UserError(
            f"{output} has {foreign[0]}, and no audit: choose another output=, or replace it by force=true."
        )
    if any(other != list(identities) for other in others):
        raise UserError(
            f"{output} holds an audit of other pictures, labels or options: choose another output=, or replace it by "
            "force=true."
        )


def _check_classes(data: NoisyDataModule, folds: int | None) -> None:
    """Refuses classes that have no sample for every fold, or a single one."""
    index = np.setdiff1d(np.concatenate([data.splits["train"], data.splits["val"]]), data.trusted.index)
    pictures, count, dataset = data.dataset.pictures, len(data.classes), data.dataset
    sizes = class_sizes(data.given[index], None if pictures is None else pictures[index], count)
    own = class_sizes(dataset.labels.given, pictures, count) if isinstance(data.source, UserSource) else None
    check_classes(sizes, folds, data.classes, own)


def _remove(output: Path) -> None:
    """Removes the identity of the audit in the folder, and the labels decided in it."""
    for name in ("estimate.json", "decided_labels.csv"):
        (output / name).unlink(missing_ok=True)


def _audited(result: dict[str, Any], data: NoisyDataModule) -> str:
    """A name for the data and its given labels, which decisions are about; it is the same for all models."""
    digest = hashlib.sha256(json.dumps(_samples(result), sort_keys=True).encode())
    digest.update(data.given.astype("<i8").tobytes())
    return f"data-{digest.hexdigest()[:12]}"  # the prefix keeps spreadsheets from reading it as a number


def _data_of(results: Sequence[dict[str, Any]], runs: Sequence[Path], cfg: DictConfig) -> NoisyDataModule:
    """The data of the runs; refuses data that has changed since training, or that differs between the runs."""
    for result, run in zip(results, runs, strict=True):
        check_trust(result.get("config"), CHECKED, run, cfg.trust)
    for result, run in zip(results, runs, strict=True):
        if identify(OmegaConf.create(result["config"])).identity != result.get("identity"):
            raise UserError(f"{run}: its data, or lnl, has changed since it was trained: train it again.")
        if _samples(result) != _samples(results[0]):
            raise UserError(f"{run} and {runs[0]} have different data: audit them one by one.")
    directories = {"data_dir": cfg.data.data_dir, "cache_dir": cfg.data.cache_dir}
    config = {part: results[0]["config"][part] for part in CHECKED}  # nothing else is built: the run may be untrusted
    return build_data(OmegaConf.create({**config, "data": {**config["data"], **directories}}))


def _samples(result: dict[str, Any]) -> dict[str, Any]:
    """Identifies the samples of a run, but not the place of their files."""
    config = result["config"]["data"]
    own = {"_target_": config["_target_"], "name": config.get("name")} | fingerprints(config)
    return own | {"classes": result["data"]["classes"]}


def _all_labels(data: NoisyDataModule) -> pd.DataFrame:
    """Every given label of the training set, audited or not, as a file of labels needs them."""
    names = np.array(data.classes, dtype=object)
    return pd.DataFrame(
        {"index": np.arange(len(data.labels)), "file": data.labels.names or "", "given_label": names[data.given]}
    )
