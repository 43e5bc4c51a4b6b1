"""A user's own data through the command line: labels of which nobody knows the truth."""

import json
from unittest.mock import ANY

import numpy as np
import pandas as pd
import pytest

from tests.datasets.own import picture, write_folder, write_table

SMALL = ["model=mlp_1x512", "trainer.max_epochs=1", "trainer.precision=32-true", "data.batch_size=16"]


def test_a_folder_is_trained_on_without_a_word_of_what_nobody_knows(train, tmp_path):
    write_folder(tmp_path / "own", 20)
    outcome = train("data=folder", "data.path=own", "callbacks=contact_sheet", *SMALL)
    assert outcome.code == 0, outcome.err
    assert "12 of 60 samples are held out" in outcome.out
    assert "trained on 38 labels, an unknown number of them wrong" in outcome.out
    result = outcome.result
    own = result["data"].pop("own")
    assert own == {"fingerprints": {"path": ANY}, "test_drawn": True}
    assert result["data"] | {"classes": 0} == {
        "name": "folder",
        "classes": 0,
        "train": 38,
        "val": 10,
        "test": 12,
        "trusted": 0,
        "skipped": 0,
        "largest_class": pytest.approx(1 / 3, abs=0.02),
    }
    assert result["data"]["classes"] == ["cat", "dog", "owl"]
    noise = result["noise"]
    assert (noise["kind"], noise["rate"], noise["actual_rate"], noise["train_rate"]) == ("given", None, None, None)
    assert (result["config"]["data"]["num_classes"], result["config"]["data"]["image_size"]) == (3, 12)
    assert sorted(np.load(outcome.folder / "noise.npz").files) == ["noisy_labels"]
    metrics = pd.read_csv(outcome.folder / "metrics.csv")
    assert not {"train/memorised", "train/accuracy_wrong"} & set(metrics.columns[metrics.notna().any()])
    assert (outcome.folder / "figures/labels.png").exists()


def test_epochs_and_batch_size_follow_from_the_number_of_labels_and_can_be_chosen(train, tmp_path):
    """Of 60 pictures 48 are trained on and validated: two batches of 32 an epoch, which never make 1,000 steps."""
    write_folder(tmp_path / "own", 20)
    own = ("data=folder", "data.path=own", "model=mlp_1x512")
    outcome = train(*own)
    assert outcome.code == 0, outcome.err
    chosen = "60 epochs with batches of 32 for 48 labels (trainer.max_epochs= and data.batch_size= choose others)"
    assert chosen in outcome.out.splitlines()
    assert "mlp_1x512, baseline, ce, seed 0: 60 epochs (120 steps) in" in outcome.out
    config = outcome.result["config"]
    assert (config["trainer"]["max_epochs"], config["data"]["batch_size"], config["scheduler"]["T_max"]) == (60, 32, 60)
    assert "finished already" in train(*own).out
    chosen = train(*own, "trainer.max_epochs=2", "data.batch_size=16", "seed=1")
    assert "2 epochs (6 steps) in" in chosen.out
    assert "choose others" not in chosen.out


@pytest.mark.slow  # two processes
def test_several_devices_are_given_the_numbers_that_the_data_chooses(train, tmp_path):
    write_folder(tmp_path / "own", 20)
    outcome = train("data=folder", "data.path=own", "model=mlp_1x512", "trainer.devices=2", "trainer.accelerator=cpu")
    assert outcome.code == 0, outcome.err
    assert "60 epochs (120 steps) in" in outcome.out
    assert outcome.result["config"]["scheduler"]["T_max"] == 60


def test_stages_share_the_epochs_that_their_samples_need(train, tmp_path):
    """30 trusted pictures need 60 epochs, and so do all 60."""
    path = write_table(tmp_path / "own", per_class=20)
    table = pd.read_csv(path)
    table.assign(trusted=table.index % 2 == 0).to_csv(path, index=False)
    outcome = train("data=table", "data.path=own/labels.csv", "model=mlp_1x512", "method=label_correction")
    assert outcome.code == 0, outcome.err
    assert "120 epochs with batches of 32" in outcome.out
    assert outcome.result["config"]["method"]["stage1_epochs"] == 60


def test_a_model_that_has_learned_nothing_is_said_to(train, tmp_path):
    write_folder(tmp_path / "own", 20)
    outcome = train("data=folder", "data.path=own", *SMALL, "optimizer.lr=1e-9")
    assert "THE MODEL HAS LEARNED NOTHING: one answer for every image would be right for 3" in outcome.out
    assert "(trainer.max_epochs=4)" in outcome.out
    assert "NOTHING" not in train("data=digits", "trainer.max_epochs=3", "trainer.accelerator=cpu").out


def test_what_is_skipped_is_counted_and_listed(train, tmp_path):
    write_folder(tmp_path / "own")
    for name in ("cat/b.png", "owl/a.png"):
        (tmp_path / "own" / name).write_bytes(b"")
    failed = train("data=folder", "data.path=own", *SMALL)
    assert failed.code == 1
    assert (
        "error: cat/b.png: it is empty (0 bytes)\n2 of 32 samples cannot be used: cat/b.png, owl/a.png." in failed.err
    )
    assert "Traceback" not in failed.err
    assert not failed.folders
    outcome = train("data=folder", "data.path=own", "data.on_error=skip", *SMALL)
    assert outcome.code == 0, outcome.err
    assert "2 samples are left out (data.on_error=skip), first cat/b.png: it is empty (0 bytes)\n" in outcome.out
    assert outcome.result["data"]["skipped"] == 2
    log = (outcome.folder / "train.log").read_text()
    assert "\n  cat/b.png: it is empty (0 bytes)\n  owl/a.png: it is empty (0 bytes)\n" in log


def test_small_classes_are_left_out_where_that_is_asked_for(train, audit, tmp_path):
    """It is another run; without, it is the run that it was before there was the option."""
    write_folder(tmp_path / "own", classes=("cat", "dog"))
    write_folder(tmp_path / "own", 1, classes=("owl",))
    plain = train("data=folder", "data.path=own", *SMALL)
    assert "1 class has a single training sample: none to validate or test on (data.min_per_class=5" in plain.out
    assert "min_per_class" not in plain.result["config"]["data"]
    assert "finished already" in train("data=folder", "data.path=own", "data.min_per_class=null", *SMALL).out
    outcome = train("data=folder", "data.path=own", "data.min_per_class=2", *SMALL)
    assert outcome.code == 0, outcome.err
    assert (
        "1 sample is left out, of 1 class with fewer than 2 pictures (data.min_per_class): 'owl' has 1 p" in outcome.out
    )
    results = [json.loads((folder / "result.json").read_text())["data"] for folder in outcome.folders]
    assert sorted((len(data["classes"]), data["skipped"]) for data in results) == [(2, 1), (3, 0)]
    refused = audit("data=folder", "data.path=own", "data.folds=2", "output=found", *SMALL)
    assert refused.err == (
        "error: the class 'owl' has 1 of 21 pictures (copies count once), fewer than data.folds=2: every fold "
        "needs one.\ndata.min_per_class=2 leaves such classes out; or set fewer folds.\n"
    )
    audited = audit("data=folder", "data.path=own", "data.folds=2", "data.min_per_class=2", "output=found", *SMALL)
    assert audited.code == 0, audited.err
    assert set(pd.read_csv(tmp_path / "found/issues.csv")["given_label"]) == {"cat", "dog"}


def test_the_same_data_is_the_same_run_and_other_labels_are_another(train, tmp_path):
    path = write_table(tmp_path / "own")
    ask = ["data=table", "noise=symmetric", *SMALL]
    assert train(*ask, f"data.path={path}").code == 0
    (tmp_path / "own").rename(tmp_path / "moved")
    moved = tmp_path / "moved/labels.csv"
    assert "finished already" in train(*ask, f"data.path={moved}").out
    moved.write_text(moved.read_text().replace("cat0.png,cat", "cat0.png,dog"))
    assert "finished already" not in train(*ask, f"data.path={moved}").out
    picture(tmp_path / "moved/cat/cat1.png", "owl", 12345)
    assert "finished already" not in train(*ask, f"data.path={moved}").out


def test_folds_hold_every_sample_out_where_the_data_has_no_test_set(train, tmp_path):
    write_folder(tmp_path / "own", 20)
    outcome = train("data=folder", "data.path=own", "data.folds=2", "logger=tensorboard", *SMALL)
    assert outcome.code == 0, outcome.err
    (whole,) = (folder for folder in outcome.folders if folder.name not in ("fold1", "fold2"))
    assert np.load(whole / "out_of_fold.npz")["index"].tolist() == list(range(60))
    result = json.loads((whole / "result.json").read_text())
    assert result["data"]["test"] == 0
    assert "test" not in result["protocol"]["last"]
    assert "test accuracy" not in outcome.out
    assert (result["cross_validation"]["labels"], result["cross_validation"]["wrong_rate"]) == (60, None)
    assert "trained on 60 labels cut into folds, an unknown number of them wrong" in outcome.out
    mean = result["cross_validation"]["val_accuracy"]["mean"]
    assert f"validation accuracy {mean:7.2%}  last epoch" in outcome.out
    assert not list(tmp_path.rglob("predictions.csv"))
    assert "12 of 60 samples are held out" in train("data=folder", "data.path=own", *SMALL).out  # in the same process


def test_a_cross_validated_run_can_have_a_test_set_beside_its_folds(train, tmp_path):
    write_folder(tmp_path / "own", 20)
    outcome = train("data=folder", "data.path=own", "data.folds=2", "data.test_fraction=0.2", *SMALL)
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("the data names no test set: 12 of 60 samples are held out for testing") == 1
    (whole,) = (folder for folder in outcome.folders if folder.name not in ("fold1", "fold2"))
    found = np.load(whole / "out_of_fold.npz")
    assert found["index"].tolist() == list(range(48))
    assert found["probabilities"].shape == (48, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data=folder"], "data.path has to be given"),
        (["data=folder", "data.path=own", "data.on_error=stop"], "data.on_error must be fail or skip, got 'stop'"),
        (["data=folder", "data.path=own", "data.test_fraction=1"], "data.test_fraction must be at least 0 and below 1"),
        (["data=table", "data.path=own/labels.csv", "data.columns.lable=x"], "there is no 'data.columns.lable'"),
    ],
)
def test_a_mistake_in_the_command_is_named(train, tmp_path, arguments, words):
    write_table(tmp_path / "own")
    outcome = train(*arguments, *SMALL)
    assert outcome.code == 1
    assert words in outcome.err
