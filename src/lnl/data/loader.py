"""Batches: from images that live on the device, or through worker processes where they do not fit."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2

from lnl.data.augment import Augmentation
from lnl.data.batch import Batch

Normalize = Literal["dataset", "per_image"]


class EpochSampler(Sampler[int]):
    """The order of an epoch, a function of seed and epoch alone, so that a resumed run sees what it would have seen.

    Lightning calls ``set_epoch`` at the start of every epoch. It also starts iterators that it throws away, so nothing
    here may depend on how often it was asked.
    """

    def __init__(self, index: Tensor, seed: int, shuffle: bool) -> None:
        self.index, self.seed, self.shuffle = index, seed, shuffle
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def generator(self, stream: int) -> torch.Generator:
        """A new generator, seeded by seed, epoch and the number of what it is for."""
        state = np.random.SeedSequence([self.seed, self.epoch, stream]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(state[0]) >> 1)

    def order(self) -> Tensor:
        """Dataset numbers of the samples in this epoch's order, ``[n]``."""
        return self.index[torch.randperm(len(self.index), generator=self.generator(0))] if self.shuffle else self.index

    def seed_worker(self, worker: int) -> None:
        """Seeds the transforms of a worker process."""
        torch.manual_seed(self.generator(1 + worker).initial_seed())

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())

    def __len__(self) -> int:
        return len(self.index)


def whiten(images: Tensor) -> Tensor:
    """Each image less its mean, over its standard deviation or 1 / sqrt(number of values) if that is larger.

    TensorFlow's ``per_image_standardization``; all channels are taken together.

    Args:
        images: ``[..., a, b, c]`` with pixels scaled to [0, 1]; the last three dimensions are an image's, in any order.
    """
    axes = (-3, -2, -1)
    std, mean = torch.std_mean(images, dim=axes, correction=0, keepdim=True)
    return (images - mean) / std.clamp(min=images.shape[-3:].numel() ** -0.5)


class DeviceLoader:
    """Batches of images that live on the device as uint8: shuffled, augmented and normalised there.

    A last batch of a single sample is left out of a shuffled epoch, because batch norm cannot be trained on one.

    Args:
        images: uint8 ``[N, H, W, C]`` on the device.
        labels: int64 ``[N]`` on the device.
        index: int64 ``[n]`` on the CPU, the samples of this split.
        mean, std: per channel, for pixels scaled to [0, 1].
        normalize: ``dataset``, by ``mean`` and ``std``, or ``per_image`` (:func:`whiten`), after augmentation.
        views: independently augmented views of each image.
    """

    batch_sampler = None  # Lightning looks for one where there is a `sampler`

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        index: Tensor,
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        normalize: Normalize = "dataset",
        augmentation: Augmentation | None = None,
        views: int = 1,
        seed: int = 0,
        shuffle: bool = False,
    ) -> None:
        self.augmentation = augmentation or Augmentation()
        pad = self.augmentation.padding
        self.images = F.pad(images, (0, 0, pad, pad, pad, pad)) if pad else images
        self.labels, self.batch_size, self.views, self.normalize = labels, batch_size, views, normalize
        self.sampler = EpochSampler(index, seed, shuffle)
        # Repeated for every pixel of an image, because an operation along three channels is not vectorised.
        pixels = images.shape[1] * images.shape[2]
        self.scale = (1 / (255 * torch.tensor(std))).repeat(pixels).to(images.device)
        self.shift = (-torch.tensor(mean) / torch.tensor(std)).repeat(pixels).to(images.device)

    def __len__(self) -> int:
        count = len(self.sampler)
        batches = -(-count // self.batch_size)
        return batches - (self.sampler.shuffle and batches > 1 and count % self.batch_size == 1)

    def __iter__(self) -> Iterator[Batch]:
        device = self.images.device
        order = self.sampler.order()
        plans = [
            self.augmentation.plan(len(order), self.sampler.generator(1 + v)).to(device) for v in range(self.views)
        ]
        order = order.to(device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            here = slice(start, start + self.batch_size)
            index = order[here]
            views = tuple(self.render(index, plan[here]) for plan in plans)
            yield Batch(views[0], self.labels[index], index, views)

    def render(self, index: Tensor, plan: Tensor) -> Tensor:
        """Augmented, normalised float32 images ``[B, C, H, W]`` in channels-last memory."""
        pixels = self.augmentation.apply(self.images, index, plan)
        if self.normalize == "per_image":
            return whiten(pixels.float().div_(255)).permute(0, 3, 1, 2)
        normalised = pixels.flatten(1).float().mul_(self.scale).add_(self.shift)
        return normalised.view(pixels.shape).permute(0, 3, 1, 2)


class ImageDataset(Dataset[Batch]):
    """One image at a time, transformed by torchvision, for worker processes."""

    def __init__(self, images: Tensor, labels: Tensor, transform: v2.Transform, views: int) -> None:
        self.images, self.labels, self.transform, self.views = images, labels, transform, views

    def __getitem__(self, index: int) -> Batch:
        image = self.images[index].permute(2, 0, 1)
        views = tuple(self.transform(image) for _ in range(self.views))
        return Batch(views[0], self.labels[index], torch.tensor(index), views)


def collate(samples: list[Batch]) -> Batch:
    """Single samples to one batch, channels last in memory as convolutions like it."""
    stacks = (torch.stack(view) for view in zip(*(sample.views for sample in samples), strict=True))
    views = tuple(stack.contiguous(memory_format=torch.channels_last) for stack in stacks)
    labels = torch.stack([sample.labels for sample in samples])
    return Batch(views[0], labels, torch.stack([sample.index for sample in samples]), views)


def worker_loader(
    images: Tensor,
    labels: Tensor,
    index: Tensor,
    *,
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    normalize: Normalize = "dataset",
    augmentation: Augmentation | None = None,
    views: int = 1,
    seed: int = 0,
    shuffle: bool = False,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[Batch]:
    """What :class:`DeviceLoader` gives, through torchvision transforms in ``num_workers`` processes."""
    augment = (augmentation or Augmentation()).transforms(images.shape[1])
    normalise = v2.Lambda(whiten) if normalize == "per_image" else v2.Normalize(list(mean), list(std))
    transform = v2.Compose([*augment, v2.ToDtype(torch.float32, scale=True), normalise])
    sampler = EpochSampler(index, seed, shuffle)
    return DataLoader(
        ImageDataset(images, labels, transform, views),
        batch_size=batch_size,
        sampler=sampler,
        worker_init_fn=sampler.seed_worker,
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        drop_last=shuffle and len(index) > batch_size and len(index) % batch_size == 1,
    )
