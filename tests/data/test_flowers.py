"""tf_flowers: the photographs, the cache of their pixels, and the download."""

import hashlib
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from lnl.data import TFFlowers, TFFlowersSunflower, TFFlowersSunflowerLiteral, flowers
from lnl.data.flowers import cached_images, read_square
from lnl.errors import UserError
from lnl.noise import UniformNoise
from tests.conftest import DATA_DIR, needs_flowers
from tests.generated import write_flowers


def make(kind, data_dir, cache_dir, **options):
    classes = 2 if kind is TFFlowersSunflower else 5
    sizes = {"num_classes": classes, "channels": 3, "image_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    return kind(data_dir=data_dir, cache_dir=cache_dir, **sizes, **options)


def photo(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), colour).save(path, "JPEG")
    return path


@pytest.fixture
def files(tmp_path):
    colours = {"a": (250, 0, 0), "b": (0, 250, 0), "c": (0, 0, 250)}
    return [photo(tmp_path / f"daisy/{name}.jpg", colour) for name, colour in colours.items()]


@pytest.fixture
def no_decoding(monkeypatch):
    """Makes it an error to decode a photograph from now on."""

    def forbid():
        def fail(path, size):
            raise AssertionError(f"{path} is decoded")

        monkeypatch.setattr(flowers, "read_square", fail)

    return forbid


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The real photographs, decoded once for the tests here."""
    cache = tmp_path_factory.mktemp("cache")
    data = make(TFFlowers, DATA_DIR, cache)
    data.prepare_data()
    return data.load(), cache


@needs_flowers
def test_all_photos_of_all_classes_are_there(real):
    dataset, _ = real
    assert list(dataset.classes) == ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
    train, test = (np.bincount(part.labels) for part in (dataset.train, dataset.test))
    assert (train + test).tolist() == [633, 898, 641, 699, 799]
    assert (len(dataset.train), len(dataset.test)) == (2936, 734)
    np.testing.assert_allclose(test, (train + test) / 5, atol=1)
    assert dataset.train.images.shape == (2936, 32, 32, 3)


def centre_square(path):
    """A photo's middle at 32x32, decoded at full size and reduced by averaging."""
    with Image.open(path) as picture:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        return np.asarray(picture.crop((left, top, left + side, top + side)).resize((32, 32), Image.Resampling.BOX))


@needs_flowers
def test_the_image_most_like_a_photo_has_the_label_of_its_folder(real):
    dataset, _ = real
    images = np.concatenate([dataset.train.images, dataset.test.images]).astype(np.float32)
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    for label, name in enumerate(dataset.classes):
        for path in sorted((DATA_DIR / "flower_photos" / name).glob("*.jpg"))[:4]:
            distance = abs(images - centre_square(path)).mean(axis=(1, 2, 3))
            nearest, second = np.sort(distance)[:2]
            assert labels[distance.argmin()] == label
            assert nearest < 10 < 20 < second


@needs_flowers
def test_sunflower_or_not_is_asked_of_the_same_images(real, no_decoding):
    five, cache = real
    no_decoding()
    two = make(TFFlowersSunflower, DATA_DIR, cache).load()
    assert list(two.classes) == ["other", "sunflower"]
    for part, other in ((two.train, five.train), (two.test, five.test)):
        np.testing.assert_array_equal(part.images, other.images)
        np.testing.assert_array_equal(part.labels, other.labels == 3)
    assert two.train.labels.sum() + two.test.labels.sum() == 699


def test_the_literal_variant_asks_two_and_mislabels_as_five(tmp_path, monkeypatch):
    write_flowers(tmp_path, monkeypatch, per_class=400)
    data = make(TFFlowersSunflowerLiteral, tmp_path, tmp_path, noise=UniformNoise(0.5))
    data.setup()
    clean, noisy = data.labels.clean, data.labels.noisy
    assert np.bincount(clean).tolist() == [4 * 320, 320]
    assert np.bincount(data.test_labels).tolist() == [4 * 80, 80]
    for label, count in ((0, 1280), (1, 320)):
        shares = np.bincount(noisy[clean == label], minlength=5) / count
        expected = np.full(5, 0.1)  # half of the labels are redrawn, a fifth of them to each class
        expected[label] += 0.5
        np.testing.assert_allclose(shares, expected, atol=4 * np.sqrt(0.24 / count))


def test_photos_are_decoded_once(files, tmp_path, no_decoding):
    first = cached_images(files, 8, tmp_path / "cache")
    no_decoding()
    np.testing.assert_array_equal(cached_images(files, 8, tmp_path / "cache"), first)
    np.testing.assert_allclose(first[:, 4, 4], [[250, 0, 0], [0, 250, 0], [0, 0, 250]], atol=6)


def test_a_changed_photo_is_decoded_anew(files, tmp_path):
    files[1].write_bytes(files[1].read_bytes() + bytes(500))
    before = cached_images(files, 8, tmp_path / "cache")
    stat = files[1].stat()
    photo(files[1], (250, 250, 250))
    files[1].write_bytes(files[1].read_bytes().ljust(stat.st_size, b"\0"))  # its time alone tells that it is another
    assert files[1].stat().st_size == stat.st_size
    os.utime(files[1], ns=(stat.st_mtime_ns + 1, stat.st_mtime_ns + 1))
    after = cached_images(files, 8, tmp_path / "cache")
    np.testing.assert_allclose(after[1], 250, atol=6)
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert len(list((tmp_path / "cache").iterdir())) == 1  # what is out of date is not kept


def test_another_size_or_set_of_photos_is_decoded_anew(files, tmp_path, no_decoding):
    cache = tmp_path / "cache"
    assert cached_images(files, 8, cache).shape == (3, 8, 8, 3)
    assert cached_images(files, 12, cache).shape == (3, 12, 12, 3)
    assert cached_images(files[:2], 12, cache).shape == (2, 12, 12, 3)
    no_decoding()
    assert cached_images(files, 8, cache).shape == (3, 8, 8, 3)


def test_a_damaged_cache_is_made_anew(files, tmp_path):
    images = cached_images(files, 8, tmp_path)
    (cache,) = tmp_path.glob("*.npy")
    cache.write_bytes(cache.read_bytes()[:-1])
    np.testing.assert_array_equal(cached_images(files, 8, tmp_path), images)
    np.testing.assert_array_equal(np.load(cache), images)


@pytest.mark.parametrize("upright", [False, True])
def test_the_centre_square_is_kept(tmp_path, upright):
    stripes = np.zeros((64, 192, 3), dtype=np.uint8)
    for third in range(3):
        stripes[:, 64 * third : 64 * (third + 1), third] = 250
    stripes[:32, 64:128] = 250  # the upper half of the middle third is white
    picture = stripes.transpose(1, 0, 2) if upright else stripes
    Image.fromarray(picture).save(tmp_path / "stripes.jpg", quality=95, subsampling=0)
    square = read_square(tmp_path / "stripes.jpg", 8).astype(int)
    first, second = (square[:, :3], square[:, 5:]) if upright else (square[:3], square[5:])
    np.testing.assert_allclose(first, 250, atol=10)
    np.testing.assert_allclose(second, np.broadcast_to([0, 250, 0], second.shape), atol=10)


@pytest.mark.parametrize("content", [b"", b"not an image", None], ids=["empty", "text", "truncated"])
def test_a_photo_that_cannot_be_read_is_named_and_nothing_cached(files, tmp_path, content):
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(UserError, match=r"daisy/b\.jpg cannot be read"):
        cached_images(files, 8, tmp_path / "cache")
    assert not list(tmp_path.glob("cache/*"))


def test_a_wrong_number_of_photos_is_named(tmp_path):
    for number in range(3):
        photo(tmp_path / f"flower_photos/tulips/{number}.jpg", (0, 0, 0))
    with pytest.raises(UserError, match=r"flower_photos holds 3 of the 3670 photos"):
        make(TFFlowers, tmp_path, tmp_path).prepare_data()


@pytest.fixture
def archive(tmp_path, monkeypatch, files):
    """Makes a download deliver an archive of these members, with the right sum unless said otherwise."""

    def deliver(*members, right_sum=True):
        source = tmp_path / "source.tgz"
        with tarfile.open(source, "w:gz") as tar:
            for member in members:
                tar.add(files[0], arcname=member)
        content = source.read_bytes()
        monkeypatch.setattr(flowers, "SHA256", hashlib.sha256(content if right_sum else b"").hexdigest())
        monkeypatch.setattr(
            flowers, "download_url", lambda url, root, filename: (tmp_path / root / filename).write_bytes(content)
        )
        return tmp_path / "data"

    return deliver


def test_a_download_is_unpacked_and_tidied_up(archive, files):
    data_dir = archive("flower_photos/daisy/1.jpg", "flower_photos/LICENSE.txt")
    flowers.download(data_dir)
    assert (data_dir / "flower_photos/daisy/1.jpg").read_bytes() == files[0].read_bytes()
    assert [path.name for path in data_dir.iterdir()] == ["flower_photos"]


def test_a_download_with_a_wrong_sum_is_not_unpacked(archive):
    data_dir = archive("flower_photos/daisy/1.jpg", right_sum=False)
    with pytest.raises(UserError, match=r"flower_photos\.tgz is damaged"):
        flowers.download(data_dir)
    assert not (data_dir / "flower_photos").exists()


@pytest.mark.parametrize("member", ["../evil.jpg", "../../evil.jpg", "flower_photos/../../../evil.jpg"])
def test_a_download_writes_nothing_outside_its_folder(archive, tmp_path, member):
    data_dir = archive("flower_photos/daisy/1.jpg", member)
    with pytest.raises((tarfile.FilterError, UserError)):
        flowers.download(data_dir)
    assert not list(tmp_path.rglob("evil.jpg"))
    assert not (data_dir / "flower_photos").exists()
