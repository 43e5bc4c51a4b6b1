"""Datasets of the Hugging Face hub, read by its own library."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from lnl.datasets.pictures import PictureError, Pictures
from lnl.datasets.userdata.listing import SPLIT_OF, Listing, as_text
from lnl.datasets.userdata.source import UserSource
from lnl.errors import UserError, first_line, install
from lnl.labels.classes import cleaned


@dataclass(frozen=True, kw_only=True)
class HuggingFace(UserSource):
    """A dataset of images and classes, from the hub or from a folder.

    Args:
        name: on the hub, or a folder of pictures, of Parquet files or from ``save_to_disk``.
        config, revision: of the dataset.
        image, label: columns; null for the only one of images or of classes, or those called ``image``, ``label``.
    """

    name: str
    config: str | None = None
    revision: str | None = None
    image: str | None = None
    label: str | None = None

    def listing(self) -> Listing:
        datasets, everything = self._load()
        found = {part: SPLIT_OF[part.lower()] for part in everything if part.lower() in SPLIT_OF}
        others = [part for part in everything if part not in found]
        remarks = [f"the splits {', '.join(others)} of {self.name} are left out"] if others else []
        classes: list[str] | None = None
        parts, tables, named = {}, [], False
        for part, split in found.items():
            data = everything[part]
            image = self.image or self._only(data, "image", datasets.Image)
            label = self.label or self._only(data, "label", datasets.ClassLabel)
            for column in (image, label):
                if column not in data.features:
                    raise UserError(f"{self.name} has no column '{column}', but {', '.join(data.features)}")
            names = getattr(data.features[label], "names", None)
            if names and classes is None:
                classes = list(dict.fromkeys(map(cleaned, names)))
            given = [names[value] if names and value is not None and value >= 0 else value for value in data[label]]
            labels = ["" if value is None or value == -1 else as_text(value) for value in given]
            named = bool(names)
            places = [f"{part}/{place}" for place in range(len(data))]
            tables.append(pd.DataFrame({"name": places, "label": labels, "split": split}))
            parts[part] = data.select_columns(image).cast_column(image, datasets.Image(decode=False))
        if not tables:
            raise UserError(f"{self.name} has the splits {', '.join(everything)}, and none called train.")
        holds = partial(_Rows, str(self.name), parts)
        return Listing(pd.concat(tables, ignore_index=True), holds, remarks=remarks, named=named, classes=classes)

    def _load(self) -> tuple[Any, Any]:
        """The library, and the datasets by split."""
        try:
            import datasets
        except ImportError:
            raise UserError(f"data=huggingface needs their library: {install('hf')}") from None
        datasets.disable_progress_bars()
        folder = Path(str(self.name)).expanduser()
        try:
            if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
                loaded = datasets.load_from_disk(str(folder))
            else:
                name = str(folder if folder.is_dir() else self.name)
                loaded = datasets.load_dataset(name, self.config, revision=self.revision)
        except Exception as error:  # of the hub, the network or the dataset's script
            what = f"data.name={self.name} cannot be loaded ({type(error).__name__})"
            raise UserError(f"{what}: {first_line(error)}") from error
        return datasets, loaded if isinstance(loaded, dict) else {"train": loaded}

    def _only(self, data: Any, what: str, kind: type) -> str:
        """The name of the only column of a kind, or of the column called ``what``."""
        found = [name for name, feature in data.features.items() if isinstance(feature, kind)]
        if len(found) == 1 or what in data.features:
            return found[0] if len(found) == 1 else what
        raise UserError(
            f"which column of {self.name} has the {what}s? data.{what}=NAME; there are {', '.join(data.features)}."
        )


class _Rows(Pictures):
    """Pictures in the rows of datasets, with the names ``<split>/<row>``."""

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
