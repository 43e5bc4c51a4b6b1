"""Samples whose label is known to be right."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from lnl.labels.choice import stratified_choice
from lnl.labels.files import read_labels
from lnl.labels.labels import Labels, Trusted


def with_trusted(labels: Labels, spec: int | str | None, seed: int) -> Labels:
    """The labels with the trusted samples that ``data.trusted`` names.

    Args:
        labels: of the training set, before noise. Their classes and trusted samples count, and ``given`` of a
            benchmark set, which is right. Of doubtful labels the truth is read only to draw a number of samples.
        spec: null for those that the data itself calls trusted; a number of samples, drawn with ``seed``, every class
            with its share; ``first-n`` for the first n samples, whose given labels are right; or a file of right
            labels (:func:`lnl.labels.files.read_labels`; without an ``index`` column, those of the first samples).
        seed: of the draw.

    Raises:
        ValueError: if it names samples that there are not, or draws from labels whose truth is not known.
    """
    if spec is None:
        return labels
    first, count, right = str(spec).removeprefix("first-"), len(labels), labels.given
    if type(spec) is int or str(spec).isdecimal():
        if not 0 <= int(spec) <= count:
            raise ValueError(f"data.trusted must be between 0 and the {count} training samples, got {spec}")
        if labels.truth is None:
            raise ValueError(
                f"data.trusted={spec} would be drawn from labels that may all be wrong: name those that are right, "
                "in a .csv (index,label), as first-<n>, or in a table's column `trusted`."
            )
        right = labels.truth
        index = stratified_choice(right, int(spec), np.random.default_rng([seed, *b"trusted"]))
    elif str(spec).startswith("first-") and first.isdecimal():
        if int(first) > count:
            raise ValueError(f"data.trusted={spec}, but there are {count} training samples")
        index = np.arange(int(first))
    elif isinstance(spec, str) and Path(spec).suffix in (".csv", ".npy"):
        index, written = read_labels(Path(spec).expanduser(), labels.classes, labels.names)
        if len(index) and index.max() >= count:
            raise ValueError(f"{spec} names sample {index.max()}, but there are {count} training samples from 0")
        return replace(labels, trusted=Trusted(index, written))
    else:
        raise ValueError(f"data.trusted must be a number, first-<n>, or a .csv or .npy file, got '{spec}'")
    return replace(labels, trusted=Trusted(index, right[index]))
