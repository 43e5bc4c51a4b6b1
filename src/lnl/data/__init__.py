"""Data: where images come from, and how they become batches on the device."""

from lnl.data.batch import Batch
from lnl.data.digits import Digits
from lnl.data.flowers import TFFlowers, TFFlowersSunflower, TFFlowersSunflowerLiteral
from lnl.data.images import Dataset, Given, LabelledImages, hold_out_test
from lnl.data.module import NoisyDataModule
from lnl.data.own import ArrayData, FolderData, TableData
from lnl.data.torchvision_sets import CIFAR10, CIFAR100, MNIST, FashionMNIST

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "ArrayData",
    "Batch",
    "Dataset",
    "Digits",
    "FashionMNIST",
    "FolderData",
    "Given",
    "LabelledImages",
    "NoisyDataModule",
    "TFFlowers",
    "TFFlowersSunflower",
    "TFFlowersSunflowerLiteral",
    "TableData",
    "hold_out_test",
]
