"""Whatever is wrong with a user's data is said in a line or two that name it, and nothing of it is changed."""

import io
import os
import pickle
import re

import numpy as np
import pytest

from lnl.errors import UserError
from tests.bad_files import BAD_FILES
from tests.datasets.own import arrays, folder, picture, table, write_arrays, write_folder, write_table

A = "cat/cat0.png"


def listed(extra="", **options):
    return lambda root: table(write_table(root, extra), **options)


def in_arrays(**changes):
    return lambda root: arrays(write_arrays(root / "a.npz", **changes))


def content(name, value, kind, **options):
    """A file of the user's with this content, to be read as this kind of data."""

    def make(root):
        (root / name).write_bytes(value)
        return kind(root / name, **options)

    return make


def npy(array):
    """The content of a file of this array."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def without_train(root):
    write_folder(root, split="test")
    return folder(root)


def class_in_test_alone(root):
    write_folder(root, split="train", classes=("cat", "dog"))
    write_folder(root, split="test", first=50)
    return folder(root)


def true_class_in_test_alone(root):
    path = write_table(root, header="file,label")
    rows = [line.split(",") for line in path.read_text().split()[1:]]
    lines = [
        f"{file},{label},{'test' if i < 5 else 'train'},{'emu' if i == 3 else label}"
        for i, (file, label) in enumerate(rows)
    ]
    path.write_text("\n".join(["file,label,split,true_label", *lines]))
    return table(path)


def beside_train(root):
    write_folder(write_folder(root, split="train"), classes=("cow",))
    return folder(root)


def splits_of_pictures(*folders):
    def make(root):
        for name in folders:
            for number in range(6):
                picture(root / name / f"{number}.png", number=number)
            (root / name / "_classes.csv").write_text("filename,cat\n")
        return folder(root)

    return make


def deeper(root):
    write_folder(root)
    (root / "cat").rename(root / "2023")
    (root / "cat").mkdir()
    (root / "2023").rename(root / "cat/2023")
    return folder(root)


def years(root):
    for label in ("cat", "dog"):
        write_folder(root / label, 2, classes=("2023", "2024"))
    return folder(root)


def wrapped(root):
    """As an archive of splits unpacks."""
    for split in ("train", "test"):
        write_folder(root / "archive/photos", 4, split)
    (root / "__MACOSX").mkdir()
    return folder(root)


def linked(root):
    (root / "linked").symlink_to(write_folder(root.parent / "elsewhere"))
    return folder(root)


def beside_deeper(root):
    for number in range(3):
        picture(root / "preview" / f"{number}.png", number=number)
    write_folder(root / "flowers")
    return folder(root)


def flat(root):
    for number in range(3):
        picture(root / f"{number}.png")
    return folder(root)


def table_in_folder(root):
    (root / "labels.csv").write_text("file,label\n")
    return folder(root)


def link_in_a_circle(root):
    write_folder(root)
    (root / "loop").symlink_to(root / "loop")
    return folder(root)


def not_utf8_name(root):
    write_folder(root)
    os.rename(picture(root / "cat/a.png"), os.fsencode(root / "cat") + b"/caf\xe9.png")
    return folder(root)


def objects(root):
    (root / "images.npy").write_bytes(pickle.dumps([1]))
    np.save(root / "labels.npy", np.arange(3))
    return arrays(root / "images.npy", labels=root / "labels.npy")


def no_labels(root):
    np.save(root / "images.npy", np.zeros((3, 8, 8), np.uint8))
    return arrays(root / "images.npy")


def half_of_an_npz(root):
    whole = write_arrays(root / "a.npz").read_bytes()
    (root / "a.npz").write_bytes(whole[: len(whole) // 2])
    return arrays(root / "a.npz")


IMAGES = np.zeros((30, 8, 8, 3), np.uint8)
NOT_UTF8 = b"file,label\ncat/cat0.png,cat\ndog/dog0.png," + b"caf\xe9\n"
MIXED = "file,label\na.png,caf\u00e9\n".encode() + "b.png,caf\u00e9\n".encode("latin-1")

# What makes the data, and what the message says.
MISTAKES = {
    # folders
    "no such folder": (lambda root: folder(root / "nowhere"), "there is no folder .*nowhere"),
    "a file for a folder": (lambda root: folder(picture(root / "a.png")), "a.png is a file; data=folder reads folders"),
    "a misspelt folder": (lambda root: folder(write_folder(root / "pets").with_name("pet")), "; did you mean 'pets'?"),
    "an archive": (lambda root: folder(picture(root / "a.zip")), "a.zip is an archive: unpack it, and name the folder"),
    "classes in an archive's folders": (
        wrapped,
        "but 24 in folders inside them. data.path=.*archive/photos reads the 3 classes cat, dog, owl .24 pictures",
    ),
    "classes in a linked folder": (linked, "data.path=.*data/linked reads the 3 classes cat, dog, owl .30 pictures"),
    "classes or folders in classes": (
        years,
        "if the classes are cat, dog, move their pictures up, or .*data=table.*If they are the folders inside: "
        "data.path=.*cat reads the 2 classes 2023, 2024 .4 pictures.; data.path=.*dog reads",
    ),
    "classes deeper beside pictures": (
        beside_deeper,
        "flowers has no picture itself, but 30 in .* data.path=.*flowers reads the 3 classes cat, dog, owl",
    ),
    "the folder of a class": (
        lambda root: folder(write_folder(root) / "cat"),
        "10 pictures are in .*cat itself.* If cat is a class beside dog, owl: data.path=.*data reads them all",
    ),
    "an empty folder": (folder, "there are no pictures"),
    "pictures without classes": (flat, "3 pictures are in .* itself"),
    "a table in a folder": (table_in_folder, "data=table data.path=.*labels.csv"),
    "one class": (lambda root: folder(write_folder(root, classes=("cat",))), r"only one class \(cat\)"),
    "too few": (lambda root: folder(write_folder(root, 1)), "too few to hold out"),
    "test without train": (without_train, "no train/"),
    "a true class in test alone": (true_class_in_test_alone, r"test has the class 'emu' \(1 samples, .* training set"),
    "a class in test alone": (class_in_test_alone, r"test has the class 'owl' \(10 samples.* training set lacks"),
    "a class beside train": (beside_train, "beside it cow"),
    "splits without classes": (
        splits_of_pictures("train", "valid", "test"),
        r"test, train, valid in .*: lnl expects .*/train/<class>/\*.jpg. .* data=table, .*/_classes.csv",
    ),
    "one split without classes": (splits_of_pictures("Train"), "Train in .* have pictures.* the names of splits"),
    "splits without classes, and a folder": (splits_of_pictures("train", "test", "extra"), "test, train in .* splits"),
    "no class in train": (
        lambda root: folder(write_folder(splits_of_pictures("train")(root).source.folder, split="test")),
        "train has no class folders with pictures",
    ),
    "a class whose pictures are deeper": (deeper, "cat has no picture itself, but 10 in folders inside it"),
    "all pictures deeper": (
        lambda root: folder(write_folder(root / "data/training_set").parents[1]),
        "but 30 in folders inside them. data.path=.*data/training_set reads the 3 classes cat, dog, owl .30 pictures.",
    ),
    "a folder in a circle": (link_in_a_circle, "loop cannot be read: Too many levels of symbolic links"),
    "a name that is not UTF-8": (not_utf8_name, r"cat/caf\\udce9.png: its name is not UTF-8"),
    # tables
    "no such table": (lambda root: table(root / "x.csv"), "there is no file .*x.csv"),
    "a folder for a table": (table, "is a folder, no table"),
    "an empty CSV": (content("a.csv", b"", table), "a.csv is empty"),
    "a CSV with a header alone": (content("a.csv", b"file,label\n", table), "a header and no rows"),
    "a missing column": (content("a.csv", b"file,lable\na,b\n", table), "no column 'label'; did you mean 'lable'"),
    "a column twice": (content("a.csv", b"file,label,label\na,b,c\n", table), "two columns 'label'"),
    "a row of too many values": (content("a.csv", b"file,label\na,b,c\n", table), "3 values in row 1, and 2 columns"),
    "the decisions of an audit": (
        content("d.csv", b"index,file,given_label,decision,label\n0,a.png,cat,change,dog\n", table),
        "lnl audit apply=.*d.csv output=FOLDER, with the audit's folder, turns them into labels",
    ),
    "a named column that is not there": (listed(columns={"split": "part"}), "no column 'part'"),
    "a CSV that is not UTF-8": (content("a.csv", NOT_UTF8, table), "a.csv is not UTF-8 in line 3.*data.encoding"),
    "mixed encodings": (content("a.csv", MIXED, table), "a.csv is not UTF-8 in line 3"),
    "UTF-16": (content("a.csv", "file,label\n".encode("utf-16"), table), "line 1.*perhaps utf-16"),
    "no encoding": (content("a.csv", b"file,label\n", table, encoding="utf-9"), "utf-9 is no encoding"),
    "no Parquet": (content("a.parquet", b"PAR1 nothing", table), "pyarrow|cannot be read as Parquet"),
    "a missing file": (listed("cat/none.png,cat\n"), "cat/none.png: there is no such file"),
    "several missing files": (
        listed("a.png,cat\nb.png,cat\nc.png,cat\nd.png,cat\n"),
        "4 of 34 samples cannot be used: a.png, b.png, c.png and 1 more",
    ),
    "no file named": (listed(",cat\n"), "labels.csv, row 31: it names no file"),
    "a path that leaves the root": (listed("../x.png,cat\n"), r"row 31, \.\./x.png: it leaves the folder"),
    "an absolute path outside the root": (listed("/etc/passwd.png,cat\n"), "row 31, .*: it leaves .*set data.root"),
    "a URL": (listed("https://a.b/c.png,cat\n"), "row 31, .*: it is a URL: download the pictures"),
    "backslashes": (listed("cat\\cat0.png,cat\n"), r"row 31, .*: there is no such file: write / in place of \\"),
    "a sample of arrays": (listed("sample 3,cat\n"), "row 31, sample 3: it is no file, .* noise=file"),
    "several labels, as JSON": (listed(f'{A},"[""cat"", ""owl""]"\n'), r"row 31, .*\[\"cat\", \"owl\"\] .* several"),
    "several labels, as Python writes them": (listed(f"{A},\"['cat', 'owl']\"\n"), "row 31, .* several labels"),
    "labels in an object": (listed(f'{A},"{{""choices"": [""cat""]}}"\n'), "row 31, .*is a list or an object"),
    "files outside the root alone": (
        lambda root: content("a.csv", b"file,label\n../a.png,cat\n../b.png,dog\n", table)(root),
        "a.csv, row 1, .*: it leaves the folder .* 2 of 2 samples",
    ),
    "no label at all": (content("a.csv", b"file,label\na.png,\nb.png,\n", table), "a.png: it has no label 2 of 2"),
    "splits of other names": (
        content("a.csv", b"file,label,split\na.png,cat,tain\nb.png,dog,tain\n", table),
        "row 1, a.png: its split 'tain' .* 2 of 2 samples",
    ),
    "no class that is asked for": (listed(classes=["a", "b"]), "cat/cat0.png: its label 'cat' is no .* 30 of 30"),
    "nothing left": (
        content("a.csv", b"file,label\n../a.png,cat\n", table, on_error="skip"),
        "no sample can be used. 1 of 1 samples are left out .*: it leaves the folder",
    ),
    "no header": (content("a.txt", b"cat/0.png cat\ncat/1.png cat\n", table), "no column 'file', or no header"),
    "unusable rows of all kinds": (
        listed(",cat\nx.png,\n"),
        "31: it names no file 2 of 32 samples cannot be used",
    ),
    "trusted samples alone": (
        in_arrays(trusted=np.ones(30, bool)),
        "0 of 30 samples are too few to hold out .* trusted, .* data.test_fraction=0",
    ),
    "labels of -1": (in_arrays(labels=np.arange(30) % 3 - 1), "whole numbers from 0, or names; 10 are not, first -1"),
    "labels between": (in_arrays(labels=np.arange(30) % 3 / 2), "labels must be whole numbers from 0.* first 0.5"),
    "no label": (listed("cat/x.png,\n"), "cat/x.png: it has no label"),
    "a NaN label": (listed("cat/x.png,NaN\n"), "cat/x.png: it has no label"),
    "a label outside the classes": (listed(classes=["cat", "dog"]), "owl/owl0.png: its label 'owl' is no class"),
    "a class number outside the classes": (listed(f"{A},3\n", classes=["cat", "dog", "owl"]), "its label '3' is no"),
    "another number of classes": (listed(num_classes=4), "data.num_classes is 4, but the labels have 3"),
    # arrays
    "no such arrays": (lambda root: arrays(root / "a.npz"), "there is no file .*a.npz"),
    "no images": (in_arrays(images=None), "no array `images`"),
    "no labels": (in_arrays(labels=None), "no array `labels`"),
    "neither images nor labels": (in_arrays(images=None, labels=None), "no array `images`"),
    "images without labels": (no_labels, "set data.labels"),
    "images of two dimensions": (in_arrays(images=IMAGES[0, ..., 0]), r"must be \[N, H, W\].*got \[8, 8\]"),
    "channels first": (in_arrays(images=IMAGES.transpose(0, 3, 1, 2)), r"images.transpose\(0, 2, 3, 1\)"),
    "images of floats": (in_arrays(images=IMAGES / 255), "must be uint8 in 0..255, got float64"),
    "more images than labels": (in_arrays(labels=np.arange(29)), "30 images and 29 labels"),
    "one-hot labels": (in_arrays(labels=np.eye(30)), r"\[N\] numbers or names, got \[30, 30\]"),
    "NaN in labels": (in_arrays(labels=np.where(np.arange(30) == 7, np.nan, np.arange(30) % 3)), "sample 7: it has no"),
    "pickled labels": (in_arrays(labels=np.array([{}] * 30, dtype=object)), "holds Python objects.* not read"),
    "a pickle": (objects, "images.npy is not a NumPy file: np.savez"),
    "objects": (
        content("a.npy", npy(np.array([{}] * 3, object)), arrays, labels="b.npy"),
        "a.npy holds Python objects",
    ),
    "a table for arrays": (content("x.npz", b"file,label\na.png,cat\n", arrays), "x.npz is not a NumPy file: np.savez"),
    "half of an array": (content("a.npy", npy(np.zeros(99))[:200], arrays, labels="b.npy"), "a.npy is damaged: "),
    "half of an .npz": (half_of_an_npz, "a.npz is damaged"),
    "trusted of another length": (in_arrays(trusted=np.ones(3, bool)), r"trusted must be 30 .* got \[3\]"),
    "test images of another size": (
        in_arrays(test_images=np.zeros((3, 9, 9, 3), np.uint8), test_labels=np.arange(3)),
        r"test_images are \[3, 9, 9, 3\]",
    ),
}


def files(root):
    """All there is, with what is in it."""
    return {
        path: path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in root.rglob("*")
        if "cache" not in path.parts
    }


def message(data) -> str:
    with pytest.raises(UserError) as caught:
        data.setup()
    return str(caught.value)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(tmp_path, mistake):
    make, words = MISTAKES[mistake]
    root = tmp_path / "data"
    root.mkdir()
    data = make(root)
    before = files(root)
    said = message(data)
    assert re.search(words, said.replace("\n", " ")), said
    assert said.count("\n") <= 1
    assert files(root) == before


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_named_or_left_out_as_is_asked(tmp_path, kind):
    make, reason = BAD_FILES[kind]
    root = write_folder(tmp_path / "data")
    make(root / "dog/bad.jpg")
    before = files(root)
    said = message(folder(root))
    assert re.match(rf"dog/bad.jpg: .*{reason}.*\n.*data.on_error=skip", said), said
    data = folder(root, on_error="skip")
    data.setup()
    others = 1 if kind == "a symbolic link in a circle" else 0
    assert len(data.labels.names) + len(data.dataset.test_names) == 30
    assert len(data.dataset.skipped) == 1 + others
    assert dict(data.dataset.skipped)["dog/bad.jpg"]
    (said,) = (remark for remark in data.dataset.remarks if "skip" in remark)
    assert said.startswith(f"{1 + others:,} sample")
    assert "\n  dog/bad.jpg: " in said
    assert files(root) == before


def test_there_are_thirty_kinds_and_more():
    assert len(MISTAKES) + len(BAD_FILES) >= 30
