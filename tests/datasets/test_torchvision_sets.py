"""CIFAR and MNIST: what is read, and what is said of files that are missing or damaged."""

import hashlib
import pickle
from urllib.error import URLError

import numpy as np
import pytest
import torchvision

from lnl.data import CIFAR10, CIFAR100, MNIST, FashionMNIST, TFFlowers
from lnl.errors import UserError
from tests.conftest import DATA_DIR, needs_cifar10, needs_mnist

CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def make(kind, data_dir, cache_dir, num_classes=10):
    grey = kind in (MNIST, FashionMNIST)
    channels = 1 if grey else 3
    sizes = {"num_classes": num_classes, "channels": channels, "image_size": 28 if grey else 32}
    return kind(data_dir=data_dir, cache_dir=cache_dir, mean=[0.5] * channels, std=[0.5] * channels, **sizes)


def linked(folder, copy, truncated):
    """A copy of a folder by links, in which one file is cut short."""
    copy.mkdir(parents=True)
    for path in folder.iterdir():
        if path.name == truncated:
            with path.open("rb") as file:
                (copy / path.name).write_bytes(file.read(100_000))
        else:
            (copy / path.name).symlink_to(path)


@pytest.fixture
def no_network(monkeypatch):
    def urlopen(*args, **kwargs):
        raise URLError("no network here")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)


@needs_cifar10
def test_cifar10_is_read_whole_and_in_its_own_order(tmp_path):
    data = make(CIFAR10, DATA_DIR, tmp_path)
    data.prepare_data()
    data.setup()
    assert data.classes == CIFAR10_CLASSES
    assert np.bincount(data.labels.truth).tolist() == [5000] * 10
    assert np.bincount(data.test_labels).tolist() == [1000] * 10
    assert [len(data.splits[split]) for split in ("train", "val", "test")] == [40_000, 10_000, 10_000]
    reference = torchvision.datasets.CIFAR10(DATA_DIR, train=True)
    assert data.labels.truth[:1000].tolist() == reference.targets[:1000]
    with (DATA_DIR / "cifar-10-batches-py/test_batch").open("rb") as file:
        test = pickle.load(file, encoding="bytes")
    planes = data.images("test")[:50].transpose(0, 3, 1, 2)  # the file has red, then green, then blue, row by row
    np.testing.assert_array_equal(planes.reshape(50, -1), test[b"data"][:50])
    assert data.test_labels.tolist() == test[b"labels"]


@needs_cifar10
@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_truncated_cifar_file_is_named(tmp_path, name):
    linked(DATA_DIR / "cifar-10-batches-py", tmp_path / "cifar-10-batches-py", truncated=name)
    data = make(CIFAR10, tmp_path, tmp_path)
    data.prepare_data()
    with pytest.raises(UserError, match=rf"cifar-10-batches-py/{name} is damaged or truncated"):
        data.setup()


@needs_mnist
def test_mnist_is_read_whole(tmp_path):
    data = make(MNIST, DATA_DIR, tmp_path)
    data.prepare_data()
    dataset = data.source.read(data.preparation)
    assert dataset.images.shape == (60_000, 28, 28, 1)
    assert dataset.test_images.shape == (10_000, 28, 28, 1)
    assert dataset.labels.given[:6].tolist() == [5, 0, 4, 1, 9, 2]
    assert list(dataset.labels.classes) == list("0123456789")


@needs_mnist
def test_a_truncated_mnist_file_is_named(tmp_path):
    linked(DATA_DIR / "MNIST/raw", tmp_path / "MNIST/raw", truncated="train-images-idx3-ubyte")
    data = make(MNIST, tmp_path, tmp_path)
    data.prepare_data()
    with pytest.raises(UserError, match="train-images-idx3-ubyte is damaged or truncated"):
        data.setup()


def write_idx(path, *shape, values):
    """An idx file of zeros that ends in ``values``, of which only these take room on the disk."""
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">u4").tobytes()
    with path.open("wb") as file:
        file.write(header)
        file.seek(len(header) + int(np.prod(shape)) - len(values))
        file.write(bytes(values))


def test_fashion_mnist_is_read_from_files_of_its_size(tmp_path):
    raw = tmp_path / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        write_idx(raw / f"{part}-images-idx3-ubyte", count, 28, 28, values=[1, 2, 3])
        write_idx(raw / f"{part}-labels-idx1-ubyte", count, values=[9, 4])
    data = make(FashionMNIST, tmp_path, tmp_path)
    data.prepare_data()
    dataset = data.source.read(data.preparation)
    train, test = (dataset.images, dataset.labels.given), (dataset.test_images, dataset.test_labels)
    for (images, labels), count in ((train, 60_000), (test, 10_000)):
        assert images.shape == (count, 28, 28, 1)
        assert images[-1, 27, 24:, 0].tolist() == [0, 1, 2, 3]
        assert labels[-3:].tolist() == [0, 9, 4]
    assert dataset.labels.classes[0] == "T-shirt/top"
    assert dataset.labels.classes[9] == "Ankle boot"


@pytest.fixture
def tiny_cifar100(tmp_path, monkeypatch):
    """CIFAR-100 in torchvision's layout, of 12 and 5 images."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return name, hashlib.md5((folder / name).read_bytes()).hexdigest()

    def part(count):
        images = np.random.default_rng(count).integers(0, 256, (count, 3072), dtype=np.uint8)
        return {"data": images, "fine_labels": list(range(99, 99 - count, -1)), "coarse_labels": [0] * count}

    source = torchvision.datasets.CIFAR100
    monkeypatch.setattr(source, "train_list", [write("train", part(12))])
    monkeypatch.setattr(source, "test_list", [write("test", part(5))])
    name, md5 = write("meta", {"fine_label_names": [f"fine {i}" for i in range(100)], "coarse_label_names": ["coarse"]})
    monkeypatch.setattr(source, "meta", {"filename": name, "key": "fine_label_names", "md5": md5})
    return make(CIFAR100, tmp_path, tmp_path, num_classes=100)


def test_cifar100_is_read_with_its_fine_labels(tiny_cifar100):
    tiny_cifar100.prepare_data()
    tiny_cifar100.setup()
    assert tiny_cifar100.labels.truth.tolist() == list(range(99, 87, -1))
    assert tiny_cifar100.test_labels.tolist() == list(range(99, 94, -1))
    assert tiny_cifar100.classes == [f"fine {i}" for i in range(100)]
    planes = tiny_cifar100.images("test").transpose(0, 3, 1, 2).reshape(5, -1)
    np.testing.assert_array_equal(planes, np.random.default_rng(5).integers(0, 256, (5, 3072), dtype=np.uint8))


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_a_damaged_cifar100_file_is_named(tiny_cifar100, name):
    path = tiny_cifar100.data_dir / "cifar-100-python" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"cifar-100-python/{name} is damaged"):
        tiny_cifar100.setup()


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("kind", [CIFAR10, CIFAR100, MNIST, FashionMNIST, TFFlowers])
def test_what_is_not_there_and_cannot_be_downloaded_says_what_to_do(tmp_path, kind):
    folder = tmp_path / "nothing"
    with pytest.raises(UserError) as caught:
        make(kind, folder, tmp_path).prepare_data()
    for part in (str(folder), "LNL_DATA_DIR", "data=digits", "no network here"):
        assert part in str(caught.value)


@pytest.mark.usefixtures("no_network")
def test_a_set_that_lacks_one_file_is_not_there(tiny_cifar100):
    (tiny_cifar100.data_dir / "cifar-100-python/test").unlink()
    with pytest.raises(UserError, match="CIFAR100 is not in"):
        tiny_cifar100.prepare_data()
