"""Features in place of images: what a frozen network makes of each image, computed once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.data.sampler import EpochSampler


@dataclass(frozen=True)
class Features:
    """Features of the samples of a training or test set.

    Attributes:
        rows: float16 ``[n, V, F]``: of V views of each sample, the image as it is first.
        place: int64 ``[N]``, the row of each sample; -1 for samples without features.
    """

    rows: Tensor
    place: Tensor

    @property
    def size(self) -> int:
        """F."""
        return self.rows.shape[2]

    def of(self, index: Tensor) -> Tensor:
        """float32 ``[len(index), F]`` of the images as they are."""
        return self.rows[self.place[index], 0].float()


class FeatureLoader:
    """Batches of features ``[B, F]`` where :class:`lnl.data.loader.Loader` has images.

    Args:
        features: on the device, or on the CPU.
        labels: int64 ``[N]`` on the device.
        sampler: says which samples, on the CPU, and in what batches.
        augmented: for each view of a sample, whether it is one of V views at random, else the image as it is.

    Attributes:
        start: how many steps the next iteration leaves out, because they were done before the run was stopped.
    """

    batch_sampler = None  # Lightning looks for one where there is a `sampler`

    def __init__(self, features: Features, labels: Tensor, sampler: EpochSampler, augmented: Sequence[bool]) -> None:
        self.features, self.labels, self.sampler, self.augmented = features, labels, sampler, augmented
        self.device, self.start = labels.device, 0

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        sampler, rows, start = self.sampler, self.features.rows, self.start
        self.start = 0
        order = sampler.order()
        count, width = len(order), rows.shape[1]
        flat = rows.view(-1, rows.shape[2])  # one copy of rows by their number is faster than indexing twice
        first = self.features.place[order] * width
        chosen = [
            first + torch.randint(width, (count,), generator=sampler.generator(1 + number)) if augmented else first
            for number, augmented in enumerate(self.augmented)
        ]
        chosen, order = [view.to(flat.device) for view in chosen], order.to(self.device)
        for places, size in list(zip(sampler.steps(), sampler.sizes, strict=True))[start:]:
            index = order[places]
            views = tuple(flat.index_select(0, view[places]).to(self.device).float() for view in chosen)
            yield Batch(views[0], self.labels[index], index, views, share=len(index) / size)
