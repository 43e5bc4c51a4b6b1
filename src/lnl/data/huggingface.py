"""Datasets of the Hugging Face hub."""

from lnl.data.module import NoisyDataModule
from lnl.datasets.userdata.huggingface import HuggingFace


class HuggingFaceData(NoisyDataModule):
    """A dataset of images and classes, from the hub or from a folder."""

    reads = HuggingFace
