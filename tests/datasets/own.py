"""Own data for tests: a folder of pictures, and the modules that read it."""

from pathlib import Path

import numpy as np
from PIL import Image

from lnl.data import ArrayData, FolderData, TableData

COLOURS = {"cat": (250, 0, 0), "dog": (0, 250, 0), "owl": (0, 0, 250)}


def picture(path: Path, label: str = "cat", number: int = 0) -> Path:
    """A picture of 12x12 in the colour of its class, a little different for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((12, 12, 3), COLOURS.get(label, (99, 99, 99)), np.uint8)
    pixels[..., 2].flat[:16] += np.array([int(bit) for bit in f"{number:016b}"], np.uint8)
    Image.fromarray(pixels).save(path, "PNG")
    # What follows a PNG's end is not looked at; it makes the files differ in their sizes as well.
    path.write_bytes(path.read_bytes() + str(number).encode())
    return path


def write_folder(root: Path, per_class: int = 10, split: str = "", classes=tuple(COLOURS), first: int = 0) -> Path:
    """``per_class`` pictures of each class."""
    for label in classes:
        for number in range(first, first + per_class):
            picture(root / split / label / f"{label}{number}.png", label, number)
    return root


def write_table(root: Path, extra: str = "", header: str = "file,label", per_class: int = 10, first: int = 0) -> Path:
    """``labels.csv`` beside a folder of pictures, with further lines at its end."""
    write_folder(root, per_class, first=first)
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    lines = [f"{file},{file.split('/')[0]}" + "," * (header.count(",") - 1) for file in files]
    (root / "labels.csv").write_text("\n".join([header, *lines]) + "\n" + extra)
    return root / "labels.csv"


def write_arrays(path: Path, **changes) -> Path:
    """An .npz of 30 images of 8x8 in three classes; ``changes`` replace its arrays, None leaves one out."""
    rng = np.random.default_rng(0)
    arrays = {"images": rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), "labels": np.arange(30) % 3} | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def _make(kind, path: Path, options):
    cache = path.parent / "cache"
    base = {"num_classes": None, "image_size": None, "channels": 3, "mean": [0.5] * 3, "std": [0.2] * 3}
    return kind(path=path, cache_dir=cache, **base | options)


def folder(path: Path, **options) -> FolderData:
    return _make(FolderData, path, options)


def table(path: Path, **options) -> TableData:
    return _make(TableData, path, options)


def arrays(path: Path, **options) -> ArrayData:
    return _make(ArrayData, path, options)
