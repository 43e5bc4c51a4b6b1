"""Images and labels in memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lnl.datasets.images import Form
from lnl.datasets.source import Dataset, Source


@dataclass(frozen=True)
class InMemory(Source):
    """A dataset that is already in memory."""

    dataset: Dataset

    def read(self, form: Form, progress: bool = False) -> Dataset:
        return self.dataset


def as_images(array: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 ``[n, H, W, C]`` of images ``[n, H, W(, C)]``, integers in 0..255 or floats in [0, 1], else ValueError."""
    images = array[..., None] if array.ndim == 3 else array
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not all(images.shape):
        hint = "; images.transpose(0, 2, 3, 1) puts channels last" if images.shape[1:2] in ((1,), (3,)) else ""
        raise ValueError(f"images must be [n, H, W] or [n, H, W, C] of 1 or 3 channels, got {array.shape}{hint}")
    if images.dtype == np.uint8:
        return images.view()  # a view may become read-only, the user's array must not
    low, high = images.min(), images.max()
    if np.issubdtype(images.dtype, np.floating) and low >= 0 and high <= 1:
        return (images * 255).round().astype(np.uint8)
    if np.issubdtype(images.dtype, np.integer) and low >= 0 and high <= 255:
        return images.astype(np.uint8)
    raise ValueError(
        f"images must be uint8, whole numbers in 0..255, or floats in 0..1; got {images.dtype} in {low}..{high}"
    )


def as_mask(chosen: ArrayLike | None, count: int) -> NDArray[np.bool_] | None:
    """``[count]`` bool of samples given as such or by numbers in ``[0, count)``, else ValueError; None for None."""
    if chosen is None:
        return None
    trusted = np.asarray(chosen)
    if trusted.dtype == bool and trusted.shape == (count,):
        return trusted
    if trusted.dtype == bool or trusted.ndim != 1 or (trusted.size and not np.issubdtype(trusted.dtype, np.integer)):
        raise ValueError(
            f"trusted must be {count} booleans or numbers of samples, got {trusted.dtype} of shape {trusted.shape}"
        )
    if trusted.size and not 0 <= trusted.min() <= trusted.max() < count:
        raise ValueError(f"trusted names sample {trusted.max()} or {trusted.min()}, but samples are 0..{count - 1}")
    mask = np.zeros(count, dtype=bool)
    mask[trusted.astype(np.int64)] = True
    return mask
