"""Images that are not on the device, read by worker processes into memory that they share with this one."""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, tee
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lnl.datasets.images import Streamed, digest
from lnl.errors import UserError

PART_BYTES = 2 * 2**20  # of images that a process reads at a time


@dataclass(frozen=True)
class Workers:
    """Worker processes that read images which are not on the device.

    Attributes:
        number: of processes; 0 reads in this one.
        pin_memory: whether batches come in page-locked memory.
    """

    number: int = 0
    pin_memory: bool = False

    @classmethod
    def of(cls, number: int | None, processes: int, device: torch.device) -> Self:
        """The workers of one of several processes that train on such devices; None for one on each core, in all."""
        return cls(max(1, cores() // processes) if number is None else number, pin_memory=device.type == "cuda")

    def read(self, images: Tensor | Streamed, steps: Iterable[list[int]], largest: int) -> Iterator[Tensor]:
        """The images of each step, uint8 ``[B, H, W, C]``; ``steps`` has their numbers, at most ``largest`` in a step.

        Processes read parts of steps, about one step ahead. The memory that they share is used again and again: memory
        that is new to a process takes a tenth of the time of decoding a JPEG.
        """
        shape = tuple(images.shape[1:])
        part = max(1, PART_BYTES // int(np.prod(shape)))
        ahead = 1 + math.ceil(largest / part / max(1, self.number))  # parts, for each process
        slots = 1 + ahead * self.number  # one that is copied here, while the others are filled
        memory = torch.empty((slots, part, *shape), dtype=torch.uint8)
        if self.number:
            memory.share_memory_()
        steps, early = tee(steps)
        parts = (numbers[start : start + part] for numbers in early for start in range(0, len(numbers), part))
        reader = iter(
            DataLoader(
                Read(images, memory),
                batch_size=None,
                sampler=zip(count(), parts),
                generator=torch.Generator(),  # else each iterator draws from the global one; a resumed run makes fewer
                num_workers=self.number,
                prefetch_factor=ahead if self.number else None,
            )
        )
        slot, filled = 0, memory.numpy()
        for numbers in steps:
            batch = torch.empty((len(numbers), *shape), dtype=torch.uint8, pin_memory=self.pin_memory)
            pixels = batch.numpy()
            for start in range(0, len(numbers), part):
                found, place = next(reader), slice(start, start + part)
                if isinstance(found, UserError):
                    raise found
                # By NumPy: torch's other threads would spin after each copy, on the cores of the processes.
                pixels[place] = filled[slot % slots, : len(pixels[place])]
                if isinstance(images, Streamed) and found:
                    images.digests[numbers[place]] = found
                slot += 1
            yield batch


class Read(Dataset[list[int] | UserError]):
    """Puts images into ``memory``, uint8 ``[slots, n, H, W, C]``, of which the k-th part takes slot k modulo ``slots``.

    An item is the list of the images' digests, if they are streamed and any of these is not known; else empty. Or it is
    why an image cannot be read: torch would put the traceback of the process into the message.
    """

    def __init__(self, images: Tensor | Streamed, memory: Tensor) -> None:
        self.images, self.memory = images, memory

    def __getitem__(self, task: tuple[int, list[int]]) -> list[int] | UserError:
        part, numbers = task
        places = self.memory[part % len(self.memory)][: len(numbers)]
        if isinstance(self.images, Tensor):
            torch.index_select(self.images, 0, torch.tensor(numbers), out=places)
            return []
        known = self.images.digests[numbers].all()
        digests = []
        try:
            for place, number in zip(places.numpy(), numbers, strict=True):
                place[:] = pixels = self.images[number]
                digests += [] if known else [digest(pixels)]
        except UserError as error:
            return error
        return digests


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
