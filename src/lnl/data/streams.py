"""Batches beside those of the epoch."""

from collections.abc import Iterator
from typing import Any

from lnl.data.batch import Batch


class Stream(Iterator[Batch]):
    """The batches of :meth:`lnl.data.NoisyDataModule.endless`, and what a resumed run makes the rest of them from.

    Args:
        batches: all that are still to come.
        made_from: arguments of ``endless`` but for the device and the share.
        taken: how many batches came before.
    """

    def __init__(self, batches: Iterator[Batch], made_from: dict[str, Any], taken: int) -> None:
        self.batches, self.made_from, self.taken = batches, made_from, taken

    def __next__(self) -> Batch:
        self.taken += 1
        return next(self.batches)

    def state(self) -> dict[str, Any]:
        """Arguments of ``endless`` for the batches that are still to come."""
        return {**self.made_from, "taken": self.taken}
