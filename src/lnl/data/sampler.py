"""Which samples an epoch and each of its steps take, in what order, in each process."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import Sampler

from lnl.errors import UserError
from lnl.labels import Integers


@dataclass(frozen=True)
class Share:
    """The number of this process among ``processes`` that train together; 0 of 1 for a single process."""

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
        seed, shuffle: order; without ``shuffle`` it is that of ``index``. Samplers of one run that are to differ have
            several seeds.
        batch_size: samples of a step, of all processes together; divisible by their number.
        share: of this process.
    """

    def __init__(
        self, index: Tensor, seed: int | tuple[int, ...], shuffle: bool, batch_size: int, share: Share = WHOLE
    ) -> None:
        self.index, self.shuffle, self.batch_size, self.share = index, shuffle, batch_size, share
        self.seeds = seed if isinstance(seed, tuple) else (seed,)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def generator(self, stream: int) -> torch.Generator:
        """A new generator, seeded by seed, epoch and the number of what it is for."""
        state = np.random.SeedSequence([*self.seeds, self.epoch, stream]).generate_state(1, np.uint64)
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

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order()
        return (order[places].tolist() for places in self.steps())

    def __len__(self) -> int:
        return len(self.sizes)


def training_set(trainer: Any, epoch: int, seed: int, allowed: Integers) -> Tensor | None:
    """What the method's ``training_set(epoch)`` returns, the same in all processes: int64 ``[n]``; None for all.

    ``seed`` and ``epoch`` decide the state of the global generators during the call.

    Raises:
        UserError: if it returns anything but ``allowed`` numbers of samples.
    """
    method = trainer.lightning_module
    if epoch >= trainer.max_epochs or not hasattr(method, "training_set"):
        return None  # the run was stopped between its last epoch and its result, or the method is not one of lnl
    (state,) = np.random.SeedSequence([seed, epoch, *b"training_set"]).generate_state(1)
    pl.seed_everything(int(state), verbose=False)
    answer = method.training_set(epoch)
    if answer is None:
        return None
    chosen: Tensor = trainer.strategy.broadcast(torch.as_tensor(answer).cpu())
    name = f"{type(method).__name__}.training_set({epoch})"
    if chosen.dtype != torch.int64 or chosen.ndim != 1 or not len(chosen):
        raise UserError(
            f"{name} must return the numbers of at least one sample, int64 [n], got {chosen.dtype} {list(chosen.shape)}"
        )
    if len(others := np.setdiff1d(chosen, allowed)):
        raise UserError(f"{name} names sample {others[0]}, which is not in the training split (batch.index has those)")
    return chosen
