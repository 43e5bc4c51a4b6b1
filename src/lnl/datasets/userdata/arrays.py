"""Images and labels in NumPy's files."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lnl.datasets.copies import picture_numbers
from lnl.datasets.decoded import Decoded
from lnl.datasets.images import Form, as_images
from lnl.datasets.userdata.listing import Listing
from lnl.datasets.userdata.source import UserSource
from lnl.errors import UserError, first_line
from lnl.labels import Integers
from lnl.labels.files import label_texts

# Names of the arrays in an .npz; the later ones are those of Keras.
ARRAYS = {
    "images": ("images", "x_train", "x"),
    "labels": ("labels", "y_train", "y"),
    "test_images": ("test_images", "x_test"),
    "test_labels": ("test_labels", "y_test"),
    "true_labels": ("true_labels",),
    "trusted": ("trusted",),
}


@dataclass(frozen=True, kw_only=True)
class Arrays(UserSource):
    """Images and labels in NumPy's files. Nothing in them is ever unpickled.

    Args:
        path: an .npz with ``images`` and ``labels`` and, optionally, ``test_images`` and ``test_labels``, and
            ``true_labels`` and ``trusted`` (bool ``[N]``) of the training set; or an .npy of images.
            Images are uint8 ``[N, H, W]``, ``[N, H, W, 1]`` or ``[N, H, W, 3]``, labels ``[N]`` numbers or names.
        labels: an .npy of labels for an .npy of images.
    """

    path: str | Path
    labels: str | Path | None = None

    @property
    def file(self) -> Path:
        return Path(str(self.path)).expanduser()

    def listing(self) -> Listing:
        arrays = self._arrays()
        only = self.only_test and not {"images", "labels"} & set(arrays)
        pixels, table = self._part(arrays, "test", "test_") if only else self._part(arrays, "train", "")
        if "true_labels" in arrays:
            table["true_label"] = self._text("true_labels", arrays["true_labels"], len(pixels))
        if "trusted" in arrays:
            trusted = arrays["trusted"]
            if trusted.shape != (len(pixels),) or trusted.dtype != bool:
                raise UserError(f"{self.file}: trusted must be {len(pixels)} of true and false, got {_kind(trusted)}")
            table["trusted"] = trusted
        if not only and {"test_images", "test_labels"} & set(arrays):
            others, test = self._part(arrays, "test", "test_")
            if others.shape[1:] != pixels.shape[1:]:
                raise UserError(f"{self.file}: test_images are {_kind(others)}, images {_kind(pixels)}")
            pixels = np.concatenate([pixels, others])
            test = test.assign(true_label=test["label"], trusted=False)
            table = pd.concat([table, test[table.columns]], ignore_index=True)
        return Listing(table.assign(name=[f"sample {place}" for place in table.index]), pixels)

    def copies(self, listing: Listing, table: pd.DataFrame, progress: bool) -> Integers:
        return picture_numbers(sha256(listing.holds[place].tobytes()).hexdigest() for place in table.index)

    def pictures(self, listing: Listing, table: pd.DataFrame, form: Form, progress: bool) -> Decoded:
        places, pixels = table.index.to_numpy(), listing.holds
        return Decoded(pixels if np.array_equal(places, np.arange(len(pixels))) else pixels[places], {})

    def _arrays(self) -> dict[str, NDArray[Any]]:
        if self.file.suffix.lower() != ".npy":
            return _load(self.file)
        if self.labels is None:
            raise UserError(f"{self.file} has only images: set data.labels to an .npy of their labels.")
        return {"images": _load(self.file), "labels": _load(Path(str(self.labels)).expanduser())}

    def _part(
        self, arrays: Mapping[str, NDArray[Any]], split: str, prefix: str
    ) -> tuple[NDArray[np.uint8], pd.DataFrame]:
        images, labels = f"{prefix}images", f"{prefix}labels"
        for name in (images, labels):
            if name not in arrays:
                raise UserError(f"{self.file} has no array `{name}` (or {', '.join(ARRAYS[name][1:])}).")
        if (dtype := arrays[images].dtype) != np.uint8:
            saved = "np.round(255 * images).astype('uint8') if they are in 0..1" if dtype.kind == "f" else "uint8"
            raise UserError(f"{self.file}: {images} must be uint8 in 0..255, got {dtype}: save {saved}")
        try:
            pixels = as_images(arrays[images])
        except ValueError as error:
            raise UserError(f"{self.file}: {prefix}{error}") from error
        return pixels, pd.DataFrame({"label": self._text(labels, arrays[labels], len(pixels)), "split": split})

    def _text(self, name: str, labels: NDArray[Any], count: int) -> "pd.Series[str]":
        try:
            texts = label_texts(labels)
        except ValueError as error:
            raise UserError(f"{self.file}: {name} must be [N] numbers or names, got {_kind(labels)}") from error
        if len(labels) != count:
            raise UserError(f"{self.file}: there are {count:,} images and {len(labels):,} {name}")
        if labels.dtype.kind in "if" and len(odd := labels[~np.isnan(labels) & ~((labels >= 0) & (labels % 1 == 0))]):
            raise UserError(
                f"{self.file}: {name} must be whole numbers from 0, or names; {len(odd):,} are not, first {odd[0]}.\n"
                "Leave out images without a label."
            )
        return pd.Series(texts)


def _kind(array: NDArray[Any]) -> str:
    return f"{list(array.shape)} {array.dtype}"


def _load(path: Path) -> Any:
    """The array of an .npy, or the arrays of an .npz by the keys of ARRAYS."""
    if not path.is_file():
        raise UserError(f"there is no file {path}: set data.path (and data.labels)")
    is_npy = path.suffix.lower() == ".npy"
    try:
        loaded = np.load(path, mmap_mode="c" if is_npy else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray) != is_npy:
            raise UserError(f"{path} does not match its name: .npy holds one array, .npz several by name.")
        if is_npy:
            return loaded
        names = {name: next((key for key in keys if key in loaded), None) for name, keys in ARRAYS.items()}
        return {name: loaded[key] for name, key in names.items() if key is not None}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        if not _is_numpy(path):
            what = "is not a NumPy file: np.savez(path, images=images, labels=labels) writes one."
        elif "pickle" in str(error) or "Python objects" in str(error):
            what = "holds Python objects, which could run code and are not read: save numbers and texts."
        else:
            what = f"is damaged: {first_line(error)}"
        raise UserError(f"{path} {what}") from error


def _is_numpy(path: Path) -> bool:
    """Whether a file begins as an .npy or .npz does, or cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(6).startswith((b"\x93NUMPY", b"PK\x03\x04"))
    except OSError:
        return True
