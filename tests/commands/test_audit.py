"""``python -m lnl.audit`` as a user runs it."""

import json
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

from tests.auditing.suspects import embedded_data
from tests.datasets.own import write_arrays
from tests.generated import write_cifar, write_cifar_n

SMALL = ("data=digits", "noise=symmetric", "noise.rate=0.3", "data.subset=600", "data.folds=3", "trainer.max_epochs=6")
SMALL = (*SMALL, "trainer.precision=32-true", "output=found", "data.augment=none", "model.channels=[8,32,64]")


@pytest.fixture
def audited(audit):
    """An audit of 600 digits, a third of them labelled wrong, in the folder ``found``."""
    outcome = audit(*SMALL)
    assert outcome.code == 0, outcome.err
    return outcome


def test_an_audit_of_digits(audited, audit, train):
    found = audited.root / "found"
    assert {path.name for path in found.iterdir()} == {
        *("run", "issues.csv", "corrected_labels.csv", "estimate.json", "index.html")
    }
    issues, estimate = pd.read_csv(found / "issues.csv"), json.loads((found / "estimate.json").read_text())
    out, noise = np.load(found / "run/out_of_fold.npz"), np.load(found / "run/fold1/noise.npz")
    assert sorted(issues["index"]) == out["index"].tolist()
    assert len(issues) == estimate["samples"] == 600
    given, clean = (noise[name][issues["index"]] for name in ("noisy_labels", "clean_labels"))
    np.testing.assert_array_equal(issues["given_label"], given)
    assert issues["rank"].tolist() == list(range(1, 601))
    by_index = issues.set_index("index").loc[out["index"]]
    np.testing.assert_allclose(
        by_index["self_confidence"], out["probabilities"][np.arange(600), out["labels"]], rtol=1e-5, atol=1e-9
    )

    wrong, quality = given != clean, estimate["quality"]
    assert quality["average_precision"] == pytest.approx(average_precision_score(wrong, issues["score"]), abs=1e-4)
    assert quality["average_precision"] >= quality["cleanlab_average_precision"] > quality["chance"] == wrong.mean()
    assert quality["precision"] == wrong[issues["issue"]].mean()
    accepted = np.where(issues["issue"], issues["suggested_label"], given)
    assert quality["wrong_after"] == pytest.approx((accepted != clean).mean())
    assert quality["wrong_after"] < quality["wrong_before"] == wrong.mean()
    assert f"average precision {quality['average_precision']:.4f}" in audited.out
    assert "found/index.html" in audited.out
    assert "<html" in (found / "index.html").read_text()

    # The corrected labels are of the whole training set, and a run can have them.
    corrected = pd.read_csv(found / "corrected_labels.csv")
    assert corrected["index"].tolist() == list(range(len(noise["noisy_labels"])))
    expected = noise["noisy_labels"].copy()
    expected[issues["index"]] = accepted
    np.testing.assert_array_equal(corrected["label"], expected)
    assert corrected["changed"].sum() == issues["issue"].sum() > 0
    path = f"noise.path={found / 'corrected_labels.csv'}"
    again = train("data=digits", "noise=file", path, "trainer.max_epochs=1", "hydra.run.dir=again")
    assert again.code == 0, again.err
    np.testing.assert_array_equal(np.load(again.root / "again/noise.npz")["noisy_labels"], expected)

    # The same command is done at once; one fold of it is trained again if it is lost.
    before = {path.name: path.read_bytes() for path in found.glob("*.*")}
    (found / "run/result.json").unlink()
    (found / "run/fold2/result.json").unlink()
    times = [(found / f"run/fold{i}/checkpoints/last.ckpt").stat().st_mtime_ns for i in (1, 3)]
    assert audit(*SMALL).code == 0
    assert times == [(found / f"run/fold{i}/checkpoints/last.ckpt").stat().st_mtime_ns for i in (1, 3)]
    assert before == {path.name: path.read_bytes() for path in found.glob("*.*")}
    assert "finished already" in audit(*SMALL).out

    # Another audit does not write over it.
    outcome = audit(*SMALL, "noise.rate=0.1")
    assert outcome.code == 1
    assert "found holds an audit of other pictures, labels or options: choose another output=" in outcome.err

    # A run that is there can be audited, here by its own probabilities.
    outcome = audit("runs=found/run", "output=other")
    assert outcome.code == 0, outcome.err
    pd.testing.assert_frame_equal(pd.read_csv(found.parent / "other/issues.csv"), issues)
    assert not (found.parent / "other/run").exists()
    outcome = audit("runs=[found/run,found/run/fold1]", "output=third")
    assert outcome.code == 1
    assert "fold1" in outcome.err

    # Decisions of the page.
    rows = issues.iloc[:3].assign(decision=["change", "keep", "unsure"])
    rows["label"] = [9 - rows["given_label"].iloc[0], *rows["given_label"].iloc[1:]]
    rows["audited"] = estimate["audited"]
    rows.to_csv("decisions.csv", index=False)
    outcome = audit("apply=decisions.csv", "output=found")
    assert outcome.code == 0, outcome.err
    assert "3 decisions (1 change, 1 keep, 1 unsure): 1 of 1,438 labels changed" in outcome.out
    decided = pd.read_csv(found / "decided_labels.csv")
    expected = noise["noisy_labels"].copy()
    expected[rows["index"].iloc[0]] = rows["label"].iloc[0]
    np.testing.assert_array_equal(decided["label"], expected)
    pd.testing.assert_frame_equal(pd.read_csv(found / "corrected_labels.csv"), corrected)  # the suggestions are kept
    rows.assign(audited="data-0123456789ab").to_csv("decisions.csv", index=False)
    refused = audit("apply=decisions.csv", "output=found").err
    assert "decisions.csv: it is about other data: this audit is of data-" in refused
    rows.assign(given_label=(rows["given_label"] + 1) % 10).to_csv("decisions.csv", index=False)
    outcome = audit("apply=decisions.csv", "output=found")
    assert outcome.code == 1
    assert "decisions.csv: it is about other data" in outcome.err
    for index in (5.5, "inf"):
        rows.assign(index=[index, 1, 2]).to_csv("decisions.csv", index=False)
        assert "`index` must be different whole numbers" in audit("apply=decisions.csv", "output=found").err


def test_an_audit_by_another_model_takes_the_place_of_one_by_force(audit):
    """Whatever `conf/` has; and what is killed after it began to take the place goes on without force."""
    small = (
        "data=digits",
        "noise=symmetric",
        "data.subset=200",
        "data.folds=2",
        "trainer.max_epochs=1",
        "output=found",
    )
    found = audit(*small).root / "found"
    (found / "decided_labels.csv").write_text("of the first")
    other = (*small, "model=mlp_1x512", "optimizer=adam")
    assert "choose another output=" in audit(*other).err
    assert (found / "decided_labels.csv").exists()
    outcome = audit(*other, "force=true")
    assert outcome.code == 0, outcome.err
    assert not (found / "decided_labels.csv").exists()
    result = json.loads((found / "run/result.json").read_text())
    assert (result["model"], result["config"]["optimizer"]["lr"]) == ("mlp_1x512", 0.001)
    assert "200 labels (not judged: 1,238 training and 359 test labels)" in outcome.out
    first = json.loads((found / "estimate.json").read_text())["runs"]
    (found / "run/result.json").unlink()
    (found / "estimate.json").unlink()  # as of a kill
    assert audit(*other).code == 0
    assert json.loads((found / "estimate.json").read_text())["runs"] == first

    linear = ("method=fit_once", "model=histogram_logistic")
    outcome = audit(*small[:-1], "output=linear", *linear)
    assert outcome.code == 0, outcome.err
    text = "ranked without neighbours, which the runs did not record"
    assert text in outcome.out


def test_a_run_on_labels_by_people_is_audited_wherever_the_data_lies_now(train, audit, tmp_path, monkeypatch):
    write_cifar(tmp_path / "then", monkeypatch)
    write_cifar_n(tmp_path / "then")
    few = ("trainer.max_epochs=1", "data.folds=2", "trainer.precision=32-true", "data.test_subset=null")
    everything = ("data.subset=null", "data.val_subset=null", "hydra.run.dir=people")
    run = train("data=cifar10", "noise=human", f"paths.data_dir={tmp_path / 'then'}", *few, *everything)
    assert run.code == 0, run.err
    (tmp_path / "then").rename(tmp_path / "now")
    outcome = audit("runs=people", "output=found", f"paths.data_dir={tmp_path / 'now'}")
    assert outcome.code == 0, outcome.err
    issues = pd.read_csv(outcome.root / "found/issues.csv")
    assert len(issues) == 500


def test_runs_are_audited_with_the_data_that_they_were_trained_on(audit, train, tmp_path):
    for number in range(40):
        path = tmp_path / f"photos/{'ab'[number % 2]}/{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 200 * (number % 2) + number).save(path)
    small = ("data=folder", "data.path=photos", "data.folds=2", "trainer.max_epochs=1", "model=mlp_1x512")
    outcome = train(*small, "hydra.run.dir=there")
    assert outcome.code == 0, outcome.err
    outcome = audit("runs=the*", "output=found")
    assert outcome.code == 0, outcome.err
    assert "ranked without neighbours, training_margin, wrong_events, which the runs did not record" in outcome.out
    assert "<h1>photos: doubtful labels</h1>" in (tmp_path / "found/index.html").read_text()
    decisions = pd.read_csv(tmp_path / "found/issues.csv").head(2).assign(decision="keep")
    decisions["label"], decisions["file"] = decisions["given_label"], "elsewhere/" + decisions["file"]
    decisions.to_csv(tmp_path / "decisions.csv", index=False)
    assert "this audit has no such file" in audit("apply=decisions.csv", "output=found").err

    assert "leave out data=folder" in audit("runs=there", "output=found", "data=folder", "data.path=elsewhere").err
    assert "is inside data.path=" in audit(*small, "output=photos/found").err
    (tmp_path / "photos/a/00.png").rename(tmp_path / "photos/b/00.png")
    assert "there: its data, or lnl, has changed since it was trained" in audit("runs=there", "output=found").err


@pytest.mark.slow
def test_only_runs_of_the_same_data_have_a_mean(audit, train, tmp_path):
    """The same names and labels, other pictures; and the second run's data as it was no longer."""
    rng = np.random.default_rng(0)
    for root in ("one", "two"):
        for number in range(20):
            path = tmp_path / f"{root}/{'ab'[number % 2]}/{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256 if root == "one" else 9, (8, 8), dtype=np.uint8)).save(path)
    small = ("data=folder", "data.folds=2", "trainer.max_epochs=1", "model=mlp_1x512")
    for run, root, seed in (("a", "one", 0), ("b", "one", 1), ("c", "two", 0)):
        assert train(*small, f"data.path={root}", f"seed={seed}", f"hydra.run.dir=runs/{run}").code == 0
    assert audit("runs=[runs/a,runs/b]", "output=found").code == 0
    refused = audit("runs=[runs/a,runs/c]", "output=other")
    assert refused.code == 1
    assert "runs/c and runs/a have different data" in refused.err
    (tmp_path / "two/a/00.png").unlink()
    refused = audit("runs=[runs/a,runs/c]", "output=other")
    assert "runs/c: its data, or lnl, has changed since it was trained" in refused.err
    assert not (tmp_path / "other").exists()


MISTAKES = {
    "no folds": (["data.folds=null"], ["needs all folds", "data.folds=5"]),
    "one fold": (["data.fold=1"], ["needs all folds"]),
    "fewer samples in a class than folds": (
        ["data.subset=60", "data.folds=7"],
        ["the class", "fewer than data.folds=7"],
    ),
    "more folds than samples": (["data.subset=12", "data.folds=20"], ["data.folds=20"]),
    "a smoke run": (["trainer.fast_dev_run=true"], ["leave out trainer.fast_dev_run"]),
    "no pictures": (["suspects=0"], ["suspects must be a number of at least 1"]),
    "a page of no size": (["page_mb=-1"], ["page_mb must be a number of megabytes, at least 0, got -1"]),
    "runs that are none": (["runs=nowhere"], ["there is no folder nowhere"]),
    "runs and what they are to be": (["runs=x", "model=cnn"], ["leave out model=cnn"]),
    "no output": (["output="], ["the name of a folder is empty"]),
    "decisions that are none": (["apply=nowhere.csv", "output=empty"], ["no audit in empty", "output="]),
    "a sweep": (["-m"], ["leave out -m"]),
    "a network without features": (["features=fourier", "model=resnet18"], ["audit needs features", "features=pixels"]),
    "a value that the model refuses": (["model.num_features=7"], ["error: model.num_features must be even"]),
    "an unknown network": (["model=timm", "model.name=resnet9999"], ["error: model: name: timm has no network"]),
    "a misspelt key": (["suspect=3"], ["no 'suspect'", "did you mean 'suspects'"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_said_and_leaves_nothing(audit, name):
    arguments, expected = MISTAKES[name]
    outcome = audit(*(["data=digits"] if not name.startswith("runs") else []), "output=found", *arguments)
    assert outcome.code == 1
    for words in expected:
        assert words in outcome.err
    assert "Traceback" not in outcome.err
    assert not (outcome.root / "found").exists()
    assert not list(outcome.root.rglob("*.csv"))


@pytest.mark.parametrize(("noise", "rate"), [("asymmetric", 0.4), ("symmetric", 0.2)])
def test_small_grey_images_are_judged_by_their_pixels(audit, noise, rate):
    outcome = audit("data=digits", f"noise={noise}", f"noise.rate={rate}", "output=found")
    assert outcome.code == 0, outcome.err
    found = outcome.root / "found"
    assert not (found / "run").exists()
    assert not (found / "pictures.csv").exists()
    estimate = json.loads((found / "estimate.json").read_text())
    quality, (low, high) = estimate["quality"], estimate["wrong_interval"]
    assert abs(estimate["wrong"] - quality["wrong_before"]) < 0.03
    assert low < quality["wrong_before"] < high
    assert quality["average_precision"] > 0.95
    assert quality["wrong_after"] < quality["wrong_before"] / 3
    assert any(pair["systematic"] for pair in estimate["pairs"]) == (noise == "asymmetric")


def test_copies_are_one_picture_of_their_class(audit, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    images[2::3] = images[2]  # the third class, ten times the same
    write_arrays(tmp_path / "a.npz", images=images)
    outcome = audit("data=arrays", "data.path=a.npz", "data.folds=3", "output=found")
    assert outcome.code == 1
    assert "the class '2' has 1 of 21 pictures (copies count once), fewer than data.folds=3" in outcome.err


def test_the_files_of_a_folder_are_named(audit, train, tmp_path):
    """Digits in folders whose names look like class numbers and are none; ten of them in the wrong one."""
    digits = load_digits()
    wrong = []
    for name, digit in (("1", 0), ("2", 6), ("3", 4)):
        places = np.flatnonzero(digits.target == digit)[:60]
        for i, place in enumerate(places):
            other = name == "1" and i < 10
            called = f"{digit}-{i}\r.png" if i == 59 else f"{digit}-{i}.png"  # which ends a line
            path = tmp_path / "photos" / ("3" if other else name) / called
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(digits.images[place] * (255 / 16)).astype(np.uint8)).save(path)
            wrong += [f"3/{path.name}"] * other
    small = ("data.folds=3", "data.augment=none", "data.batch_size=16", "data.split_seed=1", "model.channels=[8,16,32]")
    outcome = audit("data=folder", "data.path=photos", "output=found", "trainer.precision=32-true", "page_mb=0", *small)
    assert outcome.code == 0, outcome.err
    assert "average precision" not in outcome.out  # nobody knows the truth
    found = tmp_path / "found"
    assert "quality" not in json.loads((found / "estimate.json").read_text())
    issues = pd.read_csv(found / "issues.csv", dtype=str)
    assert all((tmp_path / "photos" / file).is_file() for file in issues["file"])
    assert (issues["file"].str.split("/").str[0] == issues["given_label"]).all()
    assert set(issues["file"].iloc[:10]) == set(wrong)
    assert outcome.out.endswith("found/index.html (0.1 MB; 180 of 180 pictures are links)\n")
    links = embedded_data(found / "index.html")["link"]
    assert [unquote(link) for link in links] == [f"../photos/{file}" for file in issues["file"]]
    assert set(issues["suggested_label"].iloc[:10]) == {"1"}

    corrected = pd.read_csv(found / "corrected_labels.csv", dtype=str)
    accepted = issues[issues["issue"] == "true"]
    assert set(corrected["file"][corrected["changed"] == "true"]) == set(accepted["file"])
    again = train(
        "data=folder",
        "data.path=photos",
        "data.test_fraction=0",
        "noise=file",
        f"noise.path={found / 'corrected_labels.csv'}",
        "model=mlp_1x512",
    )
    assert again.code == 0, again.err
    run = next(path for path in again.folders if "found" not in path.parts)
    assert [str(number + 1) for number in np.load(run / "noise.npz")["noisy_labels"]] == corrected["label"].tolist()


def test_files_that_no_audit_wrote_are_not_replaced(audit, tmp_path):
    (tmp_path / "found").mkdir()
    (tmp_path / "found/index.html").write_text("mine")
    outcome = audit("data=digits", "noise=symmetric", "data.subset=200", "data.folds=2", "output=found")
    assert outcome.code == 1
    assert (
        outcome.err
        == "error: found has index.html, and no audit: choose another output=, or replace it by force=true.\n"
    )
    assert (tmp_path / "found/index.html").read_text() == "mine"
