"""What stands for a user's data in a run's identity."""

import numpy as np
import pandas as pd
import pytest

from lnl.datasets import contents
from lnl.datasets.contents import fingerprints
from tests.datasets.own import picture, write_arrays, write_folder, write_table


def of(path, **data):
    return fingerprints({"path": str(path), **data})


@pytest.mark.parametrize(
    "change",
    [
        lambda root: picture(root / "cat/new.png"),
        lambda root: (root / "cat/cat0.png").unlink(),
        lambda root: (root / "cat/cat0.png").rename(root / "dog/cat0.png"),
        lambda root: (root / "cat").rename(root / "cow"),
        lambda root: (root / "cat/cat0.png").write_bytes(b""),
        lambda root: (root / "linked/new.png").write_bytes(b""),
        lambda root: (root / "linked/cat/new.png").write_bytes(b""),  # a split may be a link too
    ],
)
def test_a_folder_is_its_files_names_and_sizes(tmp_path, change):
    root = write_folder(tmp_path / "data")
    (tmp_path / "elsewhere/cat").mkdir(parents=True)
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "linked/loop").symlink_to(root)
    before = of(root)
    assert of(root.rename(tmp_path / "moved")) == before
    (tmp_path / "moved").rename(root)
    change(root)
    assert of(root) != before


def test_what_is_no_labelled_picture_does_not_count(tmp_path):
    root = write_folder(tmp_path / "data")
    before = of(root)
    for name in (".DS_Store", "cat/.hidden.png", ".git/cat/a.png", "audit/index.html", "outputs/runs/a/figures/l.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "loose.png").write_bytes(b"")
    assert of(root) == before


def test_a_dataset_in_a_folder_is_all_its_files(tmp_path):
    (tmp_path / "set/train").mkdir(parents=True)
    (tmp_path / "set/train/data.arrow").write_bytes(b"12")
    before = fingerprints({"name": str(tmp_path / "set")})
    (tmp_path / "set/.lock").write_bytes(b"")
    assert fingerprints({"name": str(tmp_path / "set")}) == before
    (tmp_path / "set/train/data.arrow").write_bytes(b"123")
    assert fingerprints({"name": str(tmp_path / "set")}) != before


def test_a_folder_may_be_called_what_hydra_reads_as_a_number(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "2024")
    monkeypatch.chdir(tmp_path)
    assert fingerprints({"path": 2024}) == of(root)


def test_a_table_is_its_content_and_the_sizes_of_its_files(tmp_path):
    path = write_table(tmp_path / "data")
    columns = {"columns": {"file": "file"}, "root": None}
    before = of(path, **columns)
    assert of(path, columns={"file": "file"}, root=str(path.parent)) == before
    (path.parent / "cat/cat3.png").write_bytes(b"")
    assert of(path, **columns) != before
    path.write_bytes(b"file\n\xff\x00\n")  # whatever it is
    assert of(path, **columns) != before


def test_a_parquet_table_is_the_sizes_of_its_files_too(tmp_path):
    pytest.importorskip("pyarrow")
    path = write_table(tmp_path / "data").with_suffix(".parquet")
    pd.read_csv(path.with_suffix(".csv")).to_parquet(path)
    columns = {"columns": {"file": "file"}}
    before = of(path, **columns, root=None)
    assert of(path, **columns, root=str(path.parent)) == before
    assert of(path, **columns, root=str(write_folder(tmp_path / "other", classes=("cat",)))) != before
    path.write_bytes(b"PAR1")  # damaged: what is wrong, the data says
    assert "path" not in of(path, **columns)


def test_every_label_of_a_large_table_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "WHOLE", 100)
    path = write_table(tmp_path / "data", per_class=300)
    before = of(path)
    path.write_text(path.read_text().replace("cat/cat150.png,cat", "cat/cat150.png,dog"))
    assert of(path) != before


@pytest.mark.parametrize("whole", [True, False])
def test_arrays_are_their_content_large_or_not(tmp_path, monkeypatch, whole):
    images = np.random.default_rng(0).integers(0, 256, (9000, 8, 8, 3), dtype=np.uint8)
    path = write_arrays(tmp_path / "a.npz", images=images)
    if not whole:
        monkeypatch.setattr(contents, "WHOLE", 1000)
        monkeypatch.setattr(contents, "PARTS", 3)
        monkeypatch.setattr(contents, "PART", 2000)
    before = of(path)
    assert of(write_arrays(tmp_path / "b.npz", images=images)) == before
    images[2000, 3, 3, 1] ^= 1
    assert of(write_arrays(path, images=images)) != before


def test_names_of_nothing_on_the_disk_stay(tmp_path):
    assert of("nowhere", name="user/set") == {}
