"""Label correction: the arithmetic on beliefs that are written down, and whole runs on digits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lnl.methods import LabelCorrection
from lnl.methods.label_stages import worthless
from lnl.metrics import correction_metrics
from lnl.training import run as training
from tests.conftest import above_chance, weights
from tests.datasets.own import write_folder
from tests.methods.made import make, samples
from tests.training.test_resume import Stopped, assert_same_run, stop_before

BELIEFS = torch.tensor([[0.9, 0.1, 0.0], [0.85, 0.1, 0.05], [0.0, 0.95, 0.05], [0.2, 0.2, 0.6], [0.99, 0.01, 0.0]])
RUN = ("method=label_correction", "data.trusted=500", "noise.rate=0.6", "trainer.max_epochs=12", "scheduler=cosine")
STAGES = (*RUN, "method.stage1_epochs=8", "data.trusted_test=100", "optimizer.lr=0.05", "method.threshold=0.8")


def method(**options):
    return make(LabelCorrection, 7, 3, **options)


def test_images_above_the_threshold_take_the_predicted_label():
    corrected = method(threshold=0.85)
    corrected.correct(torch.tensor([6, 1, 2, 3, 4]), BELIEFS)
    assert corrected.kept.tolist() == [False, False, True, False, True, False, True]  # 0.85 does not exceed 0.85
    assert corrected.labels[[6, 1, 2, 3, 4]].tolist() == [0, 0, 1, 2, 0]
    torch.testing.assert_close(corrected.confidence[[6, 4]], torch.tensor([0.9, 0.99]))


def test_a_quota_keeps_the_most_confident_of_each_class():
    corrected = method(threshold=0.5, max_per_class=1)
    corrected.correct(torch.arange(5), BELIEFS)
    assert corrected.kept.tolist() == [False, False, True, True, True, False, False]


GIVEN = [2, 1, 2, 1, 0, 0, 1]


def in_a_round(beliefs, **options):
    """A method at the start of stage 2, whose model says ``beliefs`` of the first samples; 0 and 2 are trusted."""
    corrected = method(samples=samples(7, 3, GIVEN, trusted=[0, 2], right=[2, 2]), **options)
    corrected.over_training_set = lambda _: (torch.arange(len(beliefs)), beliefs)
    corrected.begin_stage(2)
    return corrected


def test_trusted_samples_keep_their_right_label_whatever_is_predicted():
    corrected = in_a_round(BELIEFS, threshold=0.0, soft_labels=True)
    assert corrected.kept.tolist() == [True] * 5 + [False] * 2
    assert corrected.labels[[0, 2]].tolist() == [2, 2]
    assert corrected.beliefs[[0, 1]].tolist() == [[0, 0, 1], BELIEFS[1].tolist()]


def test_trusted_samples_take_no_place_in_a_quota():
    """The model is surest of the trusted samples 0 and 2: each class still gets its most confident other sample."""
    beliefs = torch.tensor([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0.1, 0.9, 0], [0.8, 0.2, 0], [0, 0.8, 0.2]])
    corrected = in_a_round(beliefs, threshold=0.5, max_per_class=1)
    assert corrected.kept.tolist() == [True, True, True, True, False, False, False]
    assert corrected.labels[:4].tolist() == [2, 0, 2, 1]


@pytest.mark.parametrize("fresh", [True, False])
def test_the_given_label_counts_once_in_all_rounds(fresh):
    """A network that learned an image's new label has heard the given one, and says again what it was taught."""
    corrected = in_a_round(BELIEFS, threshold=0.8, given_label_evidence=True, rounds=3, fresh_model=fresh)
    once = corrected.with_evidence(BELIEFS, torch.arange(5))
    assert (once[1].max() - BELIEFS[1].max()).abs() > 0.01
    taught = corrected.kept[:5].clone()
    assert taught[[1, 3, 4]].tolist() == [True, False, True]
    for _ in range(2):
        learned = torch.where(taught[:, None], once, BELIEFS)
        corrected.over_training_set = lambda _, learned=learned: (torch.arange(5), learned)
        corrected.threshold = 0.95  # leaves out sample 1
        corrected.begin_stage(3)
        torch.testing.assert_close(corrected.confidence[[1, 3, 4]], once.amax(dim=1)[[1, 3, 4]])
        taught = corrected.kept[:5] if fresh else corrected.kept[:5] | taught
        assert taught[[1, 3, 4]].tolist() == [not fresh, False, True]


def test_the_given_label_counts_by_bayes_rule():
    corrected = method(samples=samples(7, 3, [0, 1, 1, 2, 2, 0, 1], trusted=[0, 1, 2, 3], right=[0, 0, 1, 2]))
    posterior = corrected.with_evidence(BELIEFS[:2], torch.tensor([4, 6]))
    # Counts of the trusted, one added to each: true 0 labelled 0, 1; true 1 labelled 1; true 2 labelled 2.
    transition = torch.tensor([[2, 2, 1], [1, 2, 1], [1, 1, 2]]) / torch.tensor([[5.0], [4.0], [4.0]])
    for row, given in enumerate((2, 1)):
        joint = BELIEFS[row] * transition[:, given]
        torch.testing.assert_close(posterior[row], joint / joint.sum())


def test_precision_and_recall_of_a_correction():
    given, new, clean = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 2, 2, 1]), np.array([0, 1, 1, 0, 0, 1])
    kept = np.array([True, True, True, True, True, False])
    counts = correction_metrics(given, new, kept, clean, 3)
    assert (counts["kept"], counts["changed"], counts["changed_per_class"]) == (5, 2, [0, 1, 1])
    assert counts["kept_per_class"] == [1, 2, 2]
    assert counts["kept_accuracy"] == pytest.approx(3 / 5)
    assert counts["precision"] == pytest.approx(1 / 2)  # 0 -> 1 is right, 1 -> 2 is not
    assert counts["recall"] == pytest.approx(1 / 4)  # four given labels are wrong, one was put right
    assert "precision" not in correction_metrics(given, new, kept, None, 3)


def test_a_run_learns_from_trusted_digits_and_corrects_the_rest(digits):
    outcome = digits(*STAGES)
    assert outcome.code == 0, outcome.err
    result, folder = outcome.result, outcome.folder
    noise, whole = np.load(folder / "noise.npz"), pd.read_csv(folder / "corrected_labels.csv")
    table = whole.dropna(subset="new_label").astype({"kept": bool})
    assert len(table) == result["data"]["train"] - result["data"]["trusted"]
    assert whole["index"].tolist() == list(range(len(noise["noisy_labels"])))
    assert whole["label"][table["index"]].equals(
        table["new_label"].where(table["kept"], table["given_label"]).astype(int)
    )
    np.testing.assert_array_equal(whole["given_label"], noise["noisy_labels"])
    clean = noise["clean_labels"][table["index"]]
    np.testing.assert_array_equal(table["given_label"], noise["noisy_labels"][table["index"]])
    (correction,) = result["corrections"]
    changed = table[table["kept"] & (table["given_label"] != table["new_label"])]
    assert correction["kept"] == table["kept"].sum() > 0
    assert correction["changed"] == len(changed)
    right = (changed["new_label"] == noise["clean_labels"][changed["index"]]).mean()
    assert correction["precision"] == pytest.approx(right)
    assert right > above_chance(len(changed))  # the images say which label is right
    assert (table["kept"] == (table["confidence"] > 0.8)).all()
    assert (table["new_label"] == clean)[table["kept"]].mean() > (table["given_label"] == clean).mean()
    wrong = (table["given_label"] != clean).sum()
    assert result["noise"]["train_wrong"] == wrong  # trusted labels are right, whatever was given
    kept_right = (table["new_label"] == clean)[table["kept"]].mean()
    assert [line.strip() for line in outcome.out.splitlines()[1:3]] == [
        f"trained on 400 trusted labels, then also on what was kept of {len(table)}, {wrong} of them wrong "
        f"({wrong / len(table):.1%}, symmetric)",
        f"round 1 kept {correction['kept']} of {len(table)} labels, {len(changed)} changed, "
        f"{kept_right:.1%} of the kept right",
    ]
    stages = pd.read_csv(folder / "metrics.csv")
    assert stages["stage"].tolist() == [1] * 8 + [2] * 4
    assert stages["lr"][[7, 11]].tolist() == pytest.approx([0, 0])  # cosine over each stage
    steps = stages["step"].diff()
    assert (steps[1:8] == 7).all()  # 400 trusted images in batches of 64
    assert (steps[8:] == -(-(400 + table["kept"].sum()) // 64)).all()
    assert result["protocol"]["stage1"]["epoch"] == 7
    assert result["protocol"]["last"]["trusted_test"]["accuracy"] > above_chance(100)


def test_a_correction_by_a_model_that_has_learnt_nothing_is_remarked_on(digits):
    outcome = digits(*RUN, "method.stage1_epochs=1", "trainer.max_epochs=2", "optimizer.lr=1e-9")
    (correction,) = outcome.result["corrections"]
    remark = "stage 1 may not be trained enough, try method.stage1_epochs=4 trainer.max_epochs=5"
    assert remark in correction["remark"]
    assert remark in outcome.out
    assert remark in (outcome.folder / "train.log").read_text()


@pytest.mark.parametrize(
    ("kept", "quota", "expected"),
    [
        ([5, 5], None, None),
        ([5, 4], None, "fewer than 1%"),
        ([50, 0], None, "only 1 of 2 classes"),
        ([2, 2], 2, None),  # as asked for
        ([2, 1], 2, "fewer than 1%"),
    ],
)
def test_which_corrections_are_remarked_on(kept, quota, expected):
    counts = {"round": 1, "kept": sum(kept), "candidates": 1000, "kept_per_class": kept}
    said = worthless(counts, 3, 7, quota)
    assert said is None if expected is None else said.startswith(f"{expected}: stage 1 may not be")


# Within stage 1, between the stages, within stage 2.
@pytest.mark.parametrize(
    "epoch", [pytest.param(3, marks=pytest.mark.slow), 8, pytest.param(10, marks=pytest.mark.slow)]
)
def test_a_resumed_run_repeats_no_finished_stage(digits, monkeypatch, epoch):
    with monkeypatch.context() as patch:
        stop_before(epoch, patch)
        with pytest.raises(Stopped):
            digits(*STAGES, "paths.output_dir=outputs/stopped")
    resumed = digits(*STAGES, "paths.output_dir=outputs/stopped")
    assert f"after epoch {epoch}" in resumed.out
    digits(*STAGES, "paths.output_dir=outputs/whole")
    folders = [resumed.root / f"outputs/{name}/runs" / resumed.folders[0].name for name in ("stopped", "whole")]
    assert_same_run(*folders)
    entries = [json.loads((folder / "result.json").read_text())["corrections"] for folder in folders]
    assert entries[0] == entries[1]
    assert len(entries[0]) == 1


def test_rounds_soft_labels_and_the_same_network(digits):
    options = ("method.rounds=2", "method.soft_labels=true", "method.fresh_model=false")
    outcome = digits(*RUN, "method.stage1_epochs=5", *options)
    assert outcome.code == 0, outcome.err
    stages = pd.read_csv(outcome.folder / "metrics.csv")["stage"].tolist()
    assert stages == [1] * 5 + [2] * 4 + [3] * 3
    assert [entry["round"] for entry in outcome.result["corrections"]] == [1, 2]
    assert set(outcome.result["protocol"]) == {"last", "noisy_val_best", "stage1", "stage2"}
    beliefs = weights(outcome.folder)["beliefs"]
    assert (beliefs.sum(dim=1) > 0).sum() == outcome.result["data"]["train"]


def test_patience_ends_a_stage_and_a_run_that_it_ended_trains_no_further(digits, monkeypatch):
    options = (*RUN, "method.stage1_epochs=6", "method.patience=1", "optimizer.lr=1e-9", "scheduler=none")
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", lambda *_: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            digits(*options)
    (table,) = Path().rglob("metrics.csv")
    before = table.read_text()
    outcome = digits(*options)
    assert "resuming" in outcome.out
    assert table.read_text() == before
    stages = pd.read_csv(table)["stage"].tolist()
    assert len(stages) < 12
    assert stages.count(1) < 6
    assert stages[-1] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["data.trusted=null"], "data.trusted"),
        (["trainer.max_epochs=8"], "trainer.max_epochs=8 leaves no epochs to stage 2"),
        (["method.threshold=2"], "method.threshold must be in [0, 1], got 2"),
    ],
)
def test_mistakes(digits, change, message):
    outcome = digits(*RUN, "method.stage1_epochs=8", "noise.rate=0.1", *change)
    assert outcome.code == 1
    assert message in outcome.err


def test_early_stopping_is_left_to_patience(digits):
    outcome = digits(*STAGES, "callbacks=early_stopping")
    assert outcome.code == 1
    assert "use method.patience" in outcome.err


def test_other_runs_give_their_weights_and_not_their_labels(digits):
    short = (*RUN, "method.stage1_epochs=1", "trainer.max_epochs=2", "paths.output_dir=first")
    first = digits(*short).folder
    outcome = digits(*short[:-1], f"init_from={first}/checkpoints/last.ckpt", "paths.output_dir=second")
    assert outcome.code == 0, outcome.err
    second = next(folder for folder in outcome.folders if folder != first)
    assert pd.read_csv(second / "metrics.csv")["stage"].tolist() == [1, 2]
    assert pd.read_csv(second / "metrics.csv")["train/loss"][0] < pd.read_csv(first / "metrics.csv")["train/loss"][0]


def test_corrected_labels_of_own_pictures_name_them_and_can_be_trained_on(train, tmp_path):
    """Every fifth picture is trusted; of the others a cat is labelled dog and an owl cat. Colours say what they are."""
    write_folder(tmp_path, 20)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    wrong = {"cat/cat1.png": "dog", "owl/owl2.png": "cat"}
    lines = [f"{file},{wrong.get(file, file[:3])},{'true' if i % 5 == 0 else 'false'}" for i, file in enumerate(files)]
    assert not any(line.endswith("true") for line in lines if line.split(",")[0] in wrong)
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,trusted", *lines]))
    own = ("data=table", "data.path=labels.csv", "data.test_fraction=0", "model=mlp_1x512", "trainer.precision=32-true")
    stages = ("method=label_correction", "method.stage1_epochs=15", "trainer.max_epochs=16", "method.threshold=0.5")
    outcome = train(*own, *stages, "data.batch_size=4")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "corrected_labels.csv").set_index("file")
    assert sorted(table.index) == files
    kept = table[table["kept"].eq(True)]
    assert set(kept["label"]) == {"cat", "dog", "owl"}
    for file, label in wrong.items():
        assert table["given_label"][file] == label
    assert (kept["label"] == kept.index.str[:3]).all()
    assert set(wrong) & set(kept.index)
    path = outcome.folder / "corrected_labels.csv"
    again = train(*own, "noise=file", f"noise.path={path}", "trainer.max_epochs=1", "sweep=again", "data.batch_size=16")
    assert again.code == 0, again.err
    (folder,) = (tmp_path / "outputs/again").iterdir()
    trained = np.load(folder / "noise.npz")["noisy_labels"]
    assert [["cat", "dog", "owl"][label] for label in trained] == table.sort_values("index")["label"].tolist()
