"""Miniature copies of the published sets, in the layout of their owners.

The pixels of a picture are its label, the number of its part in PARTS, and its number in the part, so that a test can
tell from an image what it is.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from lnl.datasets.animal10n import Animal10N
from lnl.datasets.clothing1m import Clothing1M
from lnl.datasets.food101n import Food101N
from lnl.datasets.tiny_imagenet import TinyImageNet
from lnl.datasets.webvision import WebVision

PARTS = ("train", "clean_train", "val", "test", "imagenet")


def picture(path: Path, label: int, part: str, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((8, 8, 3), (label, PARTS.index(part), number % 256), np.uint8)
    Image.fromarray(pixels).save(path, "PNG")  # which loses nothing; its name does not matter


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_clothing1m(data_dir: Path, monkeypatch, per_class: int = 4) -> Path:
    """Each clean part has a picture of each class. The noisy file has labels of clean pictures, too: wrong ones."""
    root = data_dir / "Clothing1M"
    write_lines(root / "category_names_eng.txt", [f"Garment {label}" for label in range(14)])
    labels = {"noisy": [], "clean": []}
    parts = {"noisy_train": "train", "clean_train": "clean_train", "clean_val": "val", "clean_test": "test"}
    for name, part in parts.items():
        keys = []
        for number in range(14 * (per_class if part == "train" else 1)):
            label, key = number % 14, f"images/{number % 10}/{number % 100:02}/{part}{number},{number}.jpg"
            picture(root / key, label, part, number)
            keys.append(key)
            labels["noisy"].append(f"{key} {label if part == 'train' else (label + 1) % 14}")
            labels["clean"] += [f"{key} {label}"] * (part != "train")
        write_lines(root / f"{name}_key_list.txt", keys)
    for kind, lines in labels.items():
        write_lines(root / f"{kind}_label_kv.txt", reversed(lines))
    small = {name: 14 for name in ("clean_train", "clean_val", "clean_test", "classes")}
    monkeypatch.setattr(Clothing1M, "counts", {"noisy_train": 14 * per_class, **small})
    return root


def write_webvision(data_dir: Path, monkeypatch, per_class: int = 2) -> Path:
    """The lists have pictures of other classes, too, whose files are not there."""
    root = data_dir / "WebVision"
    write_lines(root / "info/synsets.txt", [f"n{label:08} thing {label}, other name" for label in range(1000)])
    train = [(f"google/q{number:04}/a {number}.jpg", number % 50) for number in range(50 * per_class)]
    test = [(f"val{number:06}.jpg", number % 50) for number in range(50)]
    for number, (name, label) in enumerate(train):
        picture(root / name, label, "train", number)
    for name, label in test:
        picture(root / "val_images_256" / name, label, "test")
    for label in range(50):
        picture(root / f"imagenet/val/n{label:08}/ILSVRC2012_val_{label:08}.JPEG", label, "imagenet")
    for name, listed in (("train_filelist_google", train), ("val_filelist", test)):
        others = [(f"none{label}.jpg", label) for label in (50, 999)]
        write_lines(root / f"info/{name}.txt", [f"{file} {label}" for file, label in [others[0], *listed, others[1]]])
    monkeypatch.setattr(WebVision, "counts", {"classes": 1000, "train": 50 * per_class, "test": 50})
    return root


def write_animal10n(data_dir: Path, monkeypatch, per_class: int = 4) -> Path:
    root = data_dir / "ANIMAL-10N"
    for folder, part, count in (("training", "train", 10 * per_class), ("testing", "test", 10)):
        for number in range(count):
            picture(root / f"{folder}/{number % 10}_{number}.jpg", number % 10, part, number)
    monkeypatch.setattr(Animal10N, "counts", {"training": 10 * per_class, "testing": 10})
    return root


def write_food101n(data_dir: Path, monkeypatch, per_class: int = 2) -> Path:
    """Every third training picture has a verdict, right for every second of them; one verdict is on no picture."""
    noisy, clean = data_dir / "Food-101N_release", data_dir / "food-101"
    classes = [f"dish_{label}" for label in range(101)]
    keys = [f"{classes[number % 101]}/{number:032x}.jpg" for number in range(101 * per_class)]
    for number, key in enumerate(keys):
        picture(noisy / "images" / key, number % 101, "train", number)
    verdicts = [f"{key}\t{place % 2}" for place, key in enumerate(keys[::3])]
    write_lines(noisy / "meta/classes.txt", ["class_name", *classes])
    write_lines(noisy / "meta/imagelist.tsv", ["class_name/key", *keys])
    write_lines(
        noisy / "meta/verified_train.tsv", ["class_name/key\tverification_label", *verdicts, "dish_3/none.jpg\t1"]
    )
    for label, name in enumerate(classes):
        picture(clean / f"images/{name}/{label}.jpg", label, "test")
    write_lines(clean / "meta/test.txt", [f"{name}/{label}" for label, name in enumerate(classes)])
    counts = {"classes": 101, "train": len(keys), "verified": len(verdicts) + 1, "test": 101}
    monkeypatch.setattr(Food101N, "counts", counts)
    return data_dir


def write_tiny_imagenet(data_dir: Path, monkeypatch, per_class: int = 2) -> Path:
    """Classes are listed in another order than their folders have, and two have the same first name."""
    root = data_dir / "tiny-imagenet-200"
    synsets = [f"n{199 - label:08}" for label in range(200)]
    names = ["crane, bird", "crane, machine", *(f"thing {label}, other name" for label in range(2, 200))]
    write_lines(root / "wnids.txt", synsets)
    write_lines(root / "words.txt", [f"{synset}\t{name}" for synset, name in zip(synsets, names, strict=True)])
    for label, synset in enumerate(synsets):
        for number in range(per_class):
            picture(root / f"train/{synset}/images/{synset}_{number}.JPEG", label, "train", number)
        write_lines(root / f"train/{synset}/{synset}_boxes.txt", [])
        picture(root / f"val/images/val_{label}.JPEG", label, "test")
    boxes = [f"val_{label}.JPEG\t{synset}\t0\t32\t44\t62" for label, synset in enumerate(synsets)]
    write_lines(root / "val/val_annotations.txt", boxes)
    monkeypatch.setattr(TinyImageNet, "counts", {"classes": 200, "train": 200 * per_class, "test": 200})
    return root


# What writes the copy of each option of `data`.
COPIES = {
    "clothing1m": write_clothing1m,
    "webvision": write_webvision,
    "webvision_imagenet": write_webvision,
    "animal10n": write_animal10n,
    "food101n": write_food101n,
    "tiny_imagenet": write_tiny_imagenet,
}
