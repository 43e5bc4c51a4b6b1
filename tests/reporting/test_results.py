"""Run folders become rows; a folder that cannot be read is skipped by name."""

import json
from pathlib import Path

import pandas as pd
import pytest

from lnl.config import CONF_DIR
from lnl.reporting.published import published
from lnl.reporting.results import read_runs
from tests.reporting.written import write_run


def test_a_run_is_a_row_for_each_protocol(tmp_path):
    config = {
        "seed": 3,
        "method": {"_target_": "x", "_partial_": True, "threshold": 0.6},
        "loss": {"active": {"gamma": 0.5}},
        "data": {"mean": [1]},
    }
    folder = write_run(tmp_path, "study", 0.7, seed=3, rate=0.1, config=config, splits={"trusted_test": 0.9})
    runs = read_runs([tmp_path])
    assert runs["protocol"].tolist() == ["last", "noisy_val_best"]
    last = runs.iloc[0]
    assert last["path"] == str(folder)
    assert (last["sweep"], last["data"], last["noise"], last["rate"], last["seed"]) == (
        "study",
        "cifar10",
        "symmetric",
        0.1,
        3,
    )
    assert (last["test/accuracy"], last["test/macro_f1"], last["trusted_test/accuracy"]) == (0.7, 0.35, 0.9)
    assert runs["test/accuracy"].tolist() == [0.7, 0.71]
    assert pd.isna(last["val/loss"])
    assert last["seconds_per_image"] == pytest.approx(0.001)
    assert (last["method.threshold"], last["loss.active.gamma"], last["data.mean"]) == (0.6, 0.5, "[1]")
    assert last["method._target_"] == "x"
    assert not [column for column in runs if "_partial_" in column or "recall" in column]


def test_clean_labels_are_a_rate_of_nothing(tmp_path):
    write_run(tmp_path, "study", noise="none", rate=None)
    assert read_runs([tmp_path])["rate"].tolist() == [0, 0]


def test_of_labels_as_they_were_given_no_rate_is_known(tmp_path):
    write_run(tmp_path, "study", noise="given", rate=None)
    runs = read_runs([tmp_path])
    assert runs["rate"].isna().all()
    assert runs["actual_rate"].isna().all()


def test_a_folder_that_cannot_be_read_is_skipped_by_name(tmp_path, caplog):
    write_run(tmp_path, "study")
    broken = {
        "torn": '{"schema_version": 1, "ide',
        "foreign": '{"accuracy": 0.5}',
        "list": "[1]",
        "later": '{"schema_version": 99}',
    }
    for name, text in broken.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    (tmp_path / "unfinished/checkpoints").mkdir(parents=True)
    assert len(read_runs([tmp_path])) == 2
    for name in broken:
        assert str(tmp_path / name) in caplog.text
    assert "version 99" in caplog.text
    assert len(caplog.records) == 4


def test_nothing_is_an_empty_table(tmp_path):
    assert read_runs([tmp_path, tmp_path / "nowhere"]).empty


def test_folds_are_no_runs_of_their_own_and_copies_count_once(tmp_path):
    folder = write_run(tmp_path, "study")
    write_run(folder, "fold1", 0.9)
    copy = tmp_path / "copied"
    copy.mkdir()
    (copy / "result.json").write_text((folder / "result.json").read_text())
    assert read_runs([tmp_path])["sweep"].tolist() == ["study", "study"]


def test_evaluations_are_columns_of_the_protocol_they_are_of(tmp_path):
    folder = write_run(tmp_path, "study")
    identity = json.loads((folder / "result.json").read_text())["identity"]
    (folder / "evaluations").mkdir()

    def write(name, protocol, accuracy, split="test", identity=identity):
        record = {
            "identity": identity,
            "protocol": protocol,
            "data": {"name": "mnist", "split": split},
            "test": {"accuracy": accuracy},
        }
        (folder / f"evaluations/{name}.json").write_text(json.dumps(record))

    write("mnist-last", "last", 0.11)
    write("mnist-last-trusted", "last", 0.55, split="trusted_test")
    write("mnist-stale", "noisy_val_best", 0.66, identity="that of a run before")
    runs = read_runs([tmp_path]).set_index("protocol")
    assert runs.loc["last", "mnist/accuracy"] == 0.11
    assert pd.isna(runs.loc["noisy_val_best", "mnist/accuracy"])


def test_a_real_run_and_its_evaluation_are_read(digits, evaluate):
    run = digits("noise.rate=0.2", "loss=gce", "seed=1")
    evaluate(f"runs={run.folder}")
    row = read_runs([run.root]).iloc[0]
    test = run.result["protocol"]["last"]["test"]
    assert (row["test/accuracy"], row["digits/accuracy"], row["loss.q"]) == (test["accuracy"], test["accuracy"], 0.7)
    assert (row["rate"], row["seed"], row["fit_seconds"]) == (0.2, 1, run.result["time"]["fit_seconds"])


def test_published_numbers_come_with_their_source():
    rows = published("apl_dynamic_weight", table="3", method="baseline")
    assert rows["value"].tolist() == [60.78, 58.87, 53.39, 45.14, 15.44]
    studies = sorted(set(published()["study"]))
    everything = pd.concat(published(study) for study in studies)
    assert everything["source"].notna().all()
    assert not everything["source"].str.contains(r"/|\.txt").any()


def test_published_numbers_are_of_options_that_there_are():
    """Each method with its loss, none where the method has none, under the names that runs have."""
    everything = published()
    methods = {method.split()[0] for method in everything["method"]}
    known = {path.stem for path in Path(CONF_DIR, "method").glob("*.yaml")}
    assert methods <= known, methods - known
    theirs = everything[everything["study"].isin(["methods", "human_noise", "robust_losses"])]
    losses = {path.stem for path in Path(CONF_DIR, "loss").glob("*.yaml")} | {"none", "logit_clip_ce"}
    assert set(theirs["loss"]) <= losses
    assert set(theirs["protocol"]) <= {"last", "noisy_val_best", "oracle_best"}
    assert not theirs.duplicated(["study", "noise", "rate", "method", "loss", "protocol"]).any()


def test_the_documents_mnist_numbers_are_its_cifar_numbers():
    """What docs/studies/apl.md says of table 2."""
    tables = published("apl_dynamic_weight")
    mnist, cifar = tables[tables["table"] == "2"], tables[tables["table"].isin(["3", "4"])]
    keys = ["noise", "rate", "method", "loss", "value"]
    assert len(mnist) == 6
    assert len(mnist.merge(cifar, on=keys)) == 6
