"""A user's own images and labels: a folder of folders, a table, or arrays."""

import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lnl.data.decoded import Decoded, Files, Sources, common_size, decode, find_copies, same
from lnl.data.given import GivenDataModule
from lnl.data.listing import Listing, list_folder, read_table
from lnl.errors import UserError
from lnl.noise.files import label_texts

COLUMNS = ("file", "label", "split", "trusted", "true_label")


class PictureData(GivenDataModule):
    """Pictures that are to be decoded, in files of the folder ``root`` unless a subclass says otherwise."""

    root: Path

    def sources(self, names: list[str]) -> Sources:
        return Files(self.root, names)

    def copies(self, table: pd.DataFrame) -> list[list[int]]:
        return find_copies(self.sources(table["name"].tolist()), self.cache_dir, self.show_progress)

    def pictures(self, table: pd.DataFrame) -> Decoded:
        sources = self.sources(table["name"].tolist())
        return decode(
            sources,
            self.image_size or common_size(sources),
            self.channels,
            self.fit,
            cache_dir=self.cache_dir,
            limit=self.cache_limit,
            show=self.show_progress,
        )


class FolderData(PictureData):
    """Pictures in a folder for each class: ``path/<class>/*``, or ``path/{train,val,test}/<class>/*``.

    Args:
        path: of the folder.
        base: of :class:`~lnl.data.given.GivenDataModule`.
    """

    def __init__(self, *, path: str | Path, **base: Any) -> None:
        super().__init__(**base)
        self.root = Path(str(path)).expanduser()

    def listing(self) -> Listing:
        return list_folder(self.root, self.class_names, self.only_test)


class TableData(PictureData):
    """Pictures and labels that a CSV or Parquet file names (:func:`lnl.data.listing.read_table`).

    Args:
        path: of the file.
        root: the folder that file names are relative to; null: the table's own.
        columns: what the columns are called.
        encoding: of a CSV.
        base: of :class:`~lnl.data.given.GivenDataModule`.
    """

    def __init__(
        self,
        *,
        path: str | Path,
        root: str | Path | None = None,
        columns: Mapping[str, str] | None = None,
        encoding: str = "utf-8",
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.path = Path(str(path)).expanduser()
        self.root = self.path.parent if root is None else Path(str(root)).expanduser()
        self.columns = {name: name for name in COLUMNS} | {key: str(name) for key, name in (columns or {}).items()}
        self.encoding = encoding

    def listing(self) -> Listing:
        return read_table(self.path, self.root, self.columns, self.encoding)


# What arrays may be called in an .npz; the second are those of Keras.
ARRAYS = {
    "images": ("images", "x_train", "x"),
    "labels": ("labels", "y_train", "y"),
    "test_images": ("test_images", "x_test"),
    "test_labels": ("test_labels", "y_test"),
    "true_labels": ("true_labels",),
    "trusted": ("trusted",),
}


class ArrayData(GivenDataModule):
    """Images and labels in NumPy's files. Nothing in them is ever unpickled.

    Args:
        path: an .npz with ``images`` and ``labels``, and if there are ``test_images`` and ``test_labels``, and
            ``true_labels`` and ``trusted`` of the training set; or an .npy of images.
            Images are uint8 ``[N, H, W]``, ``[N, H, W, 1]`` or ``[N, H, W, 3]``, labels ``[N]`` numbers or names.
        labels: an .npy of labels for the latter.
        base: of :class:`~lnl.data.given.GivenDataModule`.
    """

    def __init__(self, *, path: str | Path, labels: str | Path | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.path = Path(str(path)).expanduser()
        self.labels_path = None if labels is None else Path(str(labels)).expanduser()

    def listing(self) -> Listing:
        arrays = self._arrays()
        if self.only_test and not {"images", "labels"} & set(arrays):
            self._pixels, table = self._part(arrays, "test", "test_")
            return Listing(table.assign(name=[f"sample {place}" for place in table.index]))
        pixels, table = self._part(arrays, "train", "")
        if "true_labels" in arrays:
            table["true_label"] = self._text("true_labels", arrays["true_labels"], len(pixels))
        if "trusted" in arrays:
            trusted = arrays["trusted"]
            if trusted.shape != (len(pixels),) or trusted.dtype != bool:
                raise UserError(f"{self.path}: trusted must be {len(pixels)} of true and false, got {_kind(trusted)}")
            table["trusted"] = trusted
        if "test_images" in arrays or "test_labels" in arrays:
            others, test = self._part(arrays, "test", "test_")
            if others.shape[1:] != pixels.shape[1:]:
                raise UserError(f"{self.path}: test_images are {_kind(others)}, images {_kind(pixels)}")
            pixels = np.concatenate([pixels, others])
            test = test.assign(true_label=test["label"], trusted=False)
            table = pd.concat([table, test[table.columns]], ignore_index=True)
        self._pixels = pixels
        return Listing(table.assign(name=[f"sample {place}" for place in table.index]))

    def copies(self, table: pd.DataFrame) -> list[list[int]]:
        return same(sha256(self._pixels[place].tobytes()).hexdigest() for place in table.index)

    def pictures(self, table: pd.DataFrame) -> Decoded:
        places, pixels = table.index.to_numpy(), self._pixels
        del self._pixels
        return Decoded(pixels if np.array_equal(places, np.arange(len(pixels))) else pixels[places], {})

    def _arrays(self) -> dict[str, NDArray[Any]]:
        if self.path.suffix.lower() == ".npy":
            if self.labels_path is None:
                raise UserError(f"{self.path} has images alone: set data.labels to an .npy of their labels.")
            return {"images": _load(self.path), "labels": _load(self.labels_path)}
        return _load(self.path)

    def _part(
        self, arrays: Mapping[str, NDArray[Any]], split: str, prefix: str
    ) -> tuple[NDArray[np.uint8], pd.DataFrame]:
        images, labels = f"{prefix}images", f"{prefix}labels"
        for name in (images, labels):
            if name not in arrays:
                raise UserError(f"{self.path} has no array `{name}` (or {', '.join(ARRAYS[name][1:])}).")
        pixels = self._checked(images, arrays[images])
        return pixels, pd.DataFrame({"label": self._text(labels, arrays[labels], len(pixels)), "split": split})

    def _checked(self, name: str, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        if pixels.ndim == 3:
            pixels = pixels[..., None]
        if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or not pixels.size:
            hint = (
                "; images.transpose(0, 2, 3, 1) brings channels to the end" if pixels.shape[1:2] in ((1,), (3,)) else ""
            )
            raise UserError(
                f"{self.path}: {name} must be [N, H, W], [N, H, W, 1] or [N, H, W, 3], got {_kind(pixels)}{hint}"
            )
        if pixels.dtype != np.uint8:
            hint = "np.round(255 * images).astype('uint8') if they are in 0..1" if pixels.dtype.kind == "f" else "uint8"
            raise UserError(f"{self.path}: {name} must be uint8 in 0..255, got {pixels.dtype}: save {hint}")
        return pixels

    def _text(self, name: str, labels: NDArray[Any], count: int) -> "pd.Series[str]":
        try:
            texts = label_texts(labels)
        except ValueError as error:
            raise UserError(f"{self.path}: {name} must be [N] numbers or names, got {_kind(labels)}") from error
        if len(labels) != count:
            raise UserError(f"{self.path}: there are {count:,} images and {len(labels):,} {name}")
        if labels.dtype.kind in "if":
            odd = labels[~np.isnan(labels) & ((labels < 0) | (labels % 1 != 0))]
            if len(odd):
                raise UserError(
                    f"{self.path}: {name} must be whole numbers from 0, or names; {len(odd):,} are not, first "
                    f"{odd[0]}.\nImages without a label are to be left out."
                )
        return pd.Series(texts)


def _kind(array: NDArray[Any]) -> str:
    return f"{list(array.shape)} {array.dtype}"


def _load(path: Path) -> Any:
    """The array of an .npy, or those of an .npz that have a name of ARRAYS."""
    if not path.is_file():
        raise UserError(f"there is no file {path}: set data.path (and data.labels)")
    is_npy = path.suffix.lower() == ".npy"
    try:
        loaded = np.load(path, mmap_mode="c" if is_npy else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray) != is_npy:
            raise UserError(f"{path} is not what its name says: .npy holds one array, .npz several by name.")
        if is_npy:
            return loaded
        names = {name: next((key for key in keys if key in loaded), None) for name, keys in ARRAYS.items()}
        return {name: loaded[key] for name, key in names.items() if key is not None}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        what = f"is damaged or no file of NumPy's: {(str(error) or type(error).__name__).splitlines()[0]}"
        if "pickle" in str(error):
            what = "holds pickled Python objects, which could run code and are not read: save numbers and texts."
        raise UserError(f"{path} {what}") from error
