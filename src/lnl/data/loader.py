"""Batches of images, augmented and normalised on the device, from memory or through worker processes."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

import torch
from torch import Tensor

from lnl.augment import Transform
from lnl.data.batch import Batch
from lnl.data.sampler import EpochSampler
from lnl.data.workers import Workers
from lnl.datasets.images import Streamed, middle

Normalize = Literal["dataset", "per_image"]
View = Sequence[Transform]


def whiten(images: Tensor) -> Tensor:
    """Each image less its mean, over its standard deviation or 1 / sqrt(number of values) if that is larger.

    TensorFlow's ``per_image_standardization``; all channels are taken together.

    Args:
        images: ``[..., a, b, c]`` with pixels scaled to [0, 1]; the last three dimensions are an image's, in any order.
    """
    axes = (-3, -2, -1)
    std, mean = torch.std_mean(images, dim=axes, correction=0, keepdim=True)
    return (images - mean) / std.clamp(min=images.shape[-3:].numel() ** -0.5)


def pixel_scale(mean: Sequence[float], std: Sequence[float], pixels: int) -> tuple[Tensor, Tensor]:
    """Factors and summands of :func:`normalised` for images of ``pixels`` pixels: two tensors ``[pixels * C]``."""
    # Repeated for every pixel of an image, because an operation along three channels is not vectorised.
    return (1 / (255 * torch.tensor(std))).repeat(pixels), (-torch.tensor(mean) / torch.tensor(std)).repeat(pixels)


def normalised(images: Tensor, scale: Tensor, shift: Tensor, normalize: Normalize) -> Tensor:
    """uint8 ``[B, H, W, C]`` as models take it: float32 ``[B, C, H, W]`` in channels-last memory.

    Args:
        images: uint8.
        scale, shift: by :func:`pixel_scale`; without meaning for ``per_image``.
        normalize: ``dataset`` or ``per_image`` (:func:`whiten`).
    """
    if normalize == "per_image":
        return whiten(images.float().div_(255)).permute(0, 3, 1, 2)
    return images.flatten(1).float().mul_(scale).add_(shift).view(images.shape).permute(0, 3, 1, 2)


class Loader:
    """Batches of a split's images, augmented and normalised on the device a batch at a time.

    Args:
        images: uint8 ``[N, H, W, C]`` on the device, or anywhere else if there are ``workers``.
        labels: int64 ``[N]`` on the device.
        sampler: says which samples, on the CPU, and in what batches.
        mean, std: per channel, for pixels scaled to [0, 1].
        size: side of the middle of each image that models see, after augmentation; None for all of it.
        normalize: ``dataset``, by ``mean`` and ``std``, or ``per_image`` (:func:`whiten`), after that.
        views: the transforms of each view of an image; by default one view without any.
        workers: read the images; None takes them from the device.

    Attributes:
        start: how many steps the next iteration leaves out, because they were done before the run was stopped.
    """

    batch_sampler = None  # Lightning looks for one where there is a `sampler`

    def __init__(
        self,
        images: Tensor | Streamed,
        labels: Tensor,
        sampler: EpochSampler,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        size: int | None = None,
        normalize: Normalize = "dataset",
        views: Sequence[View] = ((),),
        workers: Workers | None = None,
    ) -> None:
        self.images, self.labels, self.views, self.normalize = images, labels, views, normalize
        self.sampler, self.workers, self.device = sampler, workers, labels.device
        self.start, self.size = 0, size or images.shape[1]
        scales = pixel_scale(mean, std, self.size**2)
        self.scale, self.shift = (values.to(self.device) for values in scales)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        sampler, start = self.sampler, self.start
        self.start = 0
        order = sampler.order()
        # Drawn for all processes, so that an image is augmented alike in each of them.
        generators = [sampler.generator(1 + number) for number in range(len(self.views))]
        draws = [
            [(rows := transform.draw(len(order), generator), rows.to(self.device)) for transform in view]
            for view, generator in zip(self.views, generators, strict=True)
        ]
        order = order.to(self.device)
        steps = list(zip(sampler.steps(), sampler.sizes, strict=True))[start:]
        for (places, size), images in zip(steps, self._read(order, start), strict=True):
            index = order[places]
            views = []
            for view, drawn in zip(self.views, draws, strict=True):
                pixels = images
                for transform, (rows, on_device) in zip(view, drawn, strict=True):
                    pixels = transform.apply(pixels, rows[places], on_device[places])
                views.append(normalised(middle(pixels, self.size), self.scale, self.shift, self.normalize))
            yield Batch(views[0], self.labels[index], index, tuple(views), share=len(index) / size)

    def _read(self, order: Tensor, start: int) -> Iterator[Tensor]:
        """The images of each step from ``start`` on, uint8 ``[B, H, W, C]``."""
        if self.workers is None:
            for places in islice(self.sampler.steps(), start, None):
                yield self.images.index_select(0, order[places])  # type: ignore[union-attr]
            return
        for images in self.workers.read(self.images, islice(self.sampler, start, None), max(self.sampler.sizes)):
            yield images.to(self.device, non_blocking=True)
