"""Small data in the real datasets' file layouts, so that every option of `data` runs without the real files."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import torchvision
from PIL import Image

import lnl.datasets.flowers as flowers

CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def write_cifar(root: Path, monkeypatch, dataset=torchvision.datasets.CIFAR10, per_file: int = 100) -> None:
    """CIFAR's pickles with random images; torchvision is told their checksums."""
    rng = np.random.default_rng(0)
    key = "labels" if dataset is torchvision.datasets.CIFAR10 else "fine_labels"
    num_classes = 10 if key == "labels" else 100
    folder = root / dataset.base_folder
    folder.mkdir(parents=True)

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(name):
        images = rng.integers(0, 256, (per_file, 3072), dtype=np.uint8)
        return [name, write(name, {"data": images, key: [i % num_classes for i in range(per_file)]})]

    for files in ("train_list", "test_list"):
        monkeypatch.setattr(dataset, files, [batch(name) for name, _ in getattr(dataset, files)])
    meta = dict(dataset.meta)
    names = CIFAR10_CLASSES if num_classes == 10 else [f"class {i}" for i in range(num_classes)]
    meta["md5"] = write(meta["filename"], {meta["key"]: names})
    monkeypatch.setattr(dataset, "meta", meta)


def write_mnist(root: Path, name: str) -> None:
    """MNIST's files at their full size, black images of ten digits."""
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        labels = np.arange(count, dtype=np.uint8) % 10
        header = bytes([0, 0, 8, 1]) + count.to_bytes(4, "big")
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
        images = folder / f"{part}-images-idx3-ubyte"
        images.write_bytes(bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28)))
        with images.open("r+b") as file:
            file.truncate(16 + count * 28 * 28)


def write_flowers(root: Path, monkeypatch, per_class: int = 30) -> None:
    """flower_photos with few random photos."""
    rng = np.random.default_rng(0)
    for name in flowers.CLASSES:
        folder = root / "flower_photos" / name
        folder.mkdir(parents=True)
        for i in range(per_class):
            Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / f"{i}.jpg")
    monkeypatch.setattr(flowers, "COUNT", per_class * len(flowers.CLASSES))


def write_course_labels(root: Path, count: int = 500, trusted: int = 100) -> None:
    """The weak-supervision course's two files: noisy labels of all images, right ones of the first."""
    folder = root / "course-cifar10"
    folder.mkdir()
    for name, shift, lines in (("noisy_labels.csv", 1, count), ("clean_labels.csv", 0, trusted)):
        (folder / name).write_text("".join(f"{(i + shift) % 10}\n" for i in range(lines)))


def write_cifar_n(root: Path, classes: int = 10) -> None:
    """CIFAR-10N's or CIFAR-100N's file for :func:`write_cifar`: every tenth of the default labels is wrong."""
    (root / "cifar-n").mkdir()
    count, name = (500, "worse_label") if classes == 10 else (100, "noisy_label")
    clean = np.arange(count) % classes
    noisy = (clean + (np.arange(count) < count / 10)) % classes
    np.savez(root / f"cifar-n/cifar{classes}n.npz", clean_label=clean, **{name: noisy})
