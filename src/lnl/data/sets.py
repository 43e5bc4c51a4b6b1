"""The datasets of ``conf/data`` as data modules, each with its source, :attr:`~lnl.data.NoisyDataModule.reads`."""

from typing import ClassVar

from lnl.data.module import NoisyDataModule
from lnl.datasets import animal10n, clothing1m, digits, flowers, food101n, tiny_imagenet, torchvision_sets, webvision
from lnl.datasets.userdata import arrays, folder, table


class CIFAR10(NoisyDataModule):
    """CIFAR-10 (:class:`lnl.datasets.torchvision_sets.CIFAR10`)."""

    reads = torchvision_sets.CIFAR10


class CIFAR100(NoisyDataModule):
    """CIFAR-100 (:class:`lnl.datasets.torchvision_sets.CIFAR100`)."""

    reads = torchvision_sets.CIFAR100


class MNIST(NoisyDataModule):
    """MNIST (:class:`lnl.datasets.torchvision_sets.MNIST`)."""

    reads = torchvision_sets.MNIST
    defaults: ClassVar = {"channels": 1, "mean": [0.1307], "std": [0.3081]}


class FashionMNIST(NoisyDataModule):
    """Fashion-MNIST (:class:`lnl.datasets.torchvision_sets.FashionMNIST`)."""

    reads = torchvision_sets.FashionMNIST
    defaults: ClassVar = {"channels": 1, "mean": [0.2860], "std": [0.3530]}


class Digits(NoisyDataModule):
    """scikit-learn's digits (:class:`lnl.datasets.digits.Digits`)."""

    reads = digits.Digits
    defaults: ClassVar = {"channels": 1, "mean": [0.305], "std": [0.376], "batch_size": 64}


class TFFlowers(NoisyDataModule):
    """tf_flowers, five flowers (:class:`lnl.datasets.flowers.TFFlowers`)."""

    reads = flowers.TFFlowers
    defaults: ClassVar = {"fit": "center_square", "image_size": 64}


class TFFlowersSunflower(TFFlowers):
    """tf_flowers, sunflower or not (:class:`lnl.datasets.flowers.TFFlowersSunflower`)."""

    reads = flowers.TFFlowersSunflower


class Clothing1M(NoisyDataModule):
    """Clothing1M (:class:`lnl.datasets.clothing1m.Clothing1M`)."""

    reads = clothing1m.Clothing1M
    defaults: ClassVar = {"fit": "center_square", "image_size": 224}


class WebVision(NoisyDataModule):
    """Mini-WebVision (:class:`lnl.datasets.webvision.WebVision`)."""

    reads = webvision.WebVision
    defaults: ClassVar = {"fit": "center_square", "image_size": 224}


class WebVisionImageNet(WebVision):
    """Mini-WebVision, tested on ImageNet (:class:`lnl.datasets.webvision.WebVisionImageNet`)."""

    reads = webvision.WebVisionImageNet


class Animal10N(NoisyDataModule):
    """ANIMAL-10N (:class:`lnl.datasets.animal10n.Animal10N`)."""

    reads = animal10n.Animal10N


class Food101N(NoisyDataModule):
    """Food-101N (:class:`lnl.datasets.food101n.Food101N`)."""

    reads = food101n.Food101N
    defaults: ClassVar = {"fit": "center_square", "image_size": 224}


class TinyImageNet(NoisyDataModule):
    """Tiny ImageNet (:class:`lnl.datasets.tiny_imagenet.TinyImageNet`)."""

    reads = tiny_imagenet.TinyImageNet


class FolderData(NoisyDataModule):
    """Pictures in a folder for each class (:class:`lnl.datasets.userdata.folder.Folder`)."""

    reads = folder.Folder


class TableData(NoisyDataModule):
    """Pictures and labels in a table (:class:`lnl.datasets.userdata.table.Table`)."""

    reads = table.Table


class ArrayData(NoisyDataModule):
    """Images and labels in NumPy arrays (:class:`lnl.datasets.userdata.arrays.Arrays`)."""

    reads = arrays.Arrays
