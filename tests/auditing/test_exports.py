"""Files for Label Studio and FiftyOne."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from lnl.auditing.exports import check_exports, chosen, write_exports
from lnl.datasets.pictures import Files
from lnl.datasets.source import Dataset
from lnl.errors import UserError
from lnl.labels import Labels

CLASSES = ["cat", 'a "dog" & <co>\nor two']
FILES = ["cat/1.jpg", "cat/2 #ä&b=%.jpg", "dog/3.jpg"]
NONE = np.zeros((0, 8, 8, 3), np.uint8)


@pytest.fixture
def dataset(tmp_path):
    labels = Labels.true(np.array([0, 0, 1]), CLASSES)
    return Dataset(NONE, labels, NONE, np.zeros(0, int), originals=Files(tmp_path / "photos", FILES))


def issues():
    return pd.DataFrame(
        {
            "rank": [1, 2, 3],
            "index": [1, 2, 0],
            "file": [FILES[1], FILES[2], FILES[0]],
            "given_label": [CLASSES[0], CLASSES[1], CLASSES[0]],
            "suggested_label": [CLASSES[1], CLASSES[0], CLASSES[1]],
            "score": [0.9, 0.5, 0.1],
            "issue": [True, False, False],
            "self_confidence": [0.25, 0.5, 0.75],
        }
    )


def kinds():
    return pd.DataFrame({"kind": ["near_duplicate", "dark"], "index": [2, 2]})


def test_label_studio_gets_a_task_for_each_label_with_the_suggestion_as_prediction(dataset, tmp_path):
    written = write_exports(["label_studio"], tmp_path, issues(), kinds(), CLASSES, dataset)
    assert [path.name for path in written] == ["label_studio.json", "label_studio.xml"]
    tasks = json.loads(written[0].read_text(encoding="utf-8"))
    interface = ElementTree.fromstring(written[1].read_text(encoding="utf-8"))
    image, choices = interface.find("Image"), interface.find("Choices")
    assert [choice.get("value") for choice in choices] == CLASSES
    assert choices.get("toName") == image.get("name")
    for task, row in zip(tasks, issues().to_dict("records"), strict=True):
        address = urlsplit(task["data"][image.get("value").removeprefix("$")])
        assert address.path == "/data/local-files/"
        # From the document root, which has to be above the folder of the pictures.
        assert parse_qs(address.query) == {"d": [f"photos/{row['file']}"]}
        (prediction,) = task["predictions"]
        (result,) = prediction["result"]
        assert (result["from_name"], result["to_name"]) == (choices.get("name"), image.get("name"))
        chosen_already = row["suggested_label"] if row["issue"] else row["given_label"]
        assert (result["type"], result["value"]) == ("choices", {"choices": [chosen_already]})
        assert (prediction["score"], task["data"]["flagged"]) == (row["score"], row["issue"])
    assert len({task["predictions"][0]["result"][0]["id"] for task in tasks}) == 3
    assert [task["data"]["kinds"] for task in tasks] == ["", "near_duplicate, dark", ""]


def test_fiftyone_gets_given_labels_by_absolute_paths(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = Files(Path("photos/../photos"), FILES)
    for originals in (dataset.originals, relative):
        content = Dataset(NONE, dataset.labels, NONE, np.zeros(0, int), originals=originals)
        (path,) = write_exports(["fiftyone"], tmp_path, issues(), kinds(), CLASSES, content)
        read = json.loads(path.read_text(encoding="utf-8"))
        assert read["classes"] == CLASSES
        assert list(read["labels"]) == [str(tmp_path / "photos" / file) for file in issues()["file"]]
        assert [CLASSES[label["label"]] for label in read["labels"].values()] == issues()["given_label"].tolist()
        assert [label["confidence"] for label in read["labels"].values()] == [0.25, 0.5, 0.75]
    assert read["labels"][str(tmp_path / "photos" / FILES[2])]["attributes"] == {
        "index": 2,
        "rank": 2,
        "given_label": CLASSES[1],
        "suggested_label": CLASSES[0],
        "score": 0.5,
        "flagged": False,
        "kinds": "near_duplicate, dark",
    }


def test_names_that_are_no_text_are_no_obstacle(tmp_path):
    files = ["cat/\udcff.jpg", *FILES[1:]]
    labels = Labels.true(np.array([0, 0, 1]), CLASSES)
    content = Dataset(NONE, labels, NONE, np.zeros(0, int), originals=Files(tmp_path, files))
    written = write_exports(["label_studio", "fiftyone"], tmp_path, issues(), None, CLASSES, content)
    tasks = json.loads(written[0].read_text(encoding="utf-8"))
    assert tasks[2]["data"]["image"].endswith("/cat/%FF.jpg")
    assert len(json.loads(written[2].read_text(encoding="utf-8"))["labels"]) == 3


def test_exports_are_named_one_or_several():
    for given, expected in ((None, []), ("fiftyone", ["fiftyone"]), (["label_studio", "fiftyone"],) * 2, ([], [])):
        assert chosen(given) == expected
    with pytest.raises(UserError, match="export is cvat, and must be null, label_studio or fiftyone, or a list"):
        chosen(["fiftyone", "cvat"])


def test_pictures_without_files_and_files_with_two_labels_are_refused(dataset):
    with pytest.raises(UserError, match="export=label_studio needs pictures that are files"):
        check_exports(["label_studio"], Dataset(NONE, dataset.labels, NONE, np.zeros(0, int)))
    check_exports([], Dataset(NONE, dataset.labels, NONE, np.zeros(0, int)))
    twice = Files(dataset.originals.root, [FILES[0], FILES[1], FILES[0]])
    content = Dataset(NONE, dataset.labels, NONE, np.zeros(0, int), originals=twice)
    check_exports(["label_studio"], content)
    with pytest.raises(UserError, match=r"cat/1.jpg has 2 labels, and FiftyOne knows one of each file"):
        check_exports(["fiftyone"], content)
