"""What a dataset is, and what reads it."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from lnl.datasets.contents import fingerprints
from lnl.datasets.images import Form, Images
from lnl.labels import Integers, Labels
from lnl.labels.choice import stratified_choice


@dataclass(frozen=True)
class Dataset:
    """Images and labels as they were read, before any noise.

    Attributes:
        images: of the training set, uint8 ``[N, H, W, C]``, in the dataset's own order; validation is split off later.
            Streamed ones have the form that is wanted already.
        labels: of the training set.
        test_images: likewise.
        test_labels: ``[M]``, right as far as is known.
        test_names: of the test samples, where they have names.
        val: numbers of the training samples that are for validation; None if the data does not say which.
        pictures: ``[N]``, the same number for samples that are copies of one picture (:mod:`lnl.datasets.copies`); None
            if there are none.
        test_drawn: the test set was drawn from samples of which none was said to be for testing: of other samples
            another one would be drawn.
        skipped: name and reason of each sample that was left out.
        remarks: what the user is to hear; the first line of each on the terminal, the rest in the log.
    """

    images: Images
    labels: Labels
    test_images: Images
    test_labels: Integers
    test_names: Sequence[str] | None = None
    val: Integers | None = None
    pictures: Integers | None = None
    test_drawn: bool = False
    skipped: Sequence[tuple[str, str]] = ()
    remarks: Sequence[str] = ()


class Source(ABC):
    """Reads a dataset. A dataset of your own is a dataclass that extends this one, with :meth:`read`.

    Attributes:
        elsewhere: names of arguments that do not change what is read: where files are, what is kept of them.
        how_to_trust: what a user has to give for samples to be trusted.
    """

    elsewhere: ClassVar[frozenset[str]] = frozenset({"data_dir", "cache_dir", "cache_limit_gb"})
    how_to_trust: ClassVar[str] = "set data.trusted, e.g. to 1000 or a CSV."

    def prepare(self) -> None:  # noqa: B027
        """Fetches what is to be fetched."""

    @abstractmethod
    def read(self, form: Form, progress: bool = False) -> Dataset:
        """The dataset, from files that :meth:`prepare` made sure are there. Several runs may share what it returns.

        Args:
            form: that images will be brought to; a source that decodes pictures returns them in it.
            progress: show a progress bar on a terminal.
        """

    @cached_property
    def contents(self) -> dict[str, Any]:
        """What stands for the files and folders that arguments name: :func:`lnl.datasets.contents.fingerprints`."""
        return fingerprints(vars(self))

    def knowing(self, contents: Mapping[str, Any]) -> Self:
        """This source, told its :attr:`contents`, which were computed a moment ago."""
        vars(self)["contents"] = dict(contents)
        return self

    def key(self) -> str:
        """The same for the same data, wherever it lies; found without reading an image."""
        beside = {*self.elsewhere, "contents"}
        arguments = {name: value for name, value in vars(self).items() if name not in beside}
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        canonical = json.dumps([kind, arguments | self.contents], sort_keys=True, default=str)
        return hashlib.sha256(canonical.encode()).hexdigest()


def hold_out_test(images: Any, labels: Integers, classes: Sequence[str], fraction: float = 0.2) -> Dataset:
    """A dataset without a test set of its own gets one: stratified, and the same in every run whatever the seeds."""
    test = stratified_choice(labels, round(fraction * len(labels)), np.random.default_rng(0))
    train = np.setdiff1d(np.arange(len(labels)), test)
    return Dataset(images[train], Labels.true(labels[train], classes), images[test], labels[test])
