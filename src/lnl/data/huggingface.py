"""Datasets of the Hugging Face hub, through their own library."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from lnl.data.decoded import Sources
from lnl.data.listing import SPLIT_OF, Listing, as_text
from lnl.data.own import PictureData
from lnl.data.pictures import PictureError
from lnl.errors import UserError
from lnl.noise.classes import cleaned


class HuggingFaceData(PictureData):
    """A dataset of images and classes, from the hub or from a folder.

    Args:
        name: on the hub, or a folder: of pictures or Parquet files, or one that ``save_to_disk`` wrote.
        config, revision: which of it.
        image, label: the columns; null for the only one of images, and the only one of classes or the one that is
            called ``label``.
        base: of :class:`~lnl.data.given.GivenDataModule`.
    """

    def __init__(
        self,
        *,
        name: str,
        config: str | None = None,
        revision: str | None = None,
        image: str | None = None,
        label: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.source, self.config, self.revision, self.image, self.label = str(name), config, revision, image, label

    def listing(self) -> Listing:
        datasets = _library()
        everything = self._load(datasets)
        found = {part: SPLIT_OF.get(part.lower()) for part in everything}
        others = [part for part, split in found.items() if split is None]
        remarks = [f"the splits {', '.join(others)} of {self.source} are left out"] if others else []
        self._parts, tables, named = {}, [], False
        for part, split in found.items():
            if split is None:
                continue
            data = everything[part]
            image = self.image or _only(data, self.source, "image", datasets.Image)
            label = self.label or _only(data, self.source, "label", datasets.ClassLabel)
            for column in (image, label):
                if column not in data.features:
                    raise UserError(f"{self.source} has no column '{column}', but {', '.join(data.features)}")
            names = getattr(data.features[label], "names", None)
            if names and self.class_names is None:
                self.class_names = list(dict.fromkeys(map(cleaned, names)))
            given = [names[value] if names and value is not None and value >= 0 else value for value in data[label]]
            labels = ["" if value is None or value == -1 else as_text(value) for value in given]
            named = bool(names)
            places = [f"{part}/{place}" for place in range(len(data))]
            tables.append(pd.DataFrame({"name": places, "label": labels, "split": split}))
            self._parts[part] = data.select_columns(image).cast_column(image, datasets.Image(decode=False))
        if not tables:
            raise UserError(f"{self.source} has the splits {', '.join(found)}, and none called train.")
        return Listing(pd.concat(tables, ignore_index=True), remarks=remarks, named=named)

    def sources(self, names: list[str]) -> Sources:
        return _Rows(self.source, self._parts, names)

    def _load(self, datasets: Any) -> Any:
        folder = Path(self.source).expanduser()
        try:
            if folder.is_dir() and ((folder / "dataset_dict.json").exists() or (folder / "state.json").exists()):
                loaded = datasets.load_from_disk(str(folder))
            else:
                name = str(folder) if folder.is_dir() else self.source
                loaded = datasets.load_dataset(name, self.config, revision=self.revision)
        except Exception as error:  # of the hub, of the network, of a script's
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(f"data.name={self.source} cannot be loaded ({type(error).__name__}): {reason}") from error
        return loaded if isinstance(loaded, dict) else {"train": loaded}


class _Rows(Sources):
    """Pictures in the rows of datasets, which are called ``<split>/<row>``."""

    def __init__(self, origin: str, parts: dict[str, Any], names: list[str]) -> None:
        super().__init__(origin, names)
        self.parts = parts

    def __getitem__(self, place: int) -> Path | bytes:
        part, _, row = self.names[place].rpartition("/")
        (picture,) = self.parts[part][int(row)].values()
        if not picture or not (picture["bytes"] or picture["path"]):
            raise PictureError("it has no image")
        return picture["bytes"] or Path(picture["path"])

    def key(self) -> str:
        state = [(part, data._fingerprint) for part, data in self.parts.items()]
        return hashlib.sha256(repr((state, self.names)).encode()).hexdigest()

    def digest(self, place: int) -> str:
        picture = self[place]
        return hashlib.sha256(picture if isinstance(picture, bytes) else picture.read_bytes()).hexdigest()


def _library() -> Any:
    try:
        import datasets
    except ImportError:
        raise UserError("data=huggingface needs their library: pip install 'lnl[hf]'") from None
    datasets.disable_progress_bars()
    return datasets


def _only(data: Any, dataset: str, what: str, kind: type) -> str:
    """The name of the only column of a kind, or of that which is called by it."""
    found = [name for name, feature in data.features.items() if isinstance(feature, kind)]
    if len(found) != 1 and what in data.features:
        return what
    if len(found) != 1:
        raise UserError(
            f"which column of {dataset} has the {what}s? data.{what}=NAME; there are {', '.join(data.features)}."
        )
    return found[0]
