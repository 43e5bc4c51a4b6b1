import json

import numpy as np
import pytest

from lnl.auditing import read_evidence
from lnl.errors import UserError

LABELS = np.array([0, 1, 1, 0, 1, 0])


def write_run(path, labels=LABELS, folds=2, neighbours=True, seed=0):
    """A cross-validated run of samples 10, 20, …, and a trusted sample 15 that is in no fold."""
    rng = np.random.default_rng(seed)
    index = np.arange(10, 70, 10)[: len(labels)]
    probabilities = rng.dirichlet([1, 1], len(labels))
    path.mkdir(parents=True)
    np.savez(path / "out_of_fold.npz", index=index, labels=labels, probabilities=probabilities)
    (path / "result.json").write_text(json.dumps({"identity": path.name}))
    for fold in range(folds):
        held_out = np.arange(fold, len(labels), folds)
        trained = np.setdiff1d(np.arange(len(labels)), held_out)
        arrays = {
            "index": index[held_out],
            "epoch_probabilities": probabilities[held_out] / 2,
            "train_index": np.sort([15, *index[trained]]),
            "training_margin": np.insert(trained * (fold + 1.0), np.searchsorted(index[trained], 15), 99.0),
        }
        arrays["wrong_events"] = np.where(arrays["train_index"] == 15, 1, 1 / arrays["train_index"])
        if neighbours:
            arrays["neighbours"] = probabilities[held_out] ** 2
        (path / f"fold{fold + 1}").mkdir()
        (path / f"fold{fold + 1}/.identity").touch()
        np.savez(path / f"fold{fold + 1}/sample_history.npz", **arrays)
    return probabilities


def test_every_sample_has_what_its_folds_say(tmp_path):
    probabilities = write_run(tmp_path / "a", folds=3)
    evidence = read_evidence([tmp_path / "a"])
    np.testing.assert_array_equal(evidence.index, [10, 20, 30, 40, 50, 60])
    np.testing.assert_array_equal(evidence.labels, LABELS)
    np.testing.assert_array_equal(evidence.epoch_probabilities, probabilities / 2)
    np.testing.assert_array_equal(evidence.neighbours, probabilities**2)
    # sample i is trained on in the folds 1, 2, 3 but i % 3 + 1, with i times the fold's number
    np.testing.assert_allclose(evidence.training_margin, [0, 1 * 2, 2 * 1.5, 3 * 2.5, 4 * 2, 5 * 1.5])
    np.testing.assert_allclose(evidence.wrong_events, 1 / np.arange(10, 70, 10))


def test_of_several_runs_the_mean(tmp_path):
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b", folds=3, seed=1)
    evidence = read_evidence([tmp_path / "a", tmp_path / "b"])
    np.testing.assert_allclose(evidence.probabilities, (first + second) / 2)
    np.testing.assert_allclose(evidence.neighbours, (first**2 + second**2) / 2)


def test_what_a_run_has_not_kept_is_none(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "linear", neighbours=False)
    (tmp_path / "a/fold2/sample_history.npz").rename(tmp_path / "elsewhere.npz")
    evidence = read_evidence([tmp_path / "a"])
    assert {evidence.epoch_probabilities, evidence.training_margin, evidence.neighbours} == {None}
    (tmp_path / "elsewhere.npz").rename(tmp_path / "a/fold2/sample_history.npz")
    evidence = read_evidence([tmp_path / "a", tmp_path / "linear"])
    assert evidence.neighbours is None
    assert evidence.training_margin is not None


def test_runs_that_do_not_fit_are_refused(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", labels=1 - LABELS)
    write_run(tmp_path / "c", labels=LABELS[:4])
    for other in ("b", "c"):
        with pytest.raises(UserError, match=rf"{other} has other samples or labels than .*a"):
            read_evidence([tmp_path / "a", tmp_path / other])
    with pytest.raises(UserError, match=r"fold1 has no out_of_fold\.npz"):
        read_evidence([tmp_path / "a/fold1"])
    (tmp_path / "b/out_of_fold.npz").write_bytes(b"PK cut")
    with pytest.raises(UserError, match=r"b.out_of_fold\.npz cannot be read"):
        read_evidence([tmp_path / "b"])
