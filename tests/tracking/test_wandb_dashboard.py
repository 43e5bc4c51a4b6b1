"""The W&B report: what it would send, read back by W&B's own library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reporting.written import write_run

SCRIPT = Path(__file__).parents[2] / "scripts/wandb_dashboard.py"


def dashboard(*arguments, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Without an account, whatever this machine's user has."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env={**kept, "HOME": str(cwd)}, capture_output=True, text=True)


@pytest.mark.slow
def test_without_an_account_the_specification_is_written_to_a_file(tmp_path):
    reports = pytest.importorskip("wandb_workspaces.reports.v2", reason="needs wandb-workspaces")
    internal = pytest.importorskip("wandb_workspaces.reports.v2.internal")
    for seed, (loss, rate, accuracy) in enumerate(
        [("ce", 0.1, 0.5), ("ce", 0.1, 0.7), ("ce", 0.6, 0.3), ("gce", 0.1, 0.61)]
    ):
        write_run(tmp_path / "outputs", "mine", accuracy, loss=loss, rate=rate, seed=seed, config={"seed": seed})
    write_run(tmp_path / "outputs", "own", 0.9, noise="given", rate=None)
    alone = dashboard("outputs/own", "--file", tmp_path / "own.json", cwd=tmp_path)
    assert "| noise rate | not given |" in json.dumps((tmp_path / "own.json").read_text()), alone.stderr
    done = dashboard("outputs/mine", "--project", "my-project", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "W&B was sent nothing" in done.stdout
    path = tmp_path / "outputs/reports/mine/wandb.json"
    assert str(path.relative_to(tmp_path)) in done.stdout

    model = internal.ReportViewspec.model_validate(json.loads(path.read_text()))
    report = reports.Report._from_model(model)
    assert (report.title, report.project) == ("mine", "my-project")
    last, best = (block.text for block in report.blocks if isinstance(block, reports.MarkdownBlock))
    assert "| ce | 60.0 ± 14.1 | 30.0 (1 of 2) |" in last
    assert "| gce | **61.0" in last
    assert "| ce | 61.0 ± 14.1 |" in best
    accuracy, memorisation, table = (block for block in report.blocks if isinstance(block, reports.PanelGrid))
    for grid in (accuracy, memorisation, table):
        assert grid.runsets[0].filters == "Metric(\"Group\") in ['mine']"
    assert [panel.y.name for panel in accuracy.panels] == ["last/test_accuracy", "noisy_val_best/test_accuracy"]
    assert {panel.x.name for panel in accuracy.panels} == {"noise_rate"}
    assert "train/memorised" in str([panel.y for panel in memorisation.panels])
    assert "config:loss_name.value" in table.runsets[0].pinned_columns


def test_no_runs_is_a_clear_error(tmp_path):
    done = dashboard("outputs", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: no finished run is in outputs: there is no result.json\n"
