"""Batches beside those of the epoch."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from lnl.data.batch import Batch
from lnl.data.features import FeatureLoader
from lnl.data.loader import Loader


class Stream(Iterator[Batch]):
    """The batches of :meth:`lnl.data.NoisyDataModule.endless`: one pass after another.

    Args:
        lap: makes the loader of a pass, from 0.
        made_from: arguments of ``endless`` from which a resumed run makes the rest, but for ``taken``.
        taken: how many batches to leave out, because they were taken before the run was stopped.
        see: is called with each batch.
    """

    def __init__(
        self,
        lap: Callable[[int], Loader | FeatureLoader],
        made_from: dict[str, Any],
        taken: int,
        see: Callable[[Batch], None],
    ) -> None:
        self.lap, self.made_from, self.taken, self.see = lap, made_from, taken, see
        self.batches = self._batches(taken)

    def _batches(self, left_out: int) -> Iterator[Batch]:
        for number in count():
            loader = self.lap(number)
            if left_out < len(loader):
                loader.start, left_out = left_out, 0
                yield from loader
            else:
                left_out -= len(loader)

    def __next__(self) -> Batch:
        batch = next(self.batches)
        self.taken += 1
        self.see(batch)
        return batch

    def state(self) -> dict[str, Any]:
        """Arguments of ``endless`` for the batches that are still to come."""
        return {**self.made_from, "taken": self.taken}
