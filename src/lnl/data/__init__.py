"""Data: any source of images and labels, dealt out in batches on the device."""

from lnl.data.batch import Batch
from lnl.data.module import NoisyDataModule
from lnl.data.sets import (
    CIFAR10,
    CIFAR100,
    MNIST,
    ArrayData,
    Digits,
    FashionMNIST,
    FolderData,
    TableData,
    TFFlowers,
    TFFlowersSunflower,
)
from lnl.datasets.images import Form
from lnl.datasets.source import Dataset, Source, hold_out_test

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
    "Form",
    "NoisyDataModule",
    "Source",
    "TFFlowers",
    "TFFlowersSunflower",
    "TableData",
    "hold_out_test",
]
