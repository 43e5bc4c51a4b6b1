import json

import numpy as np
import pandas as pd
import pytest

from lnl.auditing import corrected_labels
from lnl.auditing.decisions import read_audit, read_decisions, read_estimate
from lnl.errors import UserError
from lnl.labels.files import read_labels

CLASSES = ["1", "NA", "<b>", "fox"]
LABELS = pd.DataFrame({"index": range(4), "file": ["a", "b", "c, d", ""], "given_label": ["1", "NA", "<b>", "fox"]})
HEADER = "index,file,given_label,suggested_label,decision,label\n"


def test_decisions_become_a_file_that_noise_reads(tmp_path):
    path = tmp_path / "decisions.csv"
    path.write_text(HEADER + '2,"c, d",<b>,1,change,NA\n0,a,1,fox,change,fox\n1,b,NA,1,keep,NA\n3,,fox,1,unsure,fox\n')
    decisions = read_decisions(path, LABELS, CLASSES)
    table = corrected_labels(LABELS, decisions)
    assert table["label"].tolist() == ["fox", "NA", "NA", "fox"]
    assert table["changed"].tolist() == [True, False, True, False]
    table.to_csv(tmp_path / "corrected.csv", index=False)
    index, labels = read_labels(tmp_path / "corrected.csv", CLASSES)
    assert (index.tolist(), labels.tolist()) == ([0, 1, 2, 3], [3, 1, 1, 3])


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decisions_may_come_from_a_spreadsheet(tmp_path, delimiter):
    path = tmp_path / "decisions.csv"
    text = HEADER + "1,b,NA,1,change,<b>\n,,,,,\n0,a,1,fox,keep,1\n"
    path.write_bytes(("\ufeff" + text.replace(",", delimiter).replace("\n", "\r\n")).encode())
    decisions = read_decisions(path, LABELS, CLASSES)
    assert decisions[["index", "label"]].to_numpy().tolist() == [[1, "<b>"], [0, "1"]]


def test_decisions_may_come_from_label_studio(tmp_path):
    path = tmp_path / "project.csv"
    path.write_text("image,index,given_label,label,lead_time\n/a,0,1,fox,2.5\n/b,1,NA,NA,1\n")
    assert read_decisions(path, LABELS, CLASSES)["decision"].tolist() == ["change", "keep"]


def test_without_decisions_nothing_changes():
    none = pd.DataFrame({"index": np.array([], dtype=int), "label": np.array([], dtype=object)})
    table = corrected_labels(LABELS, none)
    assert table["label"].tolist() == LABELS["given_label"].tolist()
    assert not table["changed"].any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("index,label\n0,1\n", "no column given_label"),
        (HEADER + "0,a,fox,1,keep,fox\n", "about other data.* sample 0, given 'fox'"),
        (HEADER + "9,a,1,fox,keep,1\n", "about other data.* sample 9"),
        (HEADER + "0,a,1,fox,maybe,1\n", "a decision is one of keep, change, unsure"),
        (HEADER + "0,a,1,fox,change,wolf\n", "the classes are 1, NA, <b>, fox"),
        (HEADER + "0,a,1,fox,keep,fox\n", "only the decision change can have a label other than"),
        (HEADER + "0,a,1,fox,keep,1\n0,a,1,fox,keep,1\n", "different whole numbers"),
        (HEADER + "zero,a,1,fox,keep,1\n", "different whole numbers"),
        (HEADER + '0,a,"1,fox\n', "cannot be read as CSV"),
        ("", "is empty"),
    ],
)
def test_decisions_that_cannot_be_applied(tmp_path, content, message):
    path = tmp_path / "decisions.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"decisions\.csv.*{message}"):
        read_decisions(path, LABELS, CLASSES)


def test_decisions_on_other_data_are_refused_if_they_say_so(tmp_path):
    path = tmp_path / "decisions.csv"
    path.write_text(HEADER.replace("\n", ",audited\n") + "0,a,1,fox,keep,1,data-a\n1,b,NA,1,keep,NA,data-a\n")
    assert len(read_decisions(path, LABELS, CLASSES, "data-a")) == len(read_decisions(path, LABELS, CLASSES)) == 2
    with pytest.raises(UserError, match=r"it is about other data: this audit is of data-b.* of 2 such rows"):
        read_decisions(path, LABELS, CLASSES, "data-b")


def test_no_file_and_no_audit(tmp_path):
    with pytest.raises(UserError, match=r"no file of decisions at .*decisions\.csv"):
        read_decisions(tmp_path / "decisions.csv", LABELS, CLASSES)
    with pytest.raises(UserError, match=r"no audit in .*corrected_labels\.csv is missing.*output="):
        read_audit(tmp_path)
    LABELS.to_csv(tmp_path / "corrected_labels.csv", index=False)
    (tmp_path / "estimate.json").write_text(json.dumps({"classes": CLASSES}))
    table, estimate = read_audit(tmp_path)
    assert table.equals(LABELS.astype({"file": "str", "given_label": "str"}))
    assert estimate == {"classes": CLASSES}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (LABELS.drop(columns="index"), "has no column index: repeat the audit's command"),
        (LABELS.drop(columns="file"), "has no column file"),
        (LABELS.assign(index="x0"), "some `index` is no number"),
    ],
)
def test_a_table_of_labels_that_was_changed_is_named(tmp_path, changed, message):
    (tmp_path / "estimate.json").write_text(json.dumps({"classes": CLASSES}))
    changed.to_csv(tmp_path / "corrected_labels.csv", index=False)
    with pytest.raises(UserError, match=rf"corrected_labels\.csv was changed, and {message}"):
        read_audit(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]", '{"protocol": 1}'])
def test_a_damaged_estimate_is_named(tmp_path, content):
    (tmp_path / "estimate.json").write_text(content)
    with pytest.raises(UserError, match=r"estimate\.json is not the estimate of an audit.*force=true"):
        read_estimate(tmp_path)
