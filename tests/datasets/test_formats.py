"""Formats of pictures: which are read, and what is said of the others."""

import numpy as np
import pytest
from PIL import Image, features

from lnl.datasets.pictures import PictureError, read_picture
from lnl.errors import UserError
from lnl.files import READS_HEIF
from tests.datasets.own import folder, picture, table, write_folder, write_table

without_plugin = pytest.mark.skipif(READS_HEIF, reason="pillow-heif is installed")
with_plugin = pytest.mark.skipif(not READS_HEIF, reason="pillow-heif is not installed")
with_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")

START = b"\0\0\0\x18ftypheic" + bytes(20)  # of a HEIC file, whatever its name
CONVERT = "(magick mogrify -format jpg *.heic)"


def message(data):
    with pytest.raises(UserError) as caught:
        data.setup()
    assert str(caught.value).count("\n") <= 1
    return str(caught.value)


def write(root, *names, content=START):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


@without_plugin
def test_a_folder_of_other_formats_is_counted_by_format(tmp_path):
    write(tmp_path / "data", "cat/1.heic", "cat/2.HEIF", "dog/3.HEIC", "dog/4.mov", "x.nef")
    said = message(folder(tmp_path / "data"))
    assert said == (
        f"no picture of {tmp_path}/data can be read: 3 files are HEIC, which needs pillow-heif "
        f"(pip install pillow-heif) or conversion to JPEG {CONVERT}; 1 file is video, which is not read: "
        "ffmpeg -i FILE -r 1 %04d.jpg makes pictures; 1 file is RAW, which is not read: export JPEGs."
    )


@without_plugin
def test_a_class_of_another_format_is_no_class_that_is_silently_left_out(tmp_path):
    write(write_folder(tmp_path / "data"), "cow/1.HEIC", "cow/2.heic")
    said = message(folder(tmp_path / "data"))
    assert said.startswith(f"no picture of the class in {tmp_path}/data/cow can be read: 2 files are HEIC, which needs")
    assert said.endswith("\ndata.on_error=skip leaves out such classes.")
    data = folder(tmp_path / "data", on_error="skip")
    data.setup()
    assert data.classes == ["cat", "dog", "owl"]
    assert "1 class folder has no pictures and is left out: cow" in "\n".join(data.dataset.remarks)


@without_plugin
def test_some_pictures_of_other_formats_are_said(tmp_path):
    write(write_folder(tmp_path / "data"), "cat/1.heic", "cat/a.CR2", "dog/a.svg", "dog/b.psd", "dog/notes.txt")
    data = folder(tmp_path / "data")
    data.setup()
    (formats,) = (remark for remark in data.dataset.remarks if "HEIC" in remark)
    assert formats.startswith("left out of class folders: 1 file is HEIC, which needs pillow-heif")
    assert "1 file is RAW, which is not read" in formats
    assert "1 file is SVG" in formats
    assert "1 file is Photoshop" in formats
    (others,) = (remark for remark in data.dataset.remarks if ".txt" in remark)
    assert others.endswith(": 1 (.txt)")


@without_plugin
@pytest.mark.parametrize("name", ["new.jpg", "new.heic"])
def test_a_file_that_is_named_is_recognised_by_its_content(tmp_path, name):
    """Phones and web pages give HEIC the name of a JPEG."""
    path = write_table(tmp_path / "data", f"cat/{name},cat\n")
    write(tmp_path / "data/cat", name)
    assert message(table(path)).startswith(f"cat/{name}: it is HEIC, which needs pillow-heif")
    with pytest.raises(PictureError, match="it is HEIC, which needs pillow-heif") as caught:
        read_picture(START)
    assert caught.value.passing  # it can be read once the plugin is installed


@with_plugin
def test_heic_is_read_where_its_plugin_is(tmp_path):
    pixels = np.full((20, 30, 3), (200, 40, 90), np.uint8)
    write_folder(tmp_path / "data")
    for number in range(10):
        path = tmp_path / f"data/cow/{number}.HEIC"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels + number).save(path, "HEIF", quality=90)
    np.testing.assert_allclose(read_picture(path), pixels + 9, atol=6)
    data = folder(tmp_path / "data")
    data.setup()
    assert data.classes == ["cat", "cow", "dog", "owl"]
    assert np.bincount(np.concatenate([data.given, data.test_labels])).tolist() == [10] * 4


@with_avif
def test_avif_is_read(tmp_path):
    root = write_folder(tmp_path / "data")
    Image.open(picture(tmp_path / "a.png", "owl")).resize((24, 24)).save(root / "owl/a.avif", quality=95)
    np.testing.assert_allclose(read_picture(root / "owl/a.avif", 12)[6, 6], (0, 0, 250), atol=9)
    data = folder(root, test_fraction=0)
    data.setup()
    assert "owl/a.avif" in data.labels.names


def test_what_is_there_in_place_of_pictures_is_said(tmp_path):
    write(tmp_path / "data", "cat/1.pdf", "cat/2.PDF", "dog/3.pdf", "notes", content=b"%PDF-")
    said = message(folder(tmp_path / "data"))
    assert f"in the folders of {tmp_path}/data; other files there: 3 (.pdf), 1 (no suffix): lnl expects" in said


def test_of_the_tables_of_an_audit_the_decided_one_is_named(tmp_path):
    write(tmp_path / "audit", "corrected_labels.csv", "decided_labels.csv", "issues.csv", content=b"file,label\n")
    assert f"data.path={tmp_path}/audit/decided_labels.csv reads a table" in message(folder(tmp_path / "audit"))
