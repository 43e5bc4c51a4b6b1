"""tf_flowers: 3,670 photographs of five flowers."""

import hashlib
import math
import os
import tarfile
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
from torchvision.datasets.utils import download_url

from lnl.data.decoded import Files, common_size, decode
from lnl.data.images import Dataset, LabelledImages, hold_out_test
from lnl.data.module import NoisyDataModule
from lnl.data.torchvision_sets import damaged, missing
from lnl.errors import UserError

URL = "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz"
SHA256 = "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c"
CLASSES = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
COUNT = 3670


class TFFlowers(NoisyDataModule):
    """tf_flowers: 3,670 photographs in 5 classes (The TensorFlow Team, 2019).

    Read from ``data_dir/flower_photos/<class>/*.jpg``, downloaded there on first use. Photographs are decoded once, and
    the array is kept in ``cache_dir``. A fixed, stratified fifth (734) is the test set.
    """

    def prepare_data(self) -> None:
        folder = self.data_dir / "flower_photos"
        if not folder.is_dir():
            try:
                download(self.data_dir)
            except (URLError, OSError, RuntimeError) as error:
                raise missing("flower_photos", self.data_dir, error) from error
        found = len(self.photos())
        if found != COUNT:
            raise UserError(
                f"{folder} holds {found} of the {COUNT} photos: delete it, and it will be downloaded again."
            )

    def photos(self) -> list[Path]:
        """Every photo, by class and name."""
        return [path for name in CLASSES for path in sorted((self.data_dir / "flower_photos" / name).glob("*.jpg"))]

    def load(self) -> Dataset:
        files = self.photos()
        sources = Files(self.data_dir / "flower_photos", [f"{path.parent.name}/{path.name}" for path in files])
        decoded = decode(
            sources,
            self.image_size or common_size(sources),
            self.channels,
            self.fit,
            cache_dir=self.cache_dir,
            limit=math.inf,
            show=self.show_progress,
        )
        for place, reason in decoded.bad.items():
            raise UserError(f"{files[place]}: {reason}. Delete flower_photos, and it will be downloaded again.")
        labels = np.array([CLASSES.index(path.parent.name) for path in files], dtype=np.int64)
        return hold_out_test(LabelledImages(decoded.images, labels), CLASSES)


class TFFlowersSunflower(TFFlowers):
    """tf_flowers with two classes: sunflower or not. The same images in training and test as :class:`TFFlowers`."""

    def load(self) -> Dataset:
        five = super().load()
        sunflower = CLASSES.index("sunflowers")
        train, test = (
            LabelledImages(part.images, (part.labels == sunflower).astype(np.int64)) for part in (five.train, five.test)
        )
        return Dataset(train, test, ("other", "sunflower"))


class TFFlowersSunflowerLiteral(TFFlowersSunflower):
    """Sunflower or not, with three further classes that no image has.

    Noise over these five classes is what a study did by mistake (``docs/studies/flowers.md``): most wrong labels are
    no answer to the question, and the model has outputs for them.
    """

    def load(self) -> Dataset:
        two = super().load()
        return Dataset(two.train, two.test, (*two.classes, "label 2", "label 3", "label 4"))


def download(data_dir: Path) -> None:
    """Fetches the public archive and unpacks it, nothing of it outside ``data_dir``."""
    data_dir.mkdir(parents=True, exist_ok=True)
    archive = data_dir / "flower_photos.tgz"
    download_url(URL, str(data_dir), archive.name)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        raise damaged(archive)
    unpacking = data_dir / f"flower_photos.unpacking-{os.getpid()}"
    # Python before 3.11.4 has no filter; but the checksum says what is in the archive.
    safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as tar:
        tar.extractall(unpacking, **safely)
    (unpacking / "flower_photos").rename(data_dir / "flower_photos")
    unpacking.rmdir()
    archive.unlink()
