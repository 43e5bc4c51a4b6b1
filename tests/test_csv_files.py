"""Tables that spreadsheets wrote, and tables of files whatever these are called."""

import pandas as pd
import pytest

from lnl.csv_files import csv_text, read_csv
from lnl.errors import UserError


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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a,b\n1\n", "1 values in row 1, and 2 columns"),
        (b"a,a\n1,2\n", "two columns 'a'"),
        (b'a,b\n"1,2\n', "cannot be read as CSV"),
        (b"a,b\n1,\xe9\n", r"is not UTF-8 in line 2: save it so \(it is perhaps"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, words):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"t\.csv .*{words}"):
        read_csv(tmp_path / "t.csv")
