"""Images with labels, as a dataset delivers them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F

from lnl.noise.corrupt import Labels, apportion

Fit = Literal["resize", "center_crop", "center_square"]


class Streamed(ABC):
    """Images ``[N, H, W, C]`` that are read when they are asked for, because they do not fit in memory.

    Attributes:
        shape: what the array of them would have.
        digests: of each image (:func:`digests`).
    """

    digests: NDArray[np.uint64]

    nbytes = 0  # in memory

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        self.shape = shape

    @abstractmethod
    def __getitem__(self, places: Any) -> NDArray[np.uint8]:
        """The image at a place ``[H, W, C]``, or those at several ``[n, H, W, C]``."""


Images = NDArray[np.uint8] | Streamed


def digest(pixels: NDArray[np.uint8]) -> int:
    """64 bits that are the same for images of the same pixels."""
    return int.from_bytes(blake2b(np.ascontiguousarray(pixels).data, digest_size=8).digest())


def digests(images: Images) -> NDArray[np.uint64]:
    """The :func:`digest` of each image, ``[N]``."""
    return images.digests if isinstance(images, Streamed) else np.array([digest(image) for image in images], np.uint64)


@dataclass(frozen=True)
class LabelledImages:
    """Images and labels.

    Attributes:
        images: uint8 ``[N, H, W, C]``; streamed ones have the size and channels that are wanted already.
        labels: int64 ``[N]`` in ``[0, K)``.
    """

    images: Images
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: NDArray[np.int64]) -> "LabelledImages":
        return LabelledImages(self.images[index], self.labels[index])

    def fit_to(self, image_size: int, channels: int, fit: Fit = "resize") -> "LabelledImages":
        """The same images at ``image_size`` x ``image_size`` with 1 or 3 ``channels``.

        Args:
            image_size, channels: wanted.
            fit: ``resize`` (bilinear, antialiased), ``center_crop`` (what is left over is cut off, the odd pixel at
                the bottom and the right) or ``center_square`` (the largest square in the middle, resized).

        Raises:
            ValueError: if there is less to crop from than is wanted.
        """
        images = self.images
        if isinstance(images, Streamed):
            return self
        if fit == "center_crop":
            height, width = images.shape[1:3]
            if min(height, width) < image_size:
                wanted = f"data.image_size={image_size}"
                raise ValueError(f"data.fit=center_crop needs images no smaller than {wanted}, got {height}x{width}")
            top, left = (height - image_size) // 2, (width - image_size) // 2
            images = images[:, top : top + image_size, left : left + image_size]
        if fit == "center_square":
            height, width = images.shape[1:3]
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            images = images[:, top : top + side, left : left + side]
        if not len(images):
            images = np.zeros((0, image_size, image_size, channels), np.uint8)
        if images.shape[1:3] != (image_size, image_size):
            tensor = F.resize(torch.from_numpy(images).permute(0, 3, 1, 2), [image_size, image_size], antialias=True)
            images = tensor.permute(0, 2, 3, 1).contiguous().numpy()
        if images.shape[3] == 1 and channels == 3:
            images = np.repeat(images, 3, axis=3)
        if images.shape[3] == 3 and channels == 1:
            tensor = F.rgb_to_grayscale(torch.from_numpy(images).permute(0, 3, 1, 2))
            images = tensor.permute(0, 2, 3, 1).contiguous().numpy()
        # Torchvision's CIFAR images are a transposed view, and picking single images out of one is slow.
        return LabelledImages(np.ascontiguousarray(images), self.labels)


@dataclass(frozen=True)
class Given:
    """What is known of labels that somebody gave, which may be wrong.

    Attributes:
        truth: ``[N]`` true labels of the training set, None where nobody knows them.
        trusted: ``[N]``, whose given label is known to be right; None if nobody said so of any.
        val: numbers of the samples that are for validation; None if nobody said which.
        pictures: ``[N]``, the same number for samples that are copies of one picture (:mod:`lnl.data.copies`); None if
            there are none.
        files: name of each training sample: its file, or ``sample 17`` of arrays, ``train/17`` of a dataset's split,
            counted from 0 as they were given; None where nobody named them. ``test_files`` likewise.
        test_drawn: the test set was drawn from the samples, none of which was said to be for testing.
        skipped: samples that were left out, and why.
        remarks: what the user is to hear; the first line of each on the terminal, the rest in the log.
    """

    truth: Labels | None = None
    trusted: NDArray[np.bool_] | None = None
    val: Labels | None = None
    pictures: Labels | None = None
    files: list[str] | None = None
    test_files: list[str] | None = None
    test_drawn: bool = False
    skipped: Sequence[tuple[str, str]] = ()
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Dataset:
    """A dataset with its labels: where noise starts from.

    Attributes:
        train: the training set, in the dataset's own order; validation is split off it later.
        test: the test set.
        classes: K class names in label order.
        given: of labels that somebody gave; None where the labels are the true ones.
    """

    train: LabelledImages
    test: LabelledImages
    classes: Sequence[str]
    given: Given | None = None


def natural_size(shape: tuple[int, ...]) -> int:
    """The side in pixels that images ``[N, H, W, C]`` are brought to if nobody says: their own, if it is small."""
    height, width = shape[1:3]
    return height if height == width and height <= 96 else 64


def stratified_choice(labels: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Sorted places of ``count`` samples in which every class keeps its share, to within one sample."""
    if count == 0:
        return np.arange(0)
    classes, sizes = np.unique(labels, return_counts=True)
    counts = apportion(sizes / len(labels), count, rng)
    members = (rng.permutation(np.flatnonzero(labels == label)) for label in classes)
    return np.sort(np.concatenate([some[:wanted] for some, wanted in zip(members, counts, strict=True)]))


def hold_out_test(everything: LabelledImages, classes: Sequence[str], fraction: float = 0.2) -> Dataset:
    """A dataset without a test set of its own gets one: stratified, and the same in every run whatever the seeds."""
    count = round(fraction * len(everything))
    test = stratified_choice(everything.labels, count, np.random.default_rng(0))
    train = np.setdiff1d(np.arange(len(everything)), test)
    return Dataset(everything[train], everything[test], classes)
