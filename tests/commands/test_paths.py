"""Files and folders as people call them, through every command."""

import json
import shutil

import pandas as pd
import pytest

from tests.datasets.own import write_folder

PHOTOS = "My photos (new), a=b"
SMALL = ("model=mlp_1x512", "trainer.max_epochs=1", "trainer.precision=32-true", "data.batch_size=8")


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "the home, 1"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def test_every_command_takes_names_of_any_signs(train, predict, export, evaluate, report, tmp_path, home):
    write_folder(home / PHOTOS)
    run = "~/run (1)"
    outcome = train(f"data.path=~/{PHOTOS}", f"hydra.run.dir={run}", *SMALL)
    assert (outcome.code, outcome.err) == (0, "")
    result = json.loads((home / "run (1)/result.json").read_text())
    assert result["data"]["classes"] == ["cat", "dog", "owl"]
    assert predict(f"~/{PHOTOS}", f"run={run}", "output=~/seen, all.csv").code == 0
    assert len(pd.read_csv(home / "seen, all.csv")) == 30
    assert predict(f"images=['~/{PHOTOS}/cat']", f"run={run}", "output=it's").code == 0
    assert len(pd.read_csv(tmp_path / "it's")) == 10
    assert predict(f"~/{PHOTOS}/cat", f"~/{PHOTOS}/dog", f"run={run}", "output=2024_10").code == 0
    assert len(pd.read_csv(tmp_path / "2024_10")) == 20
    assert export(run, "format=safetensors", "output=the=model").code == 0
    assert (tmp_path / "the=model/model.json").is_file()
    assert "test, 6 images" in evaluate(run, f"data.path=~/{PHOTOS}").out  # but for those it was trained on
    assert evaluate(run, "output=all (1).csv").code == 0
    assert (tmp_path / "all (1).csv").is_file()
    shutil.copytree(home / "run (1)", tmp_path / "its run, again")
    quick = ("tables=[md]", "figures=[]", "page=false")
    assert report(run, "its run, again", "output_dir=~/rep,orts", "name=007", *quick).code == 0
    assert (home / "rep,orts/007/report.md").is_file()
    assert report(f"runs=[{run},'its run, again']", "name=second", *quick).code == 0
    assert not list(tmp_path.rglob("~"))


def test_an_audit_takes_names_of_any_signs(audit, tmp_path, home):
    write_folder(tmp_path / PHOTOS)
    outcome = audit(PHOTOS, "output=~/audit [1]", "data.folds=2", *SMALL)
    assert (outcome.code, outcome.err) == (0, "")
    issues = pd.read_csv(home / "audit [1]/issues.csv").head(1)
    decided = issues[["index", "file", "given_label", "suggested_label"]].assign(decision="keep", label="cat")
    decided.assign(label=decided["given_label"]).to_csv(tmp_path / "decisions (1).csv", index=False)
    assert audit("apply=decisions (1).csv", "output=~/audit [1]").code == 0
    assert len(pd.read_csv(home / "audit [1]/decided_labels.csv")) == 30
    assert audit("runs=[~/audit [1]/run]", "output=2024_10").code == 0
    assert (tmp_path / "2024_10/index.html").is_file()
    assert not list(tmp_path.rglob("~"))


def test_a_home_is_found_in_files_and_the_environment_too(digits, report, tmp_path, home, monkeypatch):
    monkeypatch.setenv("LNL_CACHE_DIR", "~/cache")
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/e.yaml").write_text("# @package _global_\npaths: {output_dir: ~/out}\n")
    outcome = digits("--config-dir=mine", "-m", "experiment=e", "seed=0,1", "trainer.max_epochs=1", "model=mlp_1x512")
    assert outcome.code == 0, outcome.err
    assert len(list((home / "out/e").glob("*/result.json"))) == 2
    assert report("~/out/e", "paths.output_dir='~/out'", "figures=[]", "page=false").code == 0
    assert (home / "out/reports/e/report.md").is_file()
    assert not list(tmp_path.rglob("~"))


def test_a_sweep_over_paths_trains_on_each(train, tmp_path):
    write_folder(tmp_path / "a (1)")
    write_folder(tmp_path / "2024_10", per_class=9)
    outcome = train("-m", "data.path=a (1),2024_10", *SMALL)
    assert outcome.code == 0, outcome.err
    results = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/runs/*/result.json")]
    assert sorted(result["config"]["data"]["path"] for result in results) == ["2024_10", "a (1)"]


@pytest.mark.parametrize("shared", ["method.threshold=0.7", "++method.threshold=0.7"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_sweep_over_options_takes_a_key_that_they_share(digits, shared, order):
    swept = ["method=dynamic_weight,label_correction", shared][::order]
    fixed = ("data.trusted=100", "data.subset=200", "model=mlp_1x512", "trainer.max_epochs=4")
    outcome = digits("-m", *fixed, *swept)
    assert outcome.code == 0, outcome.err
    results = [json.loads(path.read_text()) for path in outcome.root.rglob("result.json")]
    assert {result["method"]: result["config"]["method"]["threshold"] for result in results} == {
        "dynamic_weight": 0.7,
        "label_correction": 0.7,
    }


def test_an_audit_without_data_says_what_to_give(audit, tmp_path):
    for arguments in ((), ("data=null",), ("trainer.max_epochs=3",)):
        outcome = audit(*arguments)
        assert outcome.code == 1
        assert outcome.err == (
            "error: which labels? data.path=FOLDER, with a folder of pictures for each class, or data.path=labels.csv\n"
            "A data set is audited by its name, such as data=digits; --help has more.\n"
        )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert audit("--cfg", "job").out.startswith("data:\n  data_dir: ")
    assert audit("--help").out.splitlines()[3].split()[0] == "data.path=FOLDER"
    assert "data.num_classes is needed: choose an option of data" in audit("--cfg", "job", "--resolve").err


def test_a_prediction_without_a_run_names_the_newest(trained, predict, export, tmp_path):
    write_folder(tmp_path / "photos")
    newest = trained("trainer.max_epochs=1").folder.relative_to(tmp_path)
    for outcome in (predict("photos"), export()):
        assert (outcome.code, outcome.err) == (1, f"error: which run? run={newest} is the newest\n")
