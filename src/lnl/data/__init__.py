"""Data: any source of images and labels, dealt out in batches on the device."""

from lnl.data.batch import Batch
from lnl.data.module import NoisyDataModule
from lnl.data.sets import (
    CIFAR10,
    CIFAR100,
    MNIST,
    Animal10N,
    ArrayData,
    Clothing1M,
    Digits,
    FashionMNIST,
    FolderData,
    Food101N,
    TableData,
    TFFlowers,
    TFFlowersSunflower,
    TinyImageNet,
    WebVision,
    WebVisionImageNet,
)
from lnl.datasets.images import Form
from lnl.datasets.source import Dataset, Source, hold_out_test

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "Animal10N",
    "ArrayData",
    "Batch",
    "Clothing1M",
    "Dataset",
    "Digits",
    "FashionMNIST",
    "FolderData",
    "Food101N",
    "Form",
    "NoisyDataModule",
    "Source",
    "TFFlowers",
    "TFFlowersSunflower",
    "TableData",
    "TinyImageNet",
    "WebVision",
    "WebVisionImageNet",
    "hold_out_test",
]
