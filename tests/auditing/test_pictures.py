"""The pictures of the audit's page: the originals, embedded or linked."""

import base64
import io
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from lnl.auditing.pictures import data_uri, pictures_of
from lnl.datasets.flowers import CLASSES, TFFlowers
from lnl.datasets.images import Form
from lnl.datasets.pictures import Files, PictureError, Pictures
from lnl.datasets.source import Dataset
from lnl.datasets.userdata.folder import Folder
from lnl.labels import Labels


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def noise(width, height, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def data(originals=None, images=None):
    count = len(originals if images is None else images)
    images = np.zeros((count, 4, 4, 3), np.uint8) if images is None else images  # what models see
    labels = np.zeros(count, np.int64)
    return Dataset(images, Labels.true(labels, ["a", "b"]), images[:0], labels[:0], originals=originals)


def of_files(folder, *names):
    return data(Files(folder, names))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiny_picture_keeps_its_pixels(tmp_path, channels):
    images = noise(32, 20, channels)[None]
    (picture,) = pictures_of(data(images=images), [0], tmp_path, 1)
    assert (picture.tiny, picture.file) == (True, "")
    np.testing.assert_array_equal(np.asarray(opened(picture.embedded)), np.broadcast_to(images[0], (20, 32, 3)))


def test_the_original_is_shown_upright_in_its_proportions(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    photo = Image.fromarray(np.full((900, 1800, 3), (200, 30, 30), np.uint8))
    photo.paste((30, 30, 200), (0, 0, 900, 900))  # the left half, which is the upper one when turned
    (tmp_path / "a").mkdir()
    photo.save(tmp_path / "a/large.jpg", exif=exif)
    photo.resize((300, 200)).save(tmp_path / "a/small.png")
    large, small = pictures_of(of_files(tmp_path, "a/large.jpg", "a/small.png"), [0, 1], tmp_path, 1)
    assert opened(large.embedded).size == (256, 512)
    top, bottom = (opened(large.embedded).convert("RGB").getpixel((128, y)) for y in (50, 450))
    assert top[2] > 180 > 60 > top[0]
    assert bottom[0] > 180 > 60 > bottom[2]
    assert opened(small.embedded).size == (300, 200)  # it has no more pixels
    assert not opened(large.embedded).getexif()  # which may say where a photo was taken


def test_pictures_beyond_the_limit_are_links(tmp_path):
    names = [f"ä & b #{place}?.png" for place in range(5)]
    for name in names:
        Image.fromarray(noise(300, 300)).save(tmp_path / name)
    size = len(data_uri(Image.fromarray(noise(300, 300))))
    page = tmp_path / "x" / "audit"
    found = pictures_of(of_files(tmp_path, *names), [4, 0, 1, 2, 3], page, 2.5 * size / 1e6)
    assert [bool(picture.embedded) for picture in found] == [True, True, False, False, False]
    assert [unquote(picture.file) for picture in found] == [f"../../{names[sample]}" for sample in (4, 0, 1, 2, 3)]
    assert all(letter not in picture.file for picture in found for letter in "?# ä")
    assert [picture.embedded for picture in pictures_of(of_files(tmp_path, *names), [0], page, 0)] == [""]


def test_a_link_is_never_another_kind_of_address(tmp_path):
    (tmp_path / "javascript:alert(1)").mkdir()
    Image.fromarray(noise(8, 8)).save(tmp_path / "javascript:alert(1)/a.png")
    (picture,) = pictures_of(of_files(tmp_path, "javascript:alert(1)/a.png"), [0], tmp_path, 0)
    assert picture.file == "javascript%3Aalert%281%29/a.png"


class Rows(Pictures):
    """Pictures that are in no file, as in a Hugging Face dataset."""

    def __getitem__(self, place):
        if self.names[place] == "none":
            raise PictureError("it has no image")
        content = io.BytesIO()
        Image.fromarray(noise(600, 300)).save(content, "PNG")
        return content.getvalue()

    def key(self):
        return ""


def test_pictures_that_browsers_cannot_link_to_are_embedded_small_beyond_the_limit(tmp_path):
    Image.fromarray(noise(600, 300)).save(tmp_path / "a.tif")
    for source in (of_files(tmp_path, "a.tif"), data(Rows("", ["0"])), data(images=noise(600, 300)[None])):
        (picture,) = pictures_of(source, [0], tmp_path, 1)
        assert opened(picture.embedded).size == (512, 256)
        (picture,) = pictures_of(source, [0], tmp_path, 0.001)
        assert (opened(picture.embedded).size, picture.file) == ((256, 128), "")


def test_a_picture_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "damaged.jpg").write_bytes(b"no picture")
    found = pictures_of(of_files(tmp_path, "damaged.jpg", "gone.jpg"), [0, 1], tmp_path, 1)
    found += pictures_of(data(Rows("", ["none"])), [0], tmp_path, 1)
    faults = [picture.fault for picture in found]
    assert faults == ["it is no image of a known format", "there is no such file", "it has no image"]
    assert not any(picture.embedded or picture.file for picture in found)


def test_a_folder_knows_the_original_of_each_training_sample(tmp_path):
    for name in ("a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/3.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        side = 100 + 10 * int(name[2]) + (name[0] == "b")
        Image.fromarray(noise(side, 50)).save(tmp_path / "photos" / name)
    dataset = Folder(path=tmp_path / "photos", cache_dir=tmp_path / "cache").read(Form(image_size=16))
    assert len(dataset.labels.names) < 6  # some are held out
    found = pictures_of(dataset, range(len(dataset.labels.names)), tmp_path, 1)
    widths = [opened(picture.embedded).width for picture in found]
    assert widths == [100 + 10 * int(name[2]) + (name[0] == "b") for name in dataset.labels.names]


def test_the_originals_of_flowers_have_the_class_of_their_label(monkeypatch, tmp_path):
    names = [f"{name}/{place}.jpg" for name in CLASSES for place in range(10)]
    for name in names:
        (tmp_path / "flower_photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(40, 30)).save(tmp_path / "flower_photos" / name)
    dataset = TFFlowers(tmp_path, tmp_path / "cache").read(Form(image_size=16))
    assert [CLASSES.index(name.split("/")[0]) for name in dataset.originals.names] == dataset.labels.given.tolist()
