"""A small dataset in which every sample can be told from every other by its pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from lnl.data import Batch, Dataset, Form, NoisyDataModule, Source
from lnl.labels import Labels

CPU = torch.device("cpu")
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
CLASSES = ["a", "b", "c", "d"]


@dataclass(frozen=True)
class FakeSource(Source):
    """Random images of 6x6 in 4 classes, and a test set of a quarter the size."""

    count: int = 203
    labels_seed: int = 0

    def read(self, form: Form, progress: bool = False) -> Dataset:
        parts = []
        for number, count in enumerate((self.count, self.count // 4)):
            parts.append(np.random.default_rng(number).integers(0, 256, (count, 6, 6, 3), dtype=np.uint8))
            parts.append(np.random.default_rng([number, self.labels_seed]).integers(0, 4, count))
        images, labels, test_images, test_labels = parts
        return Dataset(images, Labels.true(labels, CLASSES), test_images, test_labels)


class Fake(NoisyDataModule):
    reads = FakeSource
    defaults: ClassVar = {"mean": MEAN, "std": STD, "image_size": 6}

    def read(self) -> Dataset:
        """As it is, once more."""
        return self.source.read(self.preparation)


@pytest.fixture
def fake(tmp_path: Path):
    """Makes the fake dataset, read and with its noise drawn."""

    def make(**options) -> Fake:
        data = Fake(cache_dir=tmp_path, **options)
        data.setup()
        return data

    return make


def whole(loader, epoch: int = 0) -> Batch:
    """All batches of an epoch as one."""
    loader.sampler.set_epoch(epoch)
    batches = list(loader)
    views = tuple(torch.cat(view) for view in zip(*(batch.views for batch in batches), strict=True))
    labels, index = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("labels", "index"))
    return Batch(torch.cat([batch.images for batch in batches]), labels, index, views)


def pixels(images: torch.Tensor) -> np.ndarray:
    """The uint8 images ``[B, H, W, C]`` that were normalised to ``[B, C, H, W]``."""
    scaled = images.permute(0, 2, 3, 1) * torch.tensor(STD) + torch.tensor(MEAN)
    return (255 * scaled).round().numpy().astype(np.uint8)
