"""TensorBoard's and W&B's files are read back, with their own or an independent reader."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS, ColParams, ListSessionGroupsRequest
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler
from wandb.proto.wandb_internal_pb2 import Record

from lnl.tracking.pictures import confusion_picture
from tests.datasets.own import write_folder


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


def wandb_config_and_tags(folder: Path) -> tuple[dict, list[str]]:
    records = wandb_records(folder)
    updates = [record.config.update for record in records]
    *_, run = (record.run for record in records if record.HasField("run"))
    return {item.key: json.loads(item.value_json) for update in updates for item in update}, list(run.tags)


@pytest.fixture
def runs(trained, monkeypatch):
    """Two runs of a sweep with both trackers."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    outcome = trained("-m", "logger=[tensorboard,wandb]", "noise=none,symmetric", "loss=gce")
    assert outcome.code == 0, outcome.err
    assert len(outcome.folders) == 2
    return outcome.folders


def test_tensorboard_has_curves_final_metrics_and_pictures(runs):
    for folder in runs:
        events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0})
        events.Reload()
        table = pd.read_csv(folder / "metrics.csv")
        result = json.loads((folder / "result.json").read_text())
        for name in {"train/loss", "train/memorised", "val/accuracy"} & set(table):
            logged = [event.value for event in events.Scalars(name)]
            np.testing.assert_allclose(logged, table[name], rtol=1e-5)
        final = events.Scalars("last/test_accuracy")[0].value
        assert final == pytest.approx(result["protocol"]["last"]["test"]["accuracy"])
        assert "_hparams_/session_start_info" in events.summary_metadata
        for name in ("confusion_matrix", "labels"):
            (picture,) = events.Images(name)
            assert np.asarray(Image.open(io.BytesIO(picture.encoded_image_string))).std() > 10


def test_the_hparams_view_compares_all_runs_by_what_any_of_them_has(runs):
    """Read by TensorBoard's own plugin, as its page does."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(runs[0].parent))
    multiplexer.Reload()
    context = Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(runs[0].parent))))
    ours, metadata = RequestContext(), context.hparams_metadata(RequestContext(), "")
    experiment = context.experiment_from_metadata(ours, "", True, metadata, [])
    hparams, metrics = experiment.hparam_infos, {info.name.tag for info in experiment.metric_infos}
    assert {"noise_kind", "noise_rate", "loss_name", "loss.q", "optimizer.lr"} <= {info.name for info in hparams}
    assert {"last/test_accuracy", "noisy_val_best/test_macro_f1"} <= metrics
    columns = [ColParams(metric=info.name, include_in_result=True) for info in experiment.metric_infos]
    columns += [ColParams(hparam=info.name, include_in_result=True) for info in hparams]
    request = ListSessionGroupsRequest(allowed_statuses=[STATUS_SUCCESS], slice_size=9, col_params=columns)
    shown = {}
    for group in Handler(ours, context, "", request).run().session_groups:
        values = {value.name.tag: value.value for value in group.metric_values}
        shown[group.hparams["noise_kind"].string_value] = values["last/test_accuracy"]
    results = [json.loads((folder / "result.json").read_text()) for folder in runs]
    expected = {result["noise"]["kind"]: result["protocol"]["last"]["test"]["accuracy"] for result in results}
    assert shown == pytest.approx(expected)


def test_each_run_of_a_sweep_is_a_wandb_run_of_one_group(runs):
    ids, keys = set(), set()
    for folder in runs:
        records = wandb_records(folder)
        *_, run = (record.run for record in records if record.HasField("run"))
        ids.add(run.run_id)
        assert run.run_group == folder.parent.name == "runs"
        assert run.display_name == folder.name
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        for record in records:
            config |= {item.key: json.loads(item.value_json) for item in record.config.update}
        result = json.loads((folder / "result.json").read_text())
        kind = config["options"]["noise"]
        assert (config["noise_kind"], config["noise_rate"]) == (kind, {"none": 0.0, "symmetric": 0.3}[kind])
        assert set(result["config"]) <= set(config)
        assert config["options"]["loss"] == config["loss_name"] == "gce"
        assert sorted(run.tags) == sorted(["digits", kind, "baseline", "gce", "cnn"])
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
        keys.add((frozenset(config), frozenset(name for name in summary if not name.startswith("_"))))
        assert {"last/test_ece", "noisy_val_best/test_accuracy", "fit_seconds", "parameters"} <= set(summary)
    assert len(ids) == 2
    assert len(keys) == 1  # the same names for panels over all runs, with and without noise


def test_labels_as_they_were_given_have_no_rate(train, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    write_folder(tmp_path / "own")
    outcome = train("data=folder", "data.path=own", "model=mlp_1x512", "trainer.max_epochs=1", "logger=wandb")
    assert outcome.code == 0, outcome.err
    config, _ = wandb_config_and_tags(outcome.folder)
    assert (config["noise_kind"], config["noise_rate"]) == ("none", None)


def test_a_method_of_ones_own_is_a_tag_beside_the_tags_given(trained, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    outcome = trained("method._target_=tests.methods.extensions.Counts", "logger=wandb", "logger.wandb.tags=[mine]")
    assert outcome.code == 0, outcome.err
    config, tags = wandb_config_and_tags(outcome.folder)
    assert config["method_name"] == "Counts"
    assert {"Counts", "mine"} < set(tags)
    assert "baseline" not in tags


def test_a_confusion_picture_is_dark_where_the_counts_are():
    picture = confusion_picture([[10, 0], [0, 10]], ["a", "b"], "title").astype(float).mean(axis=2)
    height, width = picture.shape
    # Sampled off the centre of each field, where the count stands.
    left, right, top, bottom = int(0.25 * width), int(0.6 * width), int(0.3 * height), int(0.65 * height)
    assert picture[top, left] < 100 < picture[top, right]
    assert picture[bottom, right] < 100 < picture[bottom, left]
