"""Clean data that this process has read, so that the next run of a sweep need not read it again."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnl.data.images import Dataset, LabelledImages, Streamed

MAX_BYTES = 2 * 2**30  # of images that are kept; the latest are, whatever their size

# Arguments of NoisyDataModule that say what becomes of images once they are read. `folds` is none of them: with folds,
# own data is read without a test set.
LATER = (
    *("mean", "std", "normalize", "batch_size", "eval_batch_size", "augment", "crop_padding", "views"),
    *("val_fraction", "split_seed", "subset", "val_subset", "test_subset", "subset_mode", "fold"),
    *("trusted", "trusted_test", "device_cache", "num_workers", "class_map", "seed"),
)


class CleanData:
    """A dataset with its true labels, in memory and never to be changed: several runs may have it.

    Args:
        original: as it was read: what noise is drawn from.
        train, test: as models see it: at their size, corrupted.

    Attributes:
        images: uint8 tensors ``[N, H, W, C]`` of ``train`` and ``test``, sharing their memory, or as they are
            streamed.
        digests: of the images of ``train`` and ``test``, once they were asked for
            (:meth:`~lnl.data.NoisyDataModule.digests`).
    """

    def __init__(self, original: Dataset, train: LabelledImages, test: LabelledImages) -> None:
        self.original, self.train, self.test = original, train, test
        self.digests: dict[str, NDArray[np.uint64]] = {}
        self.images: dict[str, Tensor | Streamed] = {
            name: part.images if isinstance(part.images, Streamed) else torch.from_numpy(part.images)
            for name, part in (("train", train), ("test", test))
        }
        parts = (original.train, original.test, train, test)
        for array in (array for part in parts for array in (part.images, part.labels)):
            if not isinstance(array, Streamed):
                array.flags.writeable = False
        self.nbytes = sum({id(part.images): part.images.nbytes for part in parts}.values())


_kept: OrderedDict[str, CleanData] = OrderedDict()


def read_once(config: Mapping[str, Any], read: Callable[[], CleanData]) -> CleanData:
    """What ``read`` returns, or has returned for the same ``config``.

    Args:
        config: ``data`` and ``corruption`` of a run's configuration. What comes :data:`LATER` does not count; all else
            does, whatever a dataset's own arguments are.
        read: reads the data anew.
    """
    data = {name: value for name, value in config["data"].items() if name not in LATER}
    key = json.dumps([str(Path.cwd()), data, config["corruption"]], sort_keys=True, default=str)
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    while _kept and sum(kept.nbytes for kept in _kept.values()) > MAX_BYTES:
        _kept.popitem(last=False)
    _kept[key] = clean = read()
    return clean
