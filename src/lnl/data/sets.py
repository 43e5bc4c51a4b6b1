"""The datasets of ``conf/data`` as data modules: the source :attr:`reads` describes each of them."""

from typing import ClassVar

from lnl.data.module import NoisyDataModule
from lnl.datasets import digits, flowers, torchvision_sets
from lnl.datasets.userdata import arrays, folder, table


class CIFAR10(NoisyDataModule):
    reads = torchvision_sets.CIFAR10


class CIFAR100(NoisyDataModule):
    reads = torchvision_sets.CIFAR100


class MNIST(NoisyDataModule):
    reads = torchvision_sets.MNIST
    defaults: ClassVar = {"channels": 1, "mean": [0.1307], "std": [0.3081]}


class FashionMNIST(NoisyDataModule):
    reads = torchvision_sets.FashionMNIST
    defaults: ClassVar = {"channels": 1, "mean": [0.2860], "std": [0.3530]}


class Digits(NoisyDataModule):
    reads = digits.Digits
    defaults: ClassVar = {"channels": 1, "mean": [0.305], "std": [0.376], "batch_size": 64}


class TFFlowers(NoisyDataModule):
    reads = flowers.TFFlowers
    defaults: ClassVar = {"fit": "center_square", "image_size": 64}


class TFFlowersSunflower(TFFlowers):
    reads = flowers.TFFlowersSunflower


class FolderData(NoisyDataModule):
    reads = folder.Folder


class TableData(NoisyDataModule):
    reads = table.Table


class ArrayData(NoisyDataModule):
    reads = arrays.Arrays
