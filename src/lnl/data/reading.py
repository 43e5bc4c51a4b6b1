"""Data before there is any noise: read once for all the runs of a process that have the same."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnl.corruption import ImageCorruption
from lnl.datasets.images import Form, Images, Streamed, digests, natural_size
from lnl.datasets.source import Dataset, Source

MAX_BYTES = 2 * 2**30  # of images that are kept; the latest are, whatever their size


class CleanData:
    """A dataset as it was read, and its images as models see them. Never to be changed: several runs may have it.

    Args:
        original: as it was read: what noise is drawn from.
        images: of ``train`` and ``test`` as models see them: in their form, corrupted.
        form: of these, with the size that they have.

    Attributes:
        tensors: ``images`` as uint8 tensors ``[N, H, W, C]`` that share their memory, or as they are streamed.
    """

    def __init__(self, original: Dataset, images: dict[str, Images], form: Form) -> None:
        self.original, self.images, self.form = original, images, form
        self._digests: dict[str, NDArray[np.uint64]] = {}
        self.tensors: dict[str, Tensor | Streamed] = {
            name: part if isinstance(part, Streamed) else torch.from_numpy(part) for name, part in images.items()
        }
        every = [original.images, original.test_images, *images.values()]
        for array in (*every, original.labels.given, original.test_labels):
            if not isinstance(array, Streamed):
                array.flags.writeable = False
        self.nbytes = sum({id(array): array.nbytes for array in every}.values())

    def digests(self, name: str, corrupted: bool) -> NDArray[np.uint64]:
        """Of each image of ``train`` or ``test``, in its form, before any corruption."""
        if name not in self._digests:
            images = self.images[name]
            if corrupted:
                whole = self.original.images if name == "train" else self.original.test_images
                images = self.form.fit_to(np.array(whole))  # a copy that may be written to, as torch wants it
            self._digests[name] = digests(images)
        return self._digests[name]


def read(source: Source, form: Form, corruption: ImageCorruption, progress: bool = False) -> CleanData:
    """The data of ``source``: as it is, and as models see it, brought into its form, then corrupted."""
    dataset = source.read(form, progress)
    form = replace(form, image_size=form.image_size or natural_size(dataset.images.shape))
    train, test = form.fit_to(dataset.images), form.fit_to(dataset.test_images)
    if not isinstance(train, Streamed) and not isinstance(test, Streamed):
        corruption.fit(train if len(train) else test)
        train, test = corruption(train, "train"), corruption(test, "test")
    return CleanData(dataset, {"train": train, "test": test}, form)


_kept: OrderedDict[str, CleanData] = OrderedDict()


def read_once(
    source: Source, form: Form, corruption: ImageCorruption, *, progress: bool = False, config: Mapping[str, Any]
) -> CleanData:
    """What :func:`read` returns, or has returned for the same data in the same form.

    Args:
        source, form, corruption, progress: as of :func:`read`.
        config: of the corruption, by which two are the same.
    """
    places = {name: getattr(source, name, None) for name in source.elsewhere}
    shape = form.image_size, form.channels, form.fit
    key = json.dumps([source.key(), str(Path.cwd()), places, shape, config], sort_keys=True, default=str)
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    while _kept and sum(kept.nbytes for kept in _kept.values()) > MAX_BYTES:
        _kept.popitem(last=False)
    _kept[key] = clean = read(source, form, corruption, progress)
    return clean
