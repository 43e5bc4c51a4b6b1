"""Data before noise: runs in one process that use the same data share it."""

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

from lnl.corruption import ImageCorruption, NoCorruption
from lnl.datasets.images import Form, Images, Streamed, digest, natural_size
from lnl.datasets.source import Dataset, Source
from lnl.labels import Integers

MAX_BYTES = 2 * 2**30  # of images that are kept; the latest ones are always kept


class CleanData:
    """A dataset as it was read, and its images as models see them. Several runs may share it: its arrays are read-only.

    Args:
        original: what noise is drawn from.
        images: of ``train`` and ``test`` in their form before ``image_size`` is cut from it, corrupted.
        form: that models see, with its size.
        corrupted: whether ``images`` differ from the original ones by more than their form.

    Attributes:
        tensors: ``images`` as uint8 tensors ``[N, H, W, C]`` that share their memory, or streamed.
    """

    def __init__(self, original: Dataset, images: dict[str, Images], form: Form, corrupted: bool) -> None:
        self.original, self.images, self.form, self.corrupted = original, images, form, corrupted
        self._digests: dict[str, NDArray[np.uint64]] = {}
        self.tensors: dict[str, Tensor | Streamed] = {
            name: part if isinstance(part, Streamed) else torch.from_numpy(part) for name, part in images.items()
        }
        every = [original.images, original.test_images, *images.values()]
        for array in (*every, original.labels.given, original.test_labels):
            if not isinstance(array, Streamed):
                array.flags.writeable = False
        self.nbytes = sum({id(array): array.nbytes for array in every}.values())

    def digests(self, name: str, places: Integers) -> NDArray[np.uint64]:
        """``[n]``, a hash of each image at ``places`` in ``train`` or ``test``, in its form, before any corruption."""
        images = self.images[name]
        if isinstance(images, Streamed):
            return images.digests_at(places)
        if name not in self._digests:
            whole = self.original.images if name == "train" else self.original.test_images
            plain = self.form.whole.fit_to(np.array(whole)) if self.corrupted else images  # writable, as torch wants it
            self._digests[name] = np.array([digest(image) for image in np.asarray(plain)], np.uint64)
        return self._digests[name][places]


def read(source: Source, form: Form, corruption: ImageCorruption, progress: bool = False) -> CleanData:
    """Reads ``source``, brings the images into ``form`` and corrupts them."""
    dataset = source.read(form.whole, progress)
    form = replace(form, image_size=form.image_size or natural_size(dataset.images.shape))
    train, test = form.whole.fit_to(dataset.images), form.whole.fit_to(dataset.test_images)
    if not isinstance(train, Streamed) and not isinstance(test, Streamed):
        corruption.fit(train if len(train) else test)
        train, test = corruption(train, "train"), corruption(test, "test")
    return CleanData(dataset, {"train": train, "test": test}, form, not isinstance(corruption, NoCorruption))


_kept: OrderedDict[str, CleanData] = OrderedDict()


def read_once(
    source: Source, form: Form, corruption: ImageCorruption, *, progress: bool = False, config: Mapping[str, Any]
) -> CleanData:
    """:func:`read`, or what it returned for the same data, form and configuration ``config`` of the corruption."""
    places = {name: getattr(source, name, None) for name in source.elsewhere}
    shape = form.image_size, form.resize, form.channels, form.fit, form.interpolation
    key = json.dumps([source.key(), str(Path.cwd()), places, shape, config], sort_keys=True, default=str)
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    while _kept and sum(kept.nbytes for kept in _kept.values()) > MAX_BYTES:
        _kept.popitem(last=False)
    _kept[key] = clean = read(source, form, corruption, progress)
    return clean
