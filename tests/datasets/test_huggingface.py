"""Datasets that Hugging Face's library reads, from the disk."""

import sys

import numpy as np
import pytest

from lnl.data.huggingface import HuggingFaceData
from lnl.errors import UserError
from tests.datasets.own import picture, write_folder


def module(tmp_path, name, **options):
    base = {"num_classes": None, "image_size": None, "channels": 3, "mean": [0.5] * 3, "std": [0.2] * 3}
    return HuggingFaceData(name=str(name), cache_dir=tmp_path / "cache", **base | options)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The library, with its cache in the test's folder and no network."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    return datasets


def saved(hub, tmp_path, images, labels, names=("a", "b", "c")):
    features = hub.Features(
        {"picture": hub.Image(), "kind": hub.ClassLabel(names=list(names)), "note": hub.Value("string")}
    )
    rows = {"picture": images, "kind": labels, "note": ["x"] * len(labels)}
    hub.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_folder_of_pictures_keeps_its_splits_and_classes(hub, tmp_path):
    for number, split in enumerate(("train", "validation", "test")):
        write_folder(tmp_path / "own", 5 + number, split, first=10 * number)
    data = module(tmp_path, tmp_path / "own")
    data.setup()
    assert data.classes == ["cat", "dog", "owl"]
    assert data.labels.noise.kind == "given"
    for split, count in (("train", 5), ("val", 6), ("test", 7)):
        labels = data.test_labels if split == "test" else data.given[data.splits[split]]
        assert np.bincount(labels).tolist() == [count] * 3
        np.testing.assert_array_equal(data.images(split).mean(axis=(1, 2)).argmax(axis=1), labels)


def test_a_saved_dataset_is_divided_and_its_columns_are_found(hub, tmp_path):
    colours = ("cat", "dog", "owl")
    images = [str(picture(tmp_path / f"{n}.png", colours[n % 3], n)) for n in range(30)]
    data = module(tmp_path, saved(hub, tmp_path, images, [n % 3 for n in range(30)]))
    data.setup()
    assert (data.classes, data.image_size) == (["a", "b", "c"], 12)
    assert [len(data.splits[split]) for split in ("train", "val", "test")] == [19, 5, 6]
    shown = data.images("train").mean(axis=(1, 2)).argmax(axis=1)
    np.testing.assert_array_equal(shown, data.given[data.splits["train"]])
    rows = {int(name.removeprefix("train/")) for name in data.labels.names + data.dataset.test_names}
    assert rows == set(range(30))
    assert [int(name.removeprefix("train/")) % 3 for name in data.labels.names] == data.given.tolist()


def test_class_names_are_cleaned_as_labels_are_and_may_be_called_nan(hub, tmp_path):
    images = [str(picture(tmp_path / f"{n}.png", "cat", n)) for n in range(40)]
    path = saved(hub, tmp_path, images, [n % 4 for n in range(40)], ("cat ", "cafe\u0301", "nan", "1.0"))
    data = module(tmp_path, path)
    data.setup()
    assert data.classes == ["cat", "caf\u00e9", "nan", "1.0"]
    assert np.bincount(data.given).tolist() == [8] * 4


def test_rows_that_cannot_be_used_are_named_or_left_out(hub, tmp_path):
    images = [str(picture(tmp_path / f"{n}.png", "cat", n)) for n in range(30)]
    path = saved(hub, tmp_path, [None, *images[1:]], [n % 3 for n in range(29)] + [None])
    with pytest.raises(UserError, match="train/29: it has no label"):
        module(tmp_path, path).setup()
    data = module(tmp_path, path, on_error="skip")
    data.setup()
    assert dict(data.dataset.skipped) == {"train/29": "it has no label", "train/0": "it has no image"}


def test_lists_of_labels_are_named_by_the_row(hub, tmp_path):
    rows = {
        "image": [str(picture(tmp_path / f"{n}.png", "cat", n)) for n in range(4)],
        "label": [["a"], ["a", "b"]] * 2,
    }
    hub.Dataset.from_dict(rows).cast_column("image", hub.Image()).save_to_disk(tmp_path / "saved")
    with pytest.raises(UserError, match=r'train/0: its label \["a"\] is a list(.|\n)*4 of 4 samples'):
        module(tmp_path, tmp_path / "saved").setup()


def test_what_is_for_testing_alone_is_read_without_a_training_set(hub, tmp_path):
    write_folder(tmp_path / "own", 4, "test")
    data = module(tmp_path, tmp_path / "own", only_test=True)
    data.setup()
    assert data.dataset.test_names == [f"test/{place}" for place in range(12)]
    assert data.splits["test"].tolist() == list(range(12))
    assert set(data.splits) == {"test"}


def test_what_is_not_there_is_named(hub, tmp_path):
    path = saved(hub, tmp_path, [str(picture(tmp_path / "0.png"))], [0])
    with pytest.raises(UserError, match="no column 'photo', but picture, kind, note"):
        module(tmp_path, path, image="photo").setup()
    with pytest.raises(UserError, match=r"data\.name=.*nowhere cannot be loaded"):
        module(tmp_path, tmp_path / "nowhere").setup()


def test_the_extra_is_named_where_the_library_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[hf\]'"):
        module(tmp_path, "user/set").setup()
