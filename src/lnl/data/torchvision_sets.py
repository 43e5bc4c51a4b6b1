"""CIFAR and MNIST, through torchvision's own classes: their download, their checksums."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import URLError

import numpy as np
import torchvision
from torchvision.datasets.utils import check_integrity

from lnl.data.images import Dataset, LabelledImages
from lnl.data.module import NoisyDataModule
from lnl.errors import UserError


def missing(name: str, folder: Path, reason: object) -> UserError:
    """What to say when a dataset is neither on the disk nor to be had."""
    return UserError(
        f"{name} is not in {folder} and could not be downloaded ({reason}).\n"
        "Set the folder with LNL_DATA_DIR or paths.data_dir=..., or use data=digits, which needs no download."
    )


def damaged(path: Path) -> UserError:
    """What to say of a file that is there but not whole."""
    return UserError(f"{path} is damaged or truncated: delete it, and it will be downloaded again.")


class TorchvisionDataModule(NoisyDataModule):
    """A dataset that torchvision knows how to download and read."""

    source: ClassVar[Any]

    def prepare_data(self) -> None:
        if all(path.exists() for path in self.needed_files()):
            return  # whole or not, `load` will see
        try:
            for train in (True, False):
                self.source(self.data_dir, train=train, download=True)
        except (URLError, OSError, RuntimeError) as error:
            raise missing(self.source.__name__, self.data_dir, error) from error

    def load(self) -> Dataset:
        for path, whole in self.needed_files().items():
            if whole is not None and path.stat().st_size != whole:
                raise damaged(path)
        try:
            train, test = (self.source(self.data_dir, train=train) for train in (True, False))
        except (RuntimeError, ValueError, AssertionError) as error:  # a checksum or header is wrong
            raise damaged(self.find_damaged()) from error
        return Dataset(self.labelled(train), self.labelled(test), self.class_names(train))

    @abstractmethod
    def needed_files(self) -> dict[Path, int | None]:
        """The files that must be there, with their size in bytes where torchvision checks no sum of them."""

    def find_damaged(self) -> Path:
        """What torchvision could not read: a file, or the folder where no checksum tells which."""
        return self.data_dir / self.source.__name__

    def class_names(self, dataset: Any) -> list[str]:
        return list(dataset.classes)

    def labelled(self, dataset: Any) -> LabelledImages:
        images = np.asarray(dataset.data)
        return LabelledImages(
            images if images.ndim == 4 else images[..., None], np.asarray(dataset.targets, dtype=np.int64)
        )


class CIFAR10(TorchvisionDataModule):
    """CIFAR-10: 50,000 training and 10,000 test images of 32x32x3 in 10 classes (Krizhevsky, 2009)."""

    source = torchvision.datasets.CIFAR10

    def checksums(self) -> dict[Path, str]:
        folder = self.data_dir / self.source.base_folder
        meta = (self.source.meta["filename"], self.source.meta["md5"])
        return {folder / name: md5 for name, md5 in [*self.source.train_list, *self.source.test_list, meta]}

    def needed_files(self) -> dict[Path, int | None]:
        return dict.fromkeys(self.checksums())

    def find_damaged(self) -> Path:
        return next(path for path, md5 in self.checksums().items() if not check_integrity(path, md5))


class CIFAR100(CIFAR10):
    """CIFAR-100: 50,000 training and 10,000 test images of 32x32x3 in 100 classes (Krizhevsky, 2009)."""

    source = torchvision.datasets.CIFAR100


class MNIST(TorchvisionDataModule):
    """MNIST: 60,000 training and 10,000 test images of 28x28 in 10 classes (LeCun et al., 1998)."""

    source = torchvision.datasets.MNIST

    def needed_files(self) -> dict[Path, int | None]:
        # torchvision checks the archives it downloads, not the unpacked files.
        folder = self.data_dir / self.source.__name__ / "raw"
        sizes: dict[Path, int | None] = {}
        for part, count in (("train", 60_000), ("t10k", 10_000)):
            sizes[folder / f"{part}-images-idx3-ubyte"] = 16 + count * 28 * 28
            sizes[folder / f"{part}-labels-idx1-ubyte"] = 8 + count
        return sizes

    def class_names(self, dataset: Any) -> list[str]:
        return [name.split(" - ")[0] for name in dataset.classes]  # torchvision's are "0 - zero"


class FashionMNIST(MNIST):
    """Fashion-MNIST: 60,000 training and 10,000 test images of 28x28 in 10 classes (arXiv:1708.07747)."""

    source = torchvision.datasets.FashionMNIST
