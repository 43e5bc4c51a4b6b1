import numpy as np
import pytest

from lnl.errors import UserError
from lnl.labels.files import read_labels

CLASSES = ("cat", "dog", "fox")
LABELS = [2, 0, 1, 1, 0]


def write(path, content):
    if path.suffix == ".npy":
        np.save(path, np.array(LABELS))
    else:
        path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.npy", None),
        ("bare.csv", "2\n0\n1\n1\n0\n"),
        ("header.csv", "label\n2\n0\n1\n1\n0\n"),
        ("names.csv", "label\nfox\n cat\ndog\ndog \ncat\n"),
        ("excel.csv", "\ufeffindex;label;file;\r\n4;cat;e,f;\r\n;;;\r\n0;fox;;\r\n1;cat;;\r\n3;dog;;\r\n2;dog;;\r\n"),
        ("tabs.csv", "label\tindex\nfox\t0\n\t\ncat\t1\ndog\t2\ndog\t3\ncat\t4\n"),
        ("index.csv", "index,label,file\n4,0,e\n0,2,a\n1,0,b\n3,1,d\n2,1,c\n"),
    ],
)
def test_every_format_gives_the_same_labels(tmp_path, name, content):
    index, labels = read_labels(write(tmp_path / name, content), CLASSES)
    assert index.tolist() == [0, 1, 2, 3, 4]
    assert labels.tolist() == LABELS
    assert labels.dtype == np.int64


def test_an_array_is_read_by_the_rule_of_all_labels(tmp_path):
    """By name where one class is called by the number of another."""
    np.save(tmp_path / "labels.npy", [1, 1, 2])
    assert read_labels(tmp_path / "labels.npy", ("1", "2", "3"))[1].tolist() == [0, 0, 1]
    np.save(tmp_path / "labels.npy", [0, 1, 2])
    with pytest.raises(ValueError, match="'0' is no class; the classes are 1, 2, 3, by name and not by number"):
        read_labels(tmp_path / "labels.npy", ("1", "2", "3"))


@pytest.mark.parametrize(
    "array",
    [np.array(LABELS)[:, None], np.array(LABELS, float), np.array(CLASSES)[LABELS], np.array(CLASSES, "S")[LABELS]],
)
def test_an_array_may_be_a_column_and_hold_numbers_or_names(tmp_path, array):
    np.save(tmp_path / "labels.npy", array)
    assert read_labels(tmp_path / "labels.npy", CLASSES)[1].tolist() == LABELS


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.eye(10)[[3, 1]], r"must be \[N\], got \[2, 10\]; array.argmax\(1\)"),
        (np.array([LABELS]), r"must be \[N\], got \[1, 5\]$"),
        (np.array(1), r"must be \[N\], got \[\]"),
        (np.array([0, np.nan, 1]), "the label in row 2 is empty"),
        (np.array([0, 1j]), "must be numbers or names, got complex128"),
        (np.array([0.5, 1]), "'0.5' is no class"),
        (np.array([-1, 1]), "'-1' is no class"),
        (np.array([{}], dtype=object), "it holds Python objects"),
        (b"", "no array of NumPy's"),
        (b"label\ncat\n", "no array of NumPy's"),
        (b"\x93NUMPY\x01\x00 half", "it is damaged"),
    ],
)
def test_an_array_of_another_form_is_named(tmp_path, array, message):
    path = tmp_path / "labels.npy"
    path.write_bytes(array) if isinstance(array, bytes) else np.save(path, array, allow_pickle=True)
    with pytest.raises(ValueError, match=rf"labels\.npy cannot be used as labels: .*{message}"):
        read_labels(path, CLASSES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label\ncat\nwolf\n", "'wolf' is no class"),
        ("0\n3\n", "'3' is no class; the classes are cat, dog, fox"),
        ("index,label\n0,1\n0,2\n", "different whole numbers"),
        ("index,label\n0,1\n1.5,2\n", "different whole numbers"),
        ("index;label\n0;1\n1;0;2\n", "3 values in row 2, and 2 columns"),
        ("index,class\n0,1\n", "its columns are index, class"),
        ("label\n0\n\n1.5\n", "'1.5' is no class"),
        ("label\ncat\n1\n", "'1' is no class"),
        ("index,label\n0,1\n1,\n", "row 2 is empty"),
        (
            '["cat"]\n',
            "is JSON (pandas.read_json(...).to_csv(..., index=False) makes a CSV of it); a CSV, or a .npy of",
        ),
        ("0,cat\n1,dog\n", "no column 'label', or no header"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, message):
    path = write(tmp_path / "labels.csv", content)
    with pytest.raises((ValueError, UserError), match=r"labels\.csv") as error:
        read_labels(path, CLASSES)
    assert message in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"no file of labels at .*missing\.csv"):
        read_labels(tmp_path / "missing.csv", CLASSES)
