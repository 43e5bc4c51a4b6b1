"""Batches: from images that live on the device, or through worker processes where they do not fit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2

from lnl.data.augment import Augmentation
from lnl.data.batch import Batch
from lnl.datasets.images import Streamed

Normalize = Literal["dataset", "per_image"]


@dataclass(frozen=True)
class Share:
    """Which of ``processes`` that train together this is; alone, 0 of 1."""

    process: int = 0
    processes: int = 1


WHOLE = Share()


@lru_cache
def step_sizes(count: int, batch_size: int, smallest: int) -> tuple[int, ...]:
    """How many samples each step of an epoch takes: every sample is in one step, and no step is small.

    Batch norm is ruined by a last batch of a few samples: its running statistics follow them. All steps are full but
    the last two, which share what is left evenly, so that they have at least half of a batch. Where half a batch would
    be below ``smallest``, they are one step, larger than ``batch_size``.

    Args:
        count: samples of the epoch.
        batch_size: samples of a full step.
        smallest: allowed size of a step, unless there are fewer samples at all.
    """
    full, rest = divmod(count, batch_size)
    if not full or not rest:
        return (batch_size,) * full + (rest,) * bool(rest)
    left = batch_size + rest
    last = (left - left // 2, left // 2) if left // 2 >= smallest else (left,)
    return (batch_size,) * (full - 1) + last


class EpochSampler(Sampler[list[int]]):
    """The steps of an epoch, a function of seed and epoch, so that a resumed run sees what it would have seen.

    Lightning calls ``set_epoch`` at the start of every epoch. It also starts iterators that it throws away, so nothing
    here may depend on how often it was asked.

    Of several processes each takes every n-th sample of a step, in the one order that all of them draw: no sample goes
    to two. They make equally many steps. A step of training has two samples or more for each process
    (:func:`step_sizes`), because batch norm cannot be trained on one.

    Args:
        index: int64 ``[n]``, numbers of the samples.
        seed, shuffle: order; without ``shuffle`` it is that of ``index``.
        batch_size: samples of a step, of all processes together; divisible by their number.
        share: of this process.
    """

    def __init__(self, index: Tensor, seed: int, shuffle: bool, batch_size: int, share: Share = WHOLE) -> None:
        self.index, self.seed, self.shuffle, self.batch_size, self.share = index, seed, shuffle, batch_size, share
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def generator(self, stream: int) -> torch.Generator:
        """A new generator, seeded by seed, epoch and the number of what it is for."""
        state = np.random.SeedSequence([self.seed, self.epoch, stream]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(state[0]) >> 1)

    def order(self) -> Tensor:
        """Dataset numbers of the samples in this epoch's order, of all processes, ``[n]``."""
        return self.index[torch.randperm(len(self.index), generator=self.generator(0))] if self.shuffle else self.index

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many samples each step takes, in all processes."""
        return step_sizes(len(self.index), self.batch_size, smallest=2 * self.share.processes)

    def steps(self) -> Iterator[slice]:
        """Places in the order of the samples that this process has of each step."""
        for end, size in zip(accumulate(self.sizes), self.sizes, strict=True):
            yield slice(end - size + self.share.process, end, self.share.processes)

    def owners(self) -> Tensor:
        """The process that has the sample at each place in the order, ``[n]``."""
        return torch.cat([torch.arange(size) % self.share.processes for size in self.sizes])

    def seed_worker(self, worker: int) -> None:
        """Seeds the transforms of a worker process."""
        torch.manual_seed(self.generator(1 + worker * self.share.processes + self.share.process).initial_seed())

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order()
        return (order[places].tolist() for places in self.steps())

    def __len__(self) -> int:
        return len(self.sizes)


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
    """What :func:`normalised` multiplies by and adds, for images of so many ``pixels``: two ``[pixels * C]``."""
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


class DeviceLoader:
    """Batches of images that live on the device as uint8: shuffled, augmented and normalised there.

    Args:
        images: uint8 ``[N, H, W, C]`` on the device.
        labels: int64 ``[N]`` on the device.
        sampler: says which samples, on the CPU, and in what batches.
        mean, std: per channel, for pixels scaled to [0, 1].
        normalize: ``dataset``, by ``mean`` and ``std``, or ``per_image`` (:func:`whiten`), after augmentation.
        views: independently augmented views of each image.
    """

    batch_sampler = None  # Lightning looks for one where there is a `sampler`

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        sampler: EpochSampler,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        normalize: Normalize = "dataset",
        augmentation: Augmentation | None = None,
        views: int = 1,
    ) -> None:
        self.augmentation = augmentation or Augmentation()
        pad = self.augmentation.padding
        self.images = F.pad(images, (0, 0, pad, pad, pad, pad)) if pad else images
        self.labels, self.views, self.normalize = labels, views, normalize
        self.sampler = sampler
        scales = pixel_scale(mean, std, images.shape[1] * images.shape[2])
        self.scale, self.shift = (values.to(images.device) for values in scales)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        device, sampler = self.images.device, self.sampler
        # Planned for all processes, so that an image is augmented alike whichever of them has it.
        order = sampler.order().to(device)
        plans = [self.augmentation.plan(len(order), sampler.generator(1 + v)).to(device) for v in range(self.views)]
        for places in sampler.steps():
            index = order[places]
            views = tuple(self.render(index, plan[places]) for plan in plans)
            yield Batch(views[0], self.labels[index], index, views)

    def render(self, index: Tensor, plan: Tensor) -> Tensor:
        """Augmented, normalised float32 images ``[B, C, H, W]`` in channels-last memory."""
        pixels = self.augmentation.apply(self.images, index, plan)
        return normalised(pixels, self.scale, self.shift, self.normalize)


class ImageDataset(Dataset[Batch]):
    """Batches of images that torchvision transforms one at a time, for worker processes."""

    def __init__(self, images: Tensor | Streamed, labels: Tensor, transform: v2.Transform, views: int) -> None:
        self.images, self.labels, self.transform, self.views = images, labels, transform, views

    def __getitem__(self, numbers: list[int]) -> Batch:
        """The batch of these samples, channels last in memory as convolutions like it."""
        samples = [self.transformed(number) for number in numbers]
        stacks = (torch.stack(view) for view in zip(*samples, strict=True))
        views = tuple(stack.contiguous(memory_format=torch.channels_last) for stack in stacks)
        index = torch.tensor(numbers)
        return Batch(views[0], self.labels[index], index, views)

    def transformed(self, number: int) -> list[Tensor]:
        """All views of an image."""
        image = torch.as_tensor(self.images[number]).permute(2, 0, 1)
        return [self.transform(image) for _ in range(self.views)]


def worker_loader(
    images: Tensor | Streamed,
    labels: Tensor,
    sampler: EpochSampler,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    normalize: Normalize = "dataset",
    augmentation: Augmentation | None = None,
    views: int = 1,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[Batch]:
    """What :class:`DeviceLoader` gives, through torchvision transforms in ``num_workers`` processes."""
    augment = (augmentation or Augmentation()).transforms(images.shape[1])
    normalise = v2.Lambda(whiten) if normalize == "per_image" else v2.Normalize(list(mean), list(std))
    transform = v2.Compose([*augment, v2.ToDtype(torch.float32, scale=True), normalise])
    return DataLoader(
        ImageDataset(images, labels, transform, views),
        batch_size=None,  # the sampler says what is a batch
        sampler=sampler,
        worker_init_fn=sampler.seed_worker,
        generator=torch.Generator(),  # else each iterator draws from the global one, and a resumed run makes fewer
        num_workers=num_workers,
        pin_memory=pin_memory,
    )
