"""Noisy labels read from files: of a user, or CIFAR-10N and CIFAR-100N (arXiv:2110.12088)."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lnl.errors import first_line
from lnl.labels import Integers, Labels
from lnl.labels.files import label_table, read_labels
from lnl.labels.labels import check_labels
from lnl.noise.kinds import LabelNoise

# Paths in the data folder for K classes: our plain arrays come before the authors' file.
FILES = ("cifar-n/cifar{}n.npz", "cifar-n/CIFAR-{}_human.pt", "CIFAR-{}_human.pt")
ARRAYS = {"worse": "worse_label", "aggre": "aggre_label", "random1": "random_label1", "random2": "random_label2"}
ARRAYS |= {"random3": "random_label3", "noisy": "noisy_label"}


class FileNoise(LabelNoise):
    """Noisy labels given in a file (:func:`lnl.labels.files.read_labels`).

    Args:
        path: of the file, with a label for every sample of the training set.

    Raises:
        ValueError, UserError: if the file cannot be read, or its labels do not fit the training set.
    """

    kind, convention, drawn = "file", "labels given in a file", False

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(str(path)).expanduser()

    def check(self, labels: Labels | None) -> None:
        if labels is None:
            label_table(self.path)
        else:
            read_labels(self.path, labels.classes, labels.names)

    def draw(self, labels: Labels, images: Any) -> tuple[Integers, None]:
        index, noisy = read_labels(self.path, labels.classes, labels.names)
        every = np.arange(len(labels))
        if not np.array_equal(index, every):
            lacking = np.setdiff1d(every, index)
            first = f"; the first that has none is {labels.names[lacking[0]]}" if labels.names and len(lacking) else ""
            raise ValueError(
                f"{self.path} has {len(noisy)} labels, but the training set has {len(labels)} samples: "
                f"it needs one for each, in order or with a column `file`, or `index` from 0{first}."
            )
        return noisy, None


class HumanNoise(LabelNoise):
    """The labels that people gave to CIFAR-10 (three each: CIFAR-10N) and CIFAR-100 (CIFAR-100N), arXiv:2110.12088.

    Args:
        labels: of CIFAR-10N ``worse`` (one of the three that is wrong, if one is; 40.2 % wrong), ``aggre`` (their
            majority; 9.0 %), ``random1``, ``random2``, ``random3`` (each of the three; 17 to 18 %); of CIFAR-100N
            ``noisy`` (40.2 %). None: ``worse``, or ``noisy``.
        path: of the authors' ``CIFAR-10_human.pt`` or an ``.npz`` of the same arrays; None to look in ``data_dir``.

    Raises:
        ValueError: if the file cannot be read, or its clean labels are not those of the training set.
    """

    kind, convention, drawn = "human", "labels given by people", False

    def __init__(self, labels: str | None = None, path: str | Path | None = None) -> None:
        super().__init__()
        if labels is not None and labels not in ARRAYS:
            raise ValueError(f"noise.labels must be one of {', '.join(ARRAYS)}, got '{labels}'")
        self.labels = labels
        self.path = path and Path(str(path)).expanduser()

    def __call__(self, labels: Labels, images: Any, data_dir: Path = Path("data")) -> Labels:
        path, clean = self.path or _find(data_dir, len(labels.classes)), labels.given
        arrays = _read_arrays(path)
        known = {name: array for name, array in ARRAYS.items() if array in arrays}
        chosen = self.labels or next(iter(known), "")
        if chosen not in known or "clean_label" not in arrays:
            raise ValueError(f"{path} has no labels '{chosen}': it has {', '.join(known) or 'none of CIFAR-N'}")
        noisy, theirs = (np.asarray(arrays[name]).astype(np.int64) for name in (known[chosen], "clean_label"))
        if not noisy.shape == theirs.shape == clean.shape:
            raise ValueError(f"{path} has {len(theirs)} labels, but the training set has {len(clean)} samples")
        if len(differ := np.flatnonzero(theirs != clean)):
            raise ValueError(
                f"{path} is not of this training set: its clean labels differ from the data's at {len(differ)} of "
                f"{len(clean)} samples, first at {differ[0]}"
            )
        check_labels(noisy, len(labels.classes))
        return self.recorded(labels, noisy, None, f"human {chosen}")  # other annotators are other noise

    def draw(self, labels: Labels, images: Any) -> tuple[Integers, None]:
        return self(labels, images).given, None


def _find(data_dir: Path, num_classes: int) -> Path:
    if num_classes not in (10, 100):
        raise ValueError(f"noise=human is of CIFAR-10 and CIFAR-100, but this data has {num_classes} classes")
    places = [data_dir / name.format(num_classes) for name in FILES]
    if found := next((place for place in places if place.is_file()), None):
        return found
    raise ValueError(
        f"no labels of CIFAR-N in {data_dir}: put {places[-1].name} (github.com/UCSC-REAL/cifar-10-100n) "
        "there, or say where it is by noise.path=..."
    )


def _read_arrays(path: Path) -> Mapping[str, Any]:
    """Arrays by name from an ``.npz`` or a ``torch.save`` of a dict. Nothing in the file is executed."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        return _load_pt(path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
        raise ValueError(f"{path} cannot be read as labels of CIFAR-N: {first_line(error)}") from error


def _load_pt(path: Path) -> Mapping[str, Any]:
    import torch  # slow to import, and needed by no other noise

    rebuild = np.ndarray.__reduce__(np.zeros(1))[0]
    # All that unpickling an array needs, under the names of numpy 1 and 2.
    safe: list[Any] = [(rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    safe += [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in ("int64", "int32", "uint8", "float64"))]
    try:
        with torch.serialization.safe_globals(safe):
            arrays = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError("it is damaged, or holds more than arrays, which is not executed") from error
    if not isinstance(arrays, dict):
        raise ValueError(f"it holds a {type(arrays).__name__}, not arrays by name")
    return arrays
