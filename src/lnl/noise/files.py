"""Noisy labels from a file."""

from pathlib import Path
from typing import Any

import numpy as np

from lnl.labels import Integers, Labels
from lnl.labels.files import read_labels
from lnl.noise.kinds import LabelNoise


class FileNoise(LabelNoise):
    """Noisy labels that are given in a file (:func:`lnl.labels.files.read_labels`).

    Args:
        path: of the file, with a label for every sample of the training set.

    Raises:
        ValueError, UserError: if there is no such file, it cannot be read, or its labels do not fit the training set.
    """

    kind, convention, drawn = "file", "labels given in a file", False

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(str(path)).expanduser()

    def draw(self, labels: Labels, images: Any) -> tuple[Integers, None]:
        index, noisy = read_labels(self.path, labels.classes, labels.names)
        every = np.arange(len(labels))
        if not np.array_equal(index, every):
            lacking = np.setdiff1d(every, index)
            first = f"; the first that has none is {labels.names[lacking[0]]}" if labels.names and len(lacking) else ""
            raise ValueError(
                f"{self.path} has {len(noisy)} labels, but the training set has {len(labels)} samples: "
                f"it needs one for each, in order or with a column `file`, or `index` from 0{first}."
            )
        return noisy, None
