"""tf_flowers: the photographs, how they are read, and the download."""

import hashlib
import tarfile

import numpy as np
import pytest
from PIL import Image

from lnl.data import Form
from lnl.datasets import decoded, flowers
from lnl.datasets.flowers import TFFlowers, TFFlowersSunflower
from lnl.datasets.pictures import read_picture
from lnl.errors import UserError
from tests.conftest import DATA_DIR, needs_flowers
from tests.generated import write_flowers


def read(source, size=32, fit="center_square"):
    return source.read(Form(image_size=size, fit=fit))


def photo(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), colour).save(path, "JPEG")
    return path


@pytest.fixture
def no_decoding(monkeypatch):
    """Makes it an error to decode a photograph from now on."""

    def forbid():
        def fail(path, *options):
            raise AssertionError(f"{path} is decoded")

        monkeypatch.setattr(decoded, "read_picture", fail)

    return forbid


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The real photographs, decoded once for the tests here."""
    cache = tmp_path_factory.mktemp("cache")
    source = TFFlowers(DATA_DIR, cache)
    source.prepare()
    return read(source), cache


@needs_flowers
def test_all_photos_of_all_classes_are_there(real):
    dataset, _ = real
    assert list(dataset.labels.classes) == ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
    train, test = (np.bincount(labels) for labels in (dataset.labels.given, dataset.test_labels))
    assert (train + test).tolist() == [633, 898, 641, 699, 799]
    assert (len(dataset.images), len(dataset.test_images)) == (2936, 734)
    np.testing.assert_allclose(test, (train + test) / 5, atol=1)
    assert dataset.images.shape == (2936, 32, 32, 3)


def centre_square(path):
    """A photo's middle at 32x32, decoded at full size and reduced by averaging."""
    with Image.open(path) as picture:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        return np.asarray(picture.crop((left, top, left + side, top + side)).resize((32, 32), Image.Resampling.BOX))


@needs_flowers
def test_the_image_most_like_a_photo_has_the_label_of_its_folder(real):
    dataset, _ = real
    images = np.concatenate([dataset.images, dataset.test_images]).astype(np.float32)
    labels = np.concatenate([dataset.labels.given, dataset.test_labels])
    for label, name in enumerate(dataset.labels.classes):
        for path in sorted((DATA_DIR / "flower_photos" / name).glob("*.jpg"))[:4]:
            distance = abs(images - centre_square(path)).mean(axis=(1, 2, 3))
            nearest, second = np.sort(distance)[:2]
            assert labels[distance.argmin()] == label
            assert nearest < 10 < 20 < second


@needs_flowers
def test_sunflower_or_not_is_asked_of_the_same_images(real, no_decoding):
    five, cache = real
    no_decoding()
    two = read(TFFlowersSunflower(DATA_DIR, cache))
    assert list(two.labels.classes) == ["other", "sunflower"]
    np.testing.assert_array_equal(two.images, five.images)
    np.testing.assert_array_equal(two.test_images, five.test_images)
    np.testing.assert_array_equal(two.labels.given, five.labels.given == 3)
    np.testing.assert_array_equal(two.labels.truth, five.labels.given == 3)
    np.testing.assert_array_equal(two.test_labels, five.test_labels == 3)
    assert two.labels.given.sum() + two.test_labels.sum() == 699


def test_photos_are_decoded_once_to_their_centre_square(tmp_path, monkeypatch, no_decoding):
    monkeypatch.setattr(flowers, "COUNT", 10)
    rng = np.random.default_rng(0)
    for number in range(10):
        path = photo(tmp_path / f"flower_photos/{flowers.CLASSES[number % 5]}/{number}.jpg", (0, 0, 0))
        shape = (150, 90, 3) if number < 5 else (100, 131, 3)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
    source = TFFlowers(tmp_path, tmp_path / "cache")
    source.prepare()
    first = read(source)
    expected = {read_square(source.folder / name, 32).tobytes() for name in source.photos()}
    assert len(expected) == 10
    assert {image.tobytes() for images in (first.images, first.test_images) for image in images} == expected
    no_decoding()
    np.testing.assert_array_equal(read(TFFlowers(tmp_path, tmp_path / "cache")).images, first.images)


def read_square(path, size):
    """By Pillow alone, the way the photos have always been read: a JPEG's decoder skips what would be scaled away."""
    with Image.open(path) as picture:
        picture.draft("RGB", (size, size))
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        box = (left, top, left + side, top + side)
        return np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box=box))


@pytest.mark.parametrize("fit", ["resize", "center_crop", "center_square"])
def test_photos_are_fitted_as_is_asked(tmp_path, monkeypatch, fit):
    write_flowers(tmp_path, monkeypatch, per_class=2)
    source = TFFlowers(tmp_path, tmp_path / "cache")
    dataset = read(source, fit=fit)
    expected = {read_picture(source.folder / name, 32, 3, fit).tobytes() for name in source.photos()}
    assert {image.tobytes() for images in (dataset.images, dataset.test_images) for image in images} == expected


def test_a_photo_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    write_flowers(tmp_path, monkeypatch, per_class=2)
    path = tmp_path / "flower_photos/roses/1.jpg"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"roses/1\.jpg: it is truncated.* Delete flower_photos"):
        read(TFFlowers(tmp_path, tmp_path / "cache"))


def test_a_wrong_number_of_photos_is_named(tmp_path):
    for number in range(3):
        photo(tmp_path / f"flower_photos/tulips/{number}.jpg", (0, 0, 0))
    with pytest.raises(UserError, match=r"flower_photos holds 3 of the 3670 photos"):
        TFFlowers(tmp_path, tmp_path).prepare()


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Makes a download deliver an archive of these members, with the right sum unless said otherwise."""

    def deliver(*members, right_sum=True):
        source, picture = tmp_path / "source.tgz", photo(tmp_path / "photo.jpg", (250, 0, 0))
        with tarfile.open(source, "w:gz") as tar:
            for member in members:
                tar.add(picture, arcname=member)
        content = source.read_bytes()
        monkeypatch.setattr(flowers, "SHA256", hashlib.sha256(content if right_sum else b"").hexdigest())
        monkeypatch.setattr(
            flowers, "download_url", lambda url, root, filename: (tmp_path / root / filename).write_bytes(content)
        )
        return tmp_path / "data"

    return deliver


def test_a_download_is_unpacked_and_tidied_up(archive, tmp_path):
    data_dir = archive("flower_photos/daisy/1.jpg", "flower_photos/LICENSE.txt")
    flowers.download(data_dir)
    assert (data_dir / "flower_photos/daisy/1.jpg").read_bytes() == (tmp_path / "photo.jpg").read_bytes()
    assert [path.name for path in data_dir.iterdir()] == ["flower_photos"]


def test_a_download_with_a_wrong_sum_is_not_unpacked(archive):
    data_dir = archive("flower_photos/daisy/1.jpg", right_sum=False)
    with pytest.raises(UserError, match=r"flower_photos\.tgz is damaged"):
        flowers.download(data_dir)
    assert not (data_dir / "flower_photos").exists()


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="Python before 3.11.4 has no filter for archives")
@pytest.mark.parametrize("member", ["../evil.jpg", "../../evil.jpg", "flower_photos/../../../evil.jpg"])
def test_a_download_writes_nothing_outside_its_folder(archive, tmp_path, member):
    data_dir = archive("flower_photos/daisy/1.jpg", member)
    with pytest.raises((tarfile.FilterError, UserError)):
        flowers.download(data_dir)
    assert not list(tmp_path.rglob("evil.jpg"))
    assert not (data_dir / "flower_photos").exists()
