import json

import numpy as np
import pytest

CV = ("data.folds=3", "trainer.max_epochs=6", "noise.rate=0.2")


def test_every_training_label_is_predicted_once_by_a_model_that_did_not_see_it(digits):
    outcome = digits(*CV)
    assert outcome.code == 0, outcome.err
    folder = next(path for path in outcome.folders if not path.name.startswith("fold"))
    noise, out = np.load(folder.joinpath("fold1/noise.npz")), np.load(folder / "out_of_fold.npz")
    np.testing.assert_array_equal(out["index"], np.arange(len(noise["noisy_labels"])))
    np.testing.assert_array_equal(out["labels"], noise["noisy_labels"])
    np.testing.assert_allclose(out["probabilities"].sum(axis=1), 1, rtol=1e-5)
    result = json.loads((folder / "result.json").read_text())
    folds = [json.loads((folder / f"fold{i}/result.json").read_text()) for i in (1, 2, 3)]
    for i, fold in enumerate(folds, 1):
        part = np.load(folder / f"fold{i}/out_of_fold.npz")
        hits = part["probabilities"].argmax(axis=1) == part["labels"]
        assert hits.mean() == pytest.approx(fold["protocol"]["last"]["val"]["accuracy"])
        assert len(hits) == fold["data"]["val"]
        np.testing.assert_array_equal(out["probabilities"][part["index"]], part["probabilities"])
    each = [fold["protocol"]["last"]["test"]["accuracy"] for fold in folds]
    summary = result["cross_validation"]["test_accuracy"]
    assert (summary["mean"], summary["std"]) == pytest.approx((np.mean(each), np.std(each, ddof=1)))
    assert summary["each"] == each
    assert result["protocol"]["last"]["test"]["accuracy"] == pytest.approx(np.mean(each))
    assert result["time"]["fit_seconds"] == pytest.approx(sum(fold["time"]["fit_seconds"] for fold in folds))
    assert "cross-validated on 3 folds" in outcome.out
    wrong = int((noise["noisy_labels"] != noise["clean_labels"]).sum())
    whole = result["cross_validation"]
    assert (whole["labels"], whole["wrong_rate"]) == (len(out["labels"]), pytest.approx(wrong / len(out["labels"])))
    assert wrong != round(folds[0]["noise"]["train_rate"] * folds[0]["data"]["train"])
    said = f"trained on {len(out['labels']):,} labels cut into folds, {wrong} of them wrong"
    assert said in outcome.out
    assert said in digits(*CV).out  # which is finished


def test_finished_folds_are_not_trained_again(digits):
    outcome = digits(*CV)
    folder = next(path for path in outcome.folders if not path.name.startswith("fold"))
    before = (folder / "result.json").read_bytes()
    (folder / "result.json").unlink()  # as if it had been killed
    (folder / "fold3/result.json").unlink()
    times = [(folder / f"fold{i}/checkpoints/last.ckpt").stat().st_mtime_ns for i in (1, 2)]
    digits(*CV)
    assert times == [(folder / f"fold{i}/checkpoints/last.ckpt").stat().st_mtime_ns for i in (1, 2)]
    again = json.loads((folder / "result.json").read_text())
    assert again["cross_validation"] == json.loads(before)["cross_validation"]
    assert "finished already" in digits(*CV).out


def test_a_smoke_run_is_of_one_fold(digits):
    outcome = digits(*CV, "trainer.fast_dev_run=true")
    assert outcome.code == 1
    assert "set data.fold=1" in outcome.err
    assert digits(*CV, "trainer.fast_dev_run=true", "data.fold=1").code == 0


def test_a_fold_without_wrong_labels_lacks_a_metric(digits):
    outcome = digits("data.folds=2", "data.subset=40", "noise.rate=0.02", "noise.seed=4")
    assert outcome.code == 0, outcome.err
    folder = next(path for path in outcome.folders if not path.name.startswith("fold"))
    folds = [json.loads((folder / f"fold{i}/result.json").read_text())["protocol"]["last"]["train"] for i in (1, 2)]
    assert ("memorised" in folds[0]) != ("memorised" in folds[1])
    merged = json.loads((folder / "result.json").read_text())["protocol"]["last"]["train"]
    assert "memorised" not in merged
    assert merged["accuracy"] == pytest.approx(np.mean([fold["accuracy"] for fold in folds]))


def test_a_mistake_leaves_no_folder(digits):
    for mistake in ("data.folds=abc", "data.subset=99999"):
        outcome = digits("data.folds=2", mistake)
        assert outcome.code == 1
        assert mistake.split("=")[0] in outcome.err
        assert not list(outcome.root.rglob(".identity"))
