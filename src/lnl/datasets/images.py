"""Images in memory or streamed, and the form in which models take them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from lnl.datasets.threads import on_all_cores
from lnl.errors import check_range
from lnl.labels import Integers

Fit = Literal["resize", "center_crop", "center_square"]
Interpolation = Literal["bilinear", "bicubic"]
Pixels = TypeVar("Pixels", bound=Any)  # an array or a tensor


def check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raises ValueError unless ``value`` of ``data.<name>`` is allowed."""
    if value not in allowed:
        *others, last = (str(choice).lower() for choice in allowed)
        raise ValueError(f"data.{name} must be {', '.join(others)} or {last}, got '{value}'")


@dataclass(eq=False)
class Streamed:
    """Images ``[N, H, W, C]`` that are read on access, because they do not fit in memory.

    Args:
        read: returns the image ``[H, W, C]`` of a number.
        numbers: ``[N]``, of the images.
        digests: ``[N]``, the :func:`digest` of each image, 0 where it is not known yet: it is found when the image is
            first read for training, or when :meth:`digests_at` asks for it. Slices share the memory.
        image_shape: ``(H, W, C)``.
    """

    read: Callable[[int], NDArray[np.uint8]]
    numbers: Integers
    digests: NDArray[np.uint64]
    image_shape: tuple[int, ...]
    nbytes: ClassVar = 0  # in memory

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.image_shape)

    def __getitem__(self, places: Any) -> Any:
        """The image ``[H, W, C]`` at one place, the images ``[n, H, W, C]`` at several; a slice is streamed as well."""
        numbers = self.numbers[places]
        if isinstance(places, slice):
            return Streamed(self.read, numbers, self.digests[places], self.image_shape)
        return np.stack([self.read(int(number)) for number in numbers]) if numbers.ndim else self.read(int(numbers))

    def digests_at(self, places: Integers) -> NDArray[np.uint64]:
        """The digest of the image at each of the places, ``[n]``; reads those whose digest is not known."""
        unknown = places[self.digests[places] == 0]
        for place, found in zip(unknown, on_all_cores(lambda place: digest(self[place]), unknown), strict=True):
            self.digests[place] = found
        return self.digests[places]


Images = NDArray[np.uint8] | Streamed


def digest(pixels: NDArray[np.uint8]) -> int:
    """A hash of 64 bits of an image's pixels."""
    return int.from_bytes(blake2b(np.ascontiguousarray(pixels).data, digest_size=8).digest())


def natural_size(shape: tuple[int, ...]) -> int:
    """The default side in pixels of images ``[N, H, W, C]``: their own if they are square and at most 96, else 64."""
    height, width = shape[1:3]
    return height if height == width and height <= 96 else 64


def as_images(array: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 ``[n, H, W, C]`` of images ``[n, H, W(, C)]``, integers in 0..255 or floats in [0, 1], else ValueError."""
    images = array[..., None] if array.ndim == 3 else array
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not all(images.shape):
        hint = "; images.transpose(0, 2, 3, 1) puts channels last" if images.shape[1:2] in ((1,), (3,)) else ""
        raise ValueError(f"images must be [N, H, W] or [N, H, W, C] of 1 or 3 channels, got {list(array.shape)}{hint}")
    if images.dtype == np.uint8:
        return images.view()  # a view may become read-only, the user's array must not
    low, high = images.min(), images.max()
    if np.issubdtype(images.dtype, np.floating) and low >= 0 and high <= 1:
        return (images * 255).round().astype(np.uint8)
    if np.issubdtype(images.dtype, np.integer) and low >= 0 and high <= 255:
        return images.astype(np.uint8)
    hint = "; X / 255 scales them" if np.issubdtype(images.dtype, np.floating) and low >= 0 and 1 < high <= 255 else ""
    raise ValueError(
        f"images must be uint8, whole numbers in 0..255, or floats in 0..1; got {images.dtype} in {low}..{high}{hint}"
    )


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form in which a model takes images.

    Args:
        image_size: side in pixels; None for :func:`natural_size`.
        resize: side in pixels that images are brought to first. Models see the middle ``image_size`` pixels of it, and
            random crops in training all; None for ``image_size``.
        channels: 1 or 3.
        fit: ``resize`` (antialiased), ``center_crop`` (not resized; an odd pixel is cut off at the bottom and the
            right) or ``center_square`` (the largest square in the middle, resized).
        interpolation: ``bilinear`` or ``bicubic``, of resizing.
    """

    image_size: int | None = None
    resize: int | None = None
    channels: int = 3
    fit: Fit = "resize"
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        check_choice("fit", self.fit, get_args(Fit))
        check_choice("interpolation", self.interpolation, get_args(Interpolation))
        check_range("[1, inf)", **{"data.image_size": self.image_size, "data.resize": self.resize})
        if self.resize is not None and (self.image_size is None or self.resize < self.image_size):
            raise ValueError(
                f"data.resize={self.resize} must be at least data.image_size, the middle of it that models see, "
                f"got {self.image_size}"
            )

    @property
    def size(self) -> int:
        """``image_size``, which must be known."""
        assert self.image_size is not None
        return self.image_size

    @property
    def whole(self) -> Self:
        """The form in which images are kept: random crops see all of ``resize``."""
        return replace(self, image_size=self.resize or self.image_size, resize=None)

    def fit_to(self, images: Images) -> Images:
        """Images ``[N, H, W, C]`` in this form, ``[N, S, S, channels]``; ValueError if they are too small to crop."""
        if isinstance(images, Streamed):
            return images  # they already have it
        if self.resize is not None:
            return middle(self.whole.fit_to(images), self.size)
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
            images = _applied(images, "resize", [size, size], interpolation=self.interpolation, antialias=True)
        if images.shape[3] == 1 and self.channels == 3:
            images = np.repeat(images, 3, axis=3)
        if images.shape[3] == 3 and self.channels == 1:
            images = _applied(images, "rgb_to_grayscale")
        # Torchvision's CIFAR images are a transposed view; taking single images from one is slow.
        return np.ascontiguousarray(images)


def middle(images: Pixels, size: int) -> Pixels:
    """The central ``size`` x ``size`` pixels of images ``[..., H, W, C]``."""
    top, left = ((side - size) // 2 for side in images.shape[-3:-1])
    return images[..., top : top + size, left : left + size, :]


def _applied(images: NDArray[np.uint8], name: str, *args: Any, **options: Any) -> NDArray[np.uint8]:
    # Slow to import: data is checked without them.
    import torch
    from torchvision.transforms.v2 import InterpolationMode, functional

    if "interpolation" in options:
        options["interpolation"] = InterpolationMode(options["interpolation"])
    tensor = getattr(functional, name)(torch.from_numpy(images).permute(0, 3, 1, 2), *args, **options)
    return tensor.permute(0, 2, 3, 1).contiguous().numpy()
