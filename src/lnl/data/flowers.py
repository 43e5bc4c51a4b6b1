"""tf_flowers: 3,670 photographs of five flowers, decoded once and kept as an array."""

import contextlib
import hashlib
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torchvision.datasets.utils import download_url

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

    Read from ``data_dir/flower_photos/<class>/*.jpg``, downloaded there on first use. The shorter side is brought to
    ``image_size`` and the centre square kept. A fixed, stratified fifth (734) is the test set.
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
        labels = np.array([CLASSES.index(path.parent.name) for path in files], dtype=np.int64)
        return hold_out_test(LabelledImages(cached_images(files, self.image_size, self.cache_dir), labels), CLASSES)


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
    with tarfile.open(archive) as tar:
        tar.extractall(unpacking, filter="data")
    (unpacking / "flower_photos").rename(data_dir / "flower_photos")
    unpacking.rmdir()
    archive.unlink()


def cached_images(files: list[Path], image_size: int, cache_dir: Path) -> NDArray[np.uint8]:
    """The photos as uint8 ``[N, S, S, 3]``: decoded on all cores the first time, then read from ``cache_dir``.

    Names, sizes and times of the files and the image size are the cache's key: a change of any decodes anew.
    """
    stats = [(path.parent.name, path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = hashlib.sha256(repr((image_size, stats)).encode()).hexdigest()[:16]
    cache = cache_dir / f"tf_flowers-{image_size}-{key}.npy"
    if cache.exists():
        with contextlib.suppress(ValueError, EOFError):  # a damaged cache is made anew
            return np.load(cache)
    with ThreadPoolExecutor() as pool:
        images = np.stack(list(pool.map(lambda path: read_square(path, image_size), files)))
    cache_dir.mkdir(parents=True, exist_ok=True)
    for stale in cache_dir.glob(f"tf_flowers-{image_size}-*.npy"):
        stale.unlink(missing_ok=True)  # another process may have been faster
    unfinished = cache.with_suffix(f".{os.getpid()}.tmp")
    with unfinished.open("wb") as file:
        np.save(file, images)
    unfinished.replace(cache)
    return images


def read_square(path: Path, size: int) -> NDArray[np.uint8]:
    """A photo's centre square at ``size`` x ``size``.

    Raises:
        UserError: naming the file, if it cannot be decoded.
    """
    try:
        with Image.open(path) as photo:
            photo.draft("RGB", (size, size))  # lets the JPEG decoder skip what would be scaled away
            side = min(photo.size)
            left, top = (photo.width - side) // 2, (photo.height - side) // 2
            box = (left, top, left + side, top + side)
            square = photo.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box=box)
            return np.asarray(square)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise UserError(
            f"{path} cannot be read as an image ({error}): delete flower_photos to download it again."
        ) from error
