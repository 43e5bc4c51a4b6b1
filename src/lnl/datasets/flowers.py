"""tf_flowers: 3,670 photographs of five flowers."""

import hashlib
import math
import os
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torchvision.datasets.utils import download_url

from lnl.datasets.decoded import decode
from lnl.datasets.images import Form
from lnl.datasets.pictures import Files
from lnl.datasets.source import Dataset, Source, hold_out_test
from lnl.datasets.torchvision_sets import damaged, missing
from lnl.errors import UserError
from lnl.files import walk
from lnl.labels import Labels

URL = "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz"
SHA256 = "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c"
CLASSES = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
COUNT = 3670


@dataclass(frozen=True)
class TFFlowers(Source):
    """tf_flowers: 3,670 photographs in 5 classes (The TensorFlow Team, 2019).

    They are in ``data_dir/flower_photos/<class>/*.jpg``, downloaded on first use, and decoded once, into ``cache_dir``.
    A fixed, stratified fifth (734) is the test set.
    """

    data_dir: str | Path = "data"
    cache_dir: str | Path = "cache"

    @property
    def folder(self) -> Path:
        return Path(self.data_dir).expanduser() / "flower_photos"

    def prepare(self) -> None:
        if not self.folder.is_dir():
            try:
                download(self.folder.parent)
            except (OSError, RuntimeError) as error:
                raise missing("flower_photos", self.folder.parent, error) from error
        if (found := len(self.photos())) != COUNT:
            raise UserError(
                f"{self.folder} holds {found} of the {COUNT} photos: delete it, and it will be downloaded again."
            )

    def photos(self) -> list[str]:
        """``<class>/<file>`` of every photo, by class and name."""
        names = [name for name, _ in walk(self.folder, depth=1) if name.endswith(".jpg")]
        return [name for name in names if name.split("/")[0] in CLASSES]

    def read(self, form: Form, progress: bool = False) -> Dataset:
        pictures = Files(self.folder, self.photos())
        decoded = decode(pictures, form, cache_dir=Path(self.cache_dir).expanduser(), limit=math.inf, show=progress)
        for place, reason in decoded.bad.items():
            name = self.folder / pictures.names[place]
            raise UserError(f"{name}: {reason}. Delete flower_photos, and it will be downloaded again.")
        labels = np.array([CLASSES.index(name.split("/")[0]) for name in pictures.names], dtype=np.int64)
        return hold_out_test(decoded.images, labels, CLASSES, originals=pictures)


@dataclass(frozen=True)
class TFFlowersSunflower(TFFlowers):
    """tf_flowers with two classes: sunflower or not. The same images in training and test as :class:`TFFlowers`."""

    def read(self, form: Form, progress: bool = False) -> Dataset:
        five = super().read(form, progress)
        train, test = (
            (labels == CLASSES.index("sunflowers")).astype(np.int64) for labels in (five.labels.given, five.test_labels)
        )
        return replace(five, labels=Labels.true(train, ("other", "sunflower")), test_labels=test)


def download(data_dir: Path) -> None:
    """Downloads the public archive and unpacks it, nothing outside ``data_dir``."""
    data_dir.mkdir(parents=True, exist_ok=True)
    archive = data_dir / "flower_photos.tgz"
    download_url(URL, str(data_dir), archive.name)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise damaged(archive)
    unpacking = data_dir / f"flower_photos.unpacking-{os.getpid()}"
    with tarfile.open(archive) as tar:
        # Python before 3.11.4 has no filter; the checksum guarantees the archive's content.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(unpacking)
    (unpacking / "flower_photos").rename(data_dir / "flower_photos")
    unpacking.rmdir()
    archive.unlink()
