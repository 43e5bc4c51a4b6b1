"""CIFAR and MNIST, through torchvision's own classes: their download, their checksums."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torchvision
from torchvision.datasets.utils import check_integrity

from lnl.datasets.images import Form
from lnl.datasets.source import Dataset, Source
from lnl.errors import UserError
from lnl.labels import Labels


def missing(name: str, folder: Path, reason: object) -> UserError:
    """The error for a dataset that is not on the disk and cannot be downloaded."""
    return UserError(
        f"{name} is not in {folder} and could not be downloaded ({reason}).\n"
        "Set the folder with LNL_DATA_DIR or paths.data_dir=..., or use data=digits, which needs no download."
    )


def damaged(path: Path) -> UserError:
    """The error for an incomplete file."""
    return UserError(f"{path} is damaged or truncated: delete it, and it will be downloaded again.")


@dataclass(frozen=True)
class TorchvisionSet(Source):
    """A dataset that torchvision's ``reader`` downloads to and reads from ``data_dir``."""

    reader: ClassVar[Any]

    data_dir: str | Path = "data"

    @property
    def folder(self) -> Path:
        return Path(self.data_dir).expanduser()

    def prepare(self) -> None:
        if all(path.exists() for path in self.files()):
            return  # read checks them
        try:
            for train in (True, False):
                self.reader(self.folder, train=train, download=True)
        except (OSError, RuntimeError) as error:
            raise missing(self.reader.__name__, self.folder, error) from error

    def read(self, form: Form, progress: bool = False) -> Dataset:
        for path, whole in self.files().items():
            if isinstance(whole, int) and path.stat().st_size != whole:
                raise damaged(path)
        try:
            train, test = (self.reader(self.folder, train=train) for train in (True, False))
        except (RuntimeError, ValueError, AssertionError) as error:  # a checksum or header is wrong
            sums = ((path, whole) for path, whole in self.files().items() if isinstance(whole, str))
            wrong = (path for path, md5 in sums if not check_integrity(path, md5))
            raise damaged(next(wrong, self.folder / self.reader.__name__)) from error
        (images, labels), (test_images, test_labels) = (
            (np.asarray(part.data).reshape(*part.data.shape[:3], -1), np.asarray(part.targets, dtype=np.int64))
            for part in (train, test)
        )
        classes = [name.split(" - ")[0] for name in train.classes]  # MNIST's are "0 - zero"
        return Dataset(images, Labels.true(labels, classes), test_images, test_labels)

    @abstractmethod
    def files(self) -> dict[Path, int | str]:
        """The required files, each with its MD5 sum if torchvision checks it, else with its size in bytes."""


@dataclass(frozen=True)
class CIFAR10(TorchvisionSet):
    """CIFAR-10: 50,000 training and 10,000 test images of 32x32x3 in 10 classes (Krizhevsky, 2009)."""

    reader = torchvision.datasets.CIFAR10

    def files(self) -> dict[Path, int | str]:
        folder = self.folder / self.reader.base_folder
        meta = (self.reader.meta["filename"], self.reader.meta["md5"])
        return {folder / name: md5 for name, md5 in [*self.reader.train_list, *self.reader.test_list, meta]}


@dataclass(frozen=True)
class CIFAR100(CIFAR10):
    """CIFAR-100: 50,000 training and 10,000 test images of 32x32x3 in 100 classes (Krizhevsky, 2009)."""

    reader = torchvision.datasets.CIFAR100


@dataclass(frozen=True)
class MNIST(TorchvisionSet):
    """MNIST: 60,000 training and 10,000 test images of 28x28 in 10 classes (LeCun et al., 1998)."""

    reader = torchvision.datasets.MNIST

    def files(self) -> dict[Path, int | str]:
        # torchvision checks the archives that it downloads, not the unpacked files.
        sizes = {"train-images-idx3": 16 + 60_000 * 784, "train-labels-idx1": 8 + 60_000}
        sizes |= {"t10k-images-idx3": 16 + 10_000 * 784, "t10k-labels-idx1": 8 + 10_000}
        return {self.folder / self.reader.__name__ / "raw" / f"{name}-ubyte": size for name, size in sizes.items()}


@dataclass(frozen=True)
class FashionMNIST(MNIST):
    """Fashion-MNIST: 60,000 training and 10,000 test images of 28x28 in 10 classes (arXiv:1708.07747)."""

    reader = torchvision.datasets.FashionMNIST
