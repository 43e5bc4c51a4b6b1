"""TensorBoard's and W&B's files are read back, with their own or an independent reader."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto.wandb_internal_pb2 import Record

from lnl.reporting.pictures import confusion_picture


def wandb_records(folder: Path) -> list[Record]:
    """The records of an offline run: a 7-byte header, then LevelDB's log format in blocks of 32 KiB."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    data, position, parts, records = path.read_bytes(), 7, b"", []
    while position < len(data):
        if (left := 32768 - position % 32768) < 7:
            position += left
            continue
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(Record.FromString(parts))
            parts = b""
    return records


@pytest.fixture
def runs(digits, monkeypatch):
    """Two runs of a sweep with both trackers."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    outcome = digits("-m", "logger=all", "noise.rate=0.1,0.6")
    assert outcome.code == 0, outcome.err
    assert len(outcome.folders) == 2
    return outcome.folders


def test_tensorboard_has_curves_final_metrics_and_pictures(runs):
    for folder in runs:
        events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0})
        events.Reload()
        table = pd.read_csv(folder / "metrics.csv")
        result = json.loads((folder / "result.json").read_text())
        for name in ("train/loss", "train/memorised", "val/accuracy"):
            logged = [event.value for event in events.Scalars(name)]
            np.testing.assert_allclose(logged, table[name], rtol=1e-5)
        final = events.Scalars("last/test_accuracy")[0].value
        assert final == pytest.approx(result["protocol"]["last"]["test"]["accuracy"])
        assert "_hparams_/session_start_info" in events.summary_metadata
        for name in ("confusion_matrix", "labels"):
            (picture,) = events.Images(name)
            assert np.asarray(Image.open(io.BytesIO(picture.encoded_image_string))).std() > 10


def test_each_run_of_a_sweep_is_a_wandb_run_of_one_group(runs):
    ids = set()
    for folder in runs:
        records = wandb_records(folder)
        (run,) = [record.run for record in records if record.HasField("run")]
        ids.add(run.run_id)
        assert run.run_group == folder.parent.name == "runs"
        assert run.display_name == folder.name
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        for record in records:
            config |= {item.key: json.loads(item.value_json) for item in record.config.update}
        result = json.loads((folder / "result.json").read_text())
        assert config["noise"]["rate"] == result["noise"]["rate"]
        assert set(result["config"]) <= set(config)
        assert config["options"]["loss"] == "ce"
        summary: dict = {}
        for record in records:
            summary |= {item.key: json.loads(item.value_json) for item in record.summary.update}
        assert summary["last/test_accuracy"] == result["protocol"]["last"]["test"]["accuracy"]
        history = [
            {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}
            for record in records
            if record.HasField("history")
        ]
        accuracies = [row["val/accuracy"] for row in history if "val/accuracy" in row]
        np.testing.assert_allclose(accuracies, pd.read_csv(folder / "metrics.csv")["val/accuracy"], rtol=1e-5)
        assert any(record.HasField("exit") and record.exit.exit_code == 0 for record in records)
        assert any("confusion_matrix/filenames" in row for row in history)
    assert len(ids) == 2


def test_a_confusion_picture_is_dark_where_the_counts_are():
    picture = confusion_picture([[10, 0], [0, 10]], ["a", "b"], "title").astype(float).mean(axis=2)
    height, width = picture.shape
    # Sampled off the centre of each field, where the count stands.
    left, right, top, bottom = int(0.25 * width), int(0.6 * width), int(0.3 * height), int(0.65 * height)
    assert picture[top, left] < 100 < picture[top, right]
    assert picture[bottom, right] < 100 < picture[bottom, left]
