"""Samples whose label is known to be right."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lnl.data.images import Given, stratified_choice
from lnl.noise import read_labels
from lnl.noise.corrupt import Labels


@dataclass(frozen=True)
class Trusted:
    """Sample numbers ``index[n]`` in the training set, sorted, and their right ``labels[n]``."""

    index: Labels
    labels: Labels

    def __len__(self) -> int:
        return len(self.index)


def read_trusted(
    spec: int | str | None, clean: Labels, classes: Sequence[str], seed: int, given: Given | None = None
) -> Trusted:
    """The trusted samples that ``data.trusted`` names.

    Args:
        spec: null for none; a number of samples, drawn with ``seed``, every class with its share; ``first-n`` for the
            first n samples; or a file of right labels (:func:`lnl.noise.read_labels`; without an ``index`` column,
            those of the first samples).
        clean: ``[N]`` true labels of the training set; read at the trusted samples, and to give every class its share.
        classes: K class names.
        seed: of the draw.
        given: of labels that somebody gave: ``clean`` are those, and right where ``given`` or ``first-n`` calls them
            trusted. The truth that is known for metrics is read for a number of samples alone. Without a ``spec``, what
            ``given`` calls trusted is.

    Raises:
        ValueError: if it names samples that there are not, or draws from labels of which nobody knows the truth.
    """
    first = str(spec).removeprefix("first-")
    if spec is None:
        index = np.arange(0) if given is None or given.trusted is None else np.flatnonzero(given.trusted)
    elif type(spec) is int or str(spec).isdecimal():
        if not 0 <= int(spec) <= len(clean):
            raise ValueError(f"data.trusted must be between 0 and the {len(clean)} training samples, got {spec}")
        if given is not None and given.truth is None:
            raise ValueError(
                f"data.trusted={spec} would be drawn from labels that may all be wrong: name those that are right, "
                "in a .csv (index,label), as first-<n>, or in a table's column `trusted`."
            )
        if given is not None and given.truth is not None:
            clean = given.truth
        index = stratified_choice(clean, int(spec), np.random.default_rng([seed, *b"trusted"]))
    elif str(spec).startswith("first-") and first.isdecimal():
        if int(first) > len(clean):
            raise ValueError(f"data.trusted={spec}, but there are {len(clean)} training samples")
        index = np.arange(int(first))
    elif isinstance(spec, str) and Path(spec).suffix in (".csv", ".npy"):
        index, labels = read_labels(Path(spec).expanduser(), classes, None if given is None else given.files)
        if len(index) and index.max() >= len(clean):
            raise ValueError(f"{spec} names sample {index.max()}, but there are {len(clean)} training samples from 0")
        return Trusted(index, labels)
    else:
        raise ValueError(f"data.trusted must be a number, first-<n>, or a .csv or .npy file, got '{spec}'")
    return Trusted(index, clean[index])
