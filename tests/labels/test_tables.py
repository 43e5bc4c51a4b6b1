"""Tables that spreadsheets wrote, and tables of files whatever these are called."""

import gzip
import io
import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from lnl.errors import UserError
from lnl.labels.tables import csv_text, read_csv


@pytest.mark.parametrize("name", ["a\rb", "a\r\nb", 'a"b', "a,b", "a;b", "a\nb", " a "])
def test_every_name_comes_back(tmp_path, name):
    table = pd.DataFrame({"file": [name, "plain"], "p_x": [0.5, 1 / 3], "flag": ["true", "false"], "index": [1, 2]})
    path = tmp_path / "t.csv"
    for text in (csv_text(table), csv_text(table[:1]) + csv_text(table[1:], header=False)):
        path.write_bytes(text.encode())
        assert read_csv(path)["file"].tolist() == [name, "plain"]
        theirs = pd.read_csv(path)
        assert theirs["file"].tolist() == [name, "plain"]
        assert theirs["p_x"].tolist() == [0.5, 0.333333]
        assert theirs["index"].tolist() == [1, 2]


def test_nothing_is_quoted_that_need_not_be():
    assert csv_text(pd.DataFrame({"file": ["a.png"], "p": [0.25]})) == "file,p\na.png,0.25\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_a_spreadsheet_writes_is_read(tmp_path, delimiter, end):
    rows = [["index ", "label", "", ""], ["0", "NA", "", ""], [""] * 4, ["1", "x,y", " ", ""], [" "] * 4]
    lines = [delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in rows]
    (tmp_path / "t.csv").write_bytes(("\ufeff" + end.join([*lines, "", ""])).encode())
    table = read_csv(tmp_path / "t.csv")
    assert table.to_dict("list") == {"index": ["0", "1"], "label": ["NA", "x,y"]}


def written(write, *values, **named) -> bytes:
    file = io.BytesIO()
    write(file, *values, **named)
    return file.getvalue()


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "caf\u00e9")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a,b\n1\n", "1 values in row 1, and 2 columns"),
        (b"a,a\n1,2\n", "two columns 'a'"),
        (b'a,b\n"1,2\n', "cannot be read as CSV"),
        (b'{"file":"a.png","label":"cat"}\n{"file":"b.png"}\n', "is JSON .*to_csv.*; CSV is read here"),
        (b'\xef\xbb\xbf{ "file" : 1}\n', "is JSON"),
        (json.dumps([1, 2], indent=1).encode(), "is JSON"),
        (json.dumps([{"file": "a"}], indent=1).encode(), "is JSON"),
        (zipped("xl/workbook.xml"), "is an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "is an Excel workbook"),
        (zipped("content.xml"), "is a workbook of LibreOffice"),
        (zipped("notes.txt"), "is a zip archive"),
        (b"PK\x03\x04 half", "is a damaged zip archive"),
        (written(np.savez, labels=np.arange(3)), "is an .npz of NumPy's with the arrays labels"),
        (written(np.save, np.arange(3)), "is a NumPy array"),
        (written(lambda file: torch.save({"a": torch.zeros(1)}, file)), "is a file of torch.save"),
        (pickle.dumps([1]), "is a pickle"),
        (gzip.compress(b"file,label\n", mtime=0), r"is compressed \(decompress it\)"),
        (b"PAR1\x15\x04", "is a Parquet file"),
        (b"<!DOCTYPE html><html>", "is a page of HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ("file,label\n".encode("utf-16-le"), "is not text"),
        (b"a,b\n1,\xe9\n", r"is not UTF-8 in line 2: save it so \(it is perhaps"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, words):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"t\.csv .*{words}") as caught:
        read_csv(tmp_path / "t.csv")
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("text", ["[x],label\n1,2\n", "{a},b\n1,2\n", "<b>,c\n1,2\n", "PK,b\n1,2\n"])
def test_a_header_may_begin_as_another_kind_of_file_does(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    assert read_csv(tmp_path / "t.csv").shape == (1, 2)
