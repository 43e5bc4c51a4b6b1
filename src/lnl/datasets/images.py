"""Images in memory or streamed, and the form in which models take them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F

Fit = Literal["resize", "center_crop", "center_square"]


def check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raises ValueError unless ``value`` of ``data.<name>`` is allowed."""
    if value not in allowed:
        *others, last = (str(choice).lower() for choice in allowed)
        raise ValueError(f"data.{name} must be {', '.join(others)} or {last}, got '{value}'")


def check_positive(**counts: int | None) -> None:
    """Raises ValueError unless every ``data.<name>`` is null or at least 1."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"data.{name} must be at least 1, got {value}")


class Streamed(ABC):
    """Images ``[N, H, W, C]`` that are read on access, because they do not fit in memory.

    Attributes:
        shape: ``(N, H, W, C)``.
        digests: ``[N]``, see :func:`digests`.
    """

    digests: NDArray[np.uint64]
    nbytes = 0  # in memory

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def __getitem__(self, places: Any) -> NDArray[np.uint8]:
        """The image ``[H, W, C]`` at one place, or the images ``[n, H, W, C]`` at several."""


Images = NDArray[np.uint8] | Streamed


def digest(pixels: NDArray[np.uint8]) -> int:
    """A hash of 64 bits of an image's pixels."""
    return int.from_bytes(blake2b(np.ascontiguousarray(pixels).data, digest_size=8).digest())


def digests(images: Images) -> NDArray[np.uint64]:
    """The :func:`digest` of each image, ``[N]``."""
    return images.digests if isinstance(images, Streamed) else np.array([digest(image) for image in images], np.uint64)


def natural_size(shape: tuple[int, ...]) -> int:
    """The default side in pixels of images ``[N, H, W, C]``: their own if they are square and at most 96, else 64."""
    height, width = shape[1:3]
    return height if height == width and height <= 96 else 64


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form in which a model takes images.

    Args:
        image_size: side in pixels; None for :func:`natural_size`.
        channels: 1 or 3.
        fit: ``resize`` (bilinear, antialiased), ``center_crop`` (not resized; an odd pixel is cut off at the bottom
            and the right) or ``center_square`` (the largest square in the middle, resized).
    """

    image_size: int | None = None
    channels: int = 3
    fit: Fit = "resize"

    def __post_init__(self) -> None:
        check_choice("fit", self.fit, get_args(Fit))
        check_positive(image_size=self.image_size)

    @property
    def size(self) -> int:
        """``image_size``, which must be known."""
        assert self.image_size is not None
        return self.image_size

    def fit_to(self, images: Images) -> Images:
        """Images ``[N, H, W, C]`` in this form, ``[N, S, S, channels]``; ValueError if they are too small to crop."""
        if isinstance(images, Streamed):
            return images  # they already have it
        height, width = images.shape[1:3]
        size = self.image_size or natural_size(images.shape)
        side = size if self.fit == "center_crop" else min(height, width)
        if side > min(height, width):
            raise ValueError(
                f"data.fit=center_crop needs images no smaller than data.image_size={size}, got {height}x{width}"
            )
        if self.fit != "resize":
            top, left = (height - side) // 2, (width - side) // 2
            images = images[:, top : top + side, left : left + side]
        if not len(images):
            images = np.zeros((0, size, size, self.channels), np.uint8)
        if images.shape[1:3] != (size, size):
            images = _applied(images, F.resize, [size, size], antialias=True)
        if images.shape[3] == 1 and self.channels == 3:
            images = np.repeat(images, 3, axis=3)
        if images.shape[3] == 3 and self.channels == 1:
            images = _applied(images, F.rgb_to_grayscale)
        # Torchvision's CIFAR images are a transposed view; taking single images from one is slow.
        return np.ascontiguousarray(images)


def _applied(
    images: NDArray[np.uint8], function: Callable[..., torch.Tensor], *args: Any, **options: Any
) -> NDArray[np.uint8]:
    tensor = function(torch.from_numpy(images).permute(0, 3, 1, 2), *args, **options)
    return tensor.permute(0, 2, 3, 1).contiguous().numpy()
