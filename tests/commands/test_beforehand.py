"""A mistake in a user's data is answered before torch is imported, with the words of the run that would find it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from tests.datasets.own import picture, write_arrays, write_table

# Runs command lines one after the other in a process without torch.
DRIVER = """
import contextlib, importlib, io, json, sys
from lnl.app import cli
outcomes = []
for name, *arguments in json.loads(sys.argv[1]):
    module = importlib.import_module(name)
    sys.argv = [name, *arguments]
    err, code = io.StringIO(), 0
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli.run(module.job, name.removeprefix("lnl."))
        except SystemExit as stop:
            code = stop.code
    outcomes.append([code, err.getvalue(), "torch" in sys.modules])
print(json.dumps(outcomes))
"""

TABLE = ("data=table", "data.path=own/labels.csv")
MISTAKES = {
    "no path": (["lnl.train", "data=folder"], "data.path has to be given: data.path=..."),
    "no such folder": (["lnl.train", "data=folder", "data.path=nowhere"], "there is no folder nowhere: set data.path"),
    "a column": (["lnl.train", *TABLE, "data.columns.label=lable"], "has no column 'lable'; did you mean 'label'?"),
    "a root": (
        ["lnl.train", "data=table", "data.path=beside.csv"],
        "beside.csv names 24 files, and none of them is in .: cat/cat0.png is the first.\n"
        "data.root=own says what names are relative to.",
    ),
    "a root far away": (["lnl.train", *TABLE, "data.root=found"], "data.root=own says what names are relative to."),
    "a value": (["lnl.train", *TABLE, "data.columns.label=null"], "data.columns.label must be text, got null"),
    "a seed": (["lnl.train", "data=digits", "seed=1.5"], "seed must be a whole number, got 1.5"),
    "a rate": (["lnl.train", "data=digits", "noise.rate=7"], "noise.rate must be between 0 and 1, got 7"),
    "folds": (["lnl.train", "data=digits", "data.folds=1"], "data.folds must be a number of at least 2, got 1"),
    "labels": (["lnl.train", *TABLE, "noise=file", "noise.path=no.csv"], "there is no file of labels at no.csv"),
    "labels of other classes": (
        ["lnl.train", *TABLE, "noise=file", "noise.path=bad.csv"],
        "bad.csv cannot be used as labels: 'cow' is no class; the classes are cat, dog, owl",
    ),
    "labels of other files": (
        ["lnl.train", *TABLE, "noise=file", "noise.path=other.csv"],
        "other.csv is of other files: 1 of 1 are not for training, first cow.png.",
    ),
    "labels of digits": (
        ["lnl.train", "data=digits", "noise=file", "noise.path=no.csv"],
        "there is no file of labels at no.csv",
    ),
    "trusted labels": (["lnl.train", *TABLE, "data.trusted=no.csv"], "there is no file of labels at no.csv"),
    "trusted labels of digits": (
        ["lnl.train", "data=digits", "data.trusted=no.npy"],
        "there is no file of labels at no.npy",
    ),
    "none trusted": (
        ["lnl.train", *TABLE, "method=mw_net"],
        "needs samples with trusted labels: a column trusted (true or false) in the table, or data.trusted=",
    ),
    "weights": (["lnl.train", "data=digits", "init_from=no.ckpt"], "there is no checkpoint at no.ckpt"),
    "arrays": (
        ["lnl.train", "data=arrays", "data.path=a.npz", "data.classes=[x,y]"],
        "'2' is no class; the classes are",
    ),
    "rows that all leave the folder": (
        ["lnl.train", "data=table", "data.root=own", "data.path=studio.csv", "data.on_error=skip"],
        "no sample can be used.\n24 of 24 samples are left out (data.on_error=skip), first studio.csv, row 1, ",
    ),
    "an audit in its data": (
        ["lnl.audit", "data.path=own", "output=own/audit"],
        "output=own/audit is inside data.path",
    ),
    "no folds": (["lnl.audit", "data.path=own", "data.folds=null"], "an audit needs all folds"),
    "no suspects": (["lnl.audit", "data.path=own", "suspects=0"], "suspects must be a number of at least 1, got 0"),
    "no audit": (["lnl.audit", "apply=decisions.csv", "output=nowhere"], "there is no audit in nowhere"),
    "JSON": (["lnl.train", "data=table", "data.path=labels.jsonl"], "labels.jsonl is JSON (pandas.read_json"),
    "Excel": (
        ["lnl.train", "data=table", "data.path=labels.xlsx", "data.encoding=cp1252"],
        "labels.xlsx is an Excel workbook (save it as CSV); CSV or Parquet is read here.",
    ),
    "no header": (["lnl.train", "data=table", "data.path=list.txt"], "has no column 'file', or no header: its first"),
    "an .npz for labels": (
        ["lnl.train", "data=digits", "noise=file", "noise.path=a.npz"],
        "a.npz is an .npz of NumPy's with the arrays images, labels; a CSV, or a .npy of labels, is read here.",
    ),
    "probabilities for labels": (
        ["lnl.train", "data=digits", "noise=file", "noise.path=eye.npy"],
        "eye.npy cannot be used as labels: it must be [N], got [9, 9]; array.argmax(1) makes labels",
    ),
    "several labels": (
        ["lnl.train", "data=table", "data.root=own", "data.path=choices.csv"],
        'choices.csv, row 1, cat/cat0.png: its label {"choices": ["cat", "owl"]} is a list or an object, of several l',
    ),
    "splits without classes": (
        ["lnl.train", "data=folder", "data.path=flat"],
        "<class>/*.jpg.\nLabels in a table are read by data=table, such as data.path=flat/train/_classes.csv",
    ),
    "a level too high": (
        ["lnl.train", "data=folder", "data.path=."],
        "data.path=own reads the 3 classes cat, dog, owl (24 pictures)",
    ),
    "a class": (
        ["lnl.train", "data=folder", "data.path=own/cat"],
        "If cat is a class beside dog, owl: data.path=own",
    ),
    "a small class": (
        ["lnl.audit", "data=folder", "data.path=own", "output=found", "features=pixels"],
        "the class 'owl' has 4 of 24 pictures (copies count once), fewer than data.folds=5: every fold needs one.\n"
        "data.min_per_class=5 leaves such classes out; or set fewer folds.",
    ),
    "an audit of nothing": (["lnl.audit", "data=folder", "data.path=no", "output=found"], "there is no folder no: set"),
}


def run(tmp_path, *commands, driver=DRIVER):
    arguments = [sys.executable, "-c", driver, json.dumps(commands)]
    environment = os.environ | {"LNL_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def own(tmp_path):
    write_table(tmp_path / "own")
    for number in range(4, 10):
        (tmp_path / f"own/owl/owl{number}.png").unlink()
    lines = (tmp_path / "own/labels.csv").read_text().splitlines()[:25]
    text = "\n".join(lines) + "\n"
    (tmp_path / "own/labels.csv").write_text(text)
    shutil.copy(tmp_path / "own/labels.csv", tmp_path / "beside.csv")
    (tmp_path / "bad.csv").write_text(text.replace("cat0.png,cat", "cat0.png,cow"))
    (tmp_path / "other.csv").write_text("file,label\ncow.png,cat\n")
    write_arrays(tmp_path / "a.npz")
    table = pd.DataFrame([line.split(",") for line in lines[1:]], columns=["file", "label"])
    table.assign(file="/data/upload/7/" + table["file"]).to_csv(tmp_path / "studio.csv", index=False)
    table.to_json(tmp_path / "labels.jsonl", orient="records", lines=True)
    table.to_csv(tmp_path / "list.txt", sep=" ", header=False, index=False)
    table["label"] = [json.dumps({"choices": [label, "owl"]}) for label in table["label"]]
    table.to_csv(tmp_path / "choices.csv", index=False)
    with zipfile.ZipFile(tmp_path / "labels.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", "")
    np.save(tmp_path / "eye.npy", np.eye(9))
    for split in ("train", "test"):
        picture(tmp_path / "flat" / split / "cat0.png")
        (tmp_path / "flat" / split / "_classes.csv").write_text("filename,cat\n")
    return tmp_path


@pytest.mark.slow  # a process without torch
def test_mistakes_are_found_without_torch(own):
    outcomes = run(own, *(arguments for arguments, _ in MISTAKES.values()))
    for (code, err, _), (_, words) in zip(outcomes, MISTAKES.values(), strict=True):
        assert words in err
        assert (code, "Traceback" in err, len(err.strip().splitlines()) <= 2) == (1, False, True)
        assert len(err) < 500
    assert [name for name, (*_, torch) in zip(MISTAKES, outcomes, strict=True) if torch] == []
    assert not list(own.rglob(".identity"))


@pytest.mark.slow  # a process without torch
def test_jobs_of_a_sweep_are_answered_without_torch(own):
    ((code, err, torch),) = run(own, ["lnl.train", "-m", *TABLE, "data.columns.label=lable,lible"])
    assert (code, torch) == (1, False)
    assert "has no column 'lable'" in err
    assert "has no column 'lible'" in err


@pytest.mark.parametrize("mistake", ["a column", "labels of other classes", "none trusted", "a small class"])
def test_a_process_with_torch_says_the_same(own, train, audit, mistake):
    (name, *arguments), words = MISTAKES[mistake]
    outcome = {"lnl.train": train, "lnl.audit": audit}[name](*arguments)
    assert outcome.code == 1
    assert words in outcome.err
