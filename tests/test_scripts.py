"""What the benchmarks' scripts make of what they measured; nothing is timed."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from lnl.data import Digits

ROOT = Path(__file__).parents[1]
PAGE = "Prose.\n\n<!-- generated: gpu -->\n| device |\n|---|\n| old GPU | 1 |\n| a GPU | 2 |\n<!-- end -->\nMore.\n"


@pytest.fixture
def script(monkeypatch):
    """A module of ``scripts/``, imported as it is when it is run."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    yield importlib.import_module
    for name in ("gpu", "benchmark", "audit_baselines"):
        sys.modules.pop(name, None)


def test_ratios_are_of_one_turn_and_medians_over_all(script):
    turns = [{"lnl": 2.0, "bare": 1.0}, {"lnl": 4.0, "bare": 4.0}, {"lnl": 3.0, "bare": 2.0}]
    found = script("benchmark").summary(turns, images=600, busy=0.75)
    assert found["median_seconds"] == {"lnl": 3.0, "bare": 2.0}
    assert found["median_ratios"] == {"lnl / bare": 1.5}
    assert found["samples_per_second"] == 200
    assert found["device_waits"] == 0.75
    turns = [{**turn, "notebook": 6.0} for turn in turns]
    found = script("benchmark").summary(turns, images=600, busy=None)
    assert found["median_ratios"] == {"lnl / bare": 1.5, "notebook / lnl": 2.0}
    assert found["device_waits"] is None


def test_stages_that_are_finished_are_not_run_again(script, capsys):
    gpu = script("gpu")
    calls, saved = [], []

    def stage(name, outcome):
        def run():
            calls.append(name)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return run, 1

    report = {"stages": {"before": {"value": 0}, "broke": {"error": "then"}}}
    todo = {
        "before": stage("before", {}),
        "broke": stage("broke", {"value": 1}),
        "breaks": stage("breaks", ValueError("no")),
        "absent": stage("absent", gpu.SkipStage("ray is not installed")),
        "long": (stage("long", {})[0], 61),
        "last": stage("last", {"value": 2}),
    }
    gpu.go(report, todo, minutes=1, save=lambda found: saved.append(len(found["stages"])))
    assert calls == ["broke", "breaks", "absent", "last"]
    assert saved == [2, 3, 4, 5]
    found = {
        name: {key: value for key, value in each.items() if key != "took"} for name, each in report["stages"].items()
    }
    assert found == {
        "before": {"value": 0},
        "broke": {"value": 1},
        "breaks": {"error": "ValueError: no"},
        "absent": {"skipped": "ray is not installed"},
        "last": {"value": 2},
    }
    assert [name for name in todo if gpu.finished(report, name)] == ["before", "broke", "last"]
    said = capsys.readouterr().out
    assert "absent: ray is not installed" in said
    assert "long: no time left" in said


def test_all_stages_end_within_eight_minutes(script):
    todo = script("gpu").stages("cuda", small=False)
    assert sum(seconds for _, seconds in todo.values()) <= 8 * 60
    assert len(todo) == len(script("gpu").EPOCHS) + 3  # their names differ


def test_every_epoch_that_is_timed_is_a_configuration(script):
    gpu = script("gpu")
    gpu.register_resolvers()
    for timed in gpu.EPOCHS:
        cfg = gpu.benchmark.configuration("cuda", *timed.overrides)
        assert (cfg.trainer.accelerator, cfg.trainer.precision, cfg.trainer.max_epochs) == ("gpu", timed.precision, 1)
        assert cfg.data.device_cache == (False if timed.workers else "auto")


def test_rows_take_the_place_of_those_of_the_same_device(script, tmp_path):
    gpu = script("gpu")
    timed = {
        "median_seconds": {"lnl": 0.5, "bare": 0.4},
        "median_ratios": {"lnl / bare": 1.25},
        "precision": "bf16-mixed",
    }
    timed |= {"samples_per_second": 80_000.0, "device_waits": 0.126}
    stages = {"cnn bf16-mixed": timed, "cnn bf16-mixed 8 workers": timed, "cnn8 bf16-mixed": {"error": "no memory"}}
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    for _ in range(2):
        gpu.write_rows({"device_name": "a GPU", "stages": stages}, page)
        assert page.read_text().startswith("Prose.\n\n<!-- generated: gpu -->\n| device | network |")
        assert page.read_text().endswith("<!-- end -->\nMore.\n")
        assert page.read_text().splitlines()[5:8] == [
            "| old GPU | 1 |",
            "| a GPU | cnn | bf16-mixed | on the device | 0.50 s | 0.40 s | 1.25 | 80,000 | 13% |",
            "| a GPU | cnn | bf16-mixed | from 8 workers | 0.50 s | 0.40 s | 1.25 | 80,000 | 13% |",
        ]
    assert gpu.BLOCK.search((ROOT / "docs/benchmarks.md").read_text())


def test_accuracies_are_equal_unless_their_means_differ_by_more_than_their_spread(script):
    same_mean = script("gpu").same_mean
    assert same_mean([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]) == 1
    assert same_mean([0.50, 0.52, 0.54], [0.51, 0.53, 0.55]) > 0.01
    assert same_mean([0.50, 0.52, 0.54], [0.80, 0.82, 0.84]) < 0.01


def test_the_audit_stands_beside_cleanlab_on_the_same_features(script, capsys, tmp_path):
    digits = Digits()
    digits.setup()
    images = np.concatenate([digits.dataset.images, digits.dataset.test_images])
    np.save(tmp_path / "pixels.npy", images.reshape(len(images), -1).astype(np.float32))
    script("audit_baselines").main(
        ["data=digits", "noise=symmetric", "noise.rate=0.2", "data.subset=500", f"features={tmp_path}/pixels.npy"]
    )
    first, *lines = capsys.readouterr().out.splitlines()
    assert re.match(r"\d+ labels, (1[5-9]|2[0-5])\.\d% wrong", first)
    assert [line[:20].strip() for line in lines] == ["lnl", "logistic regression", "kNN"]
    for line in lines:  # digits are easy for all three
        precision, flagged, share, error = (
            float(number)
            for number in re.search(
                r"precision (\S+); \d+ flagged, (\S+)% wrong, .*says (\S+)% wrong; T off by (\S+)", line
            ).groups()
        )
        assert precision > 0.85, line
        assert flagged > 70, line
        assert 12 < share < 32, line
        assert error < 0.05, line
