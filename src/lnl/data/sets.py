"""The datasets of ``conf/data`` as data modules: a source and its defaults."""

from typing import ClassVar

from lnl.data.module import NoisyDataModule
from lnl.datasets import digits, flowers, torchvision_sets
from lnl.datasets.userdata import arrays, folder, table


class CIFAR10(NoisyDataModule):
    """CIFAR-10: 50,000 training and 10,000 test images of 32x32x3 in 10 classes (Krizhevsky, 2009)."""

    reads = torchvision_sets.CIFAR10


class CIFAR100(NoisyDataModule):
    """CIFAR-100: 50,000 training and 10,000 test images of 32x32x3 in 100 classes (Krizhevsky, 2009)."""

    reads = torchvision_sets.CIFAR100


class MNIST(NoisyDataModule):
    """MNIST: 60,000 training and 10,000 test images of 28x28 in 10 classes (LeCun et al., 1998)."""

    reads = torchvision_sets.MNIST
    defaults: ClassVar = {"channels": 1, "mean": [0.1307], "std": [0.3081]}


class FashionMNIST(NoisyDataModule):
    """Fashion-MNIST: 60,000 training and 10,000 test images of 28x28 in 10 classes (arXiv:1708.07747)."""

    reads = torchvision_sets.FashionMNIST
    defaults: ClassVar = {"channels": 1, "mean": [0.2860], "std": [0.3530]}


class Digits(NoisyDataModule):
    """1,797 handwritten digits of 8x8 in 10 classes, which come with scikit-learn."""

    reads = digits.Digits
    defaults: ClassVar = {"channels": 1, "mean": [0.305], "std": [0.376], "batch_size": 64}


class TFFlowers(NoisyDataModule):
    """tf_flowers: 3,670 photographs in 5 classes (The TensorFlow Team, 2019)."""

    reads = flowers.TFFlowers
    defaults: ClassVar = {"fit": "center_square", "image_size": 64}


class TFFlowersSunflower(TFFlowers):
    """tf_flowers with two classes: sunflower or not."""

    reads = flowers.TFFlowersSunflower


class FolderData(NoisyDataModule):
    """A user's own pictures in a folder for each class (:class:`lnl.datasets.userdata.folder.Folder`)."""

    reads = folder.Folder


class TableData(NoisyDataModule):
    """A user's own pictures, named by a table (:class:`lnl.datasets.userdata.table.Table`)."""

    reads = table.Table


class ArrayData(NoisyDataModule):
    """A user's own images in NumPy's files (:class:`lnl.datasets.userdata.arrays.Arrays`)."""

    reads = arrays.Arrays
