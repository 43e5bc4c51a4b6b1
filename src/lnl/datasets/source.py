"""A dataset, and the base class of what reads it."""

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
from lnl.datasets.pictures import Files, Pictures
from lnl.labels import Integers, Labels
from lnl.labels.labels import stratified_choice


@dataclass(frozen=True)
class Dataset:
    """Images and labels as they were read, before noise is added.

    Attributes:
        images: of the training set including validation, uint8 ``[N, H, W, C]``, in the dataset's own order. Streamed
            ones already have the form that was asked for.
        labels: of the training set.
        test_images, test_labels: uint8 ``[M, H, W, C]`` and ``[M]``, right as far as known.
        test_names: of the test samples, if they have names.
        originals: the pictures of the training set as they were before they were decoded; None if ``images`` are.
        val: numbers of the training samples for validation; None if the data does not name them.
        clean_val: whether the labels of ``val`` are known to be right, unlike those that are trained on.
        pictures: ``[N]``, the same number for copies of one picture (:mod:`lnl.datasets.copies`); None without copies.
        test_drawn: whether the test set was drawn, because the data names no samples for testing.
        skipped: name and reason of each sample that was left out.
        remarks: messages to the user: the first line of each goes to the terminal, the rest to the log.
    """

    images: Images
    labels: Labels
    test_images: Images
    test_labels: Integers
    test_names: Sequence[str] | None = None
    originals: Pictures | None = None
    val: Integers | None = None
    clean_val: bool = False
    pictures: Integers | None = None
    test_drawn: bool = False
    skipped: Sequence[tuple[str, str]] = ()
    remarks: Sequence[str] = ()


class Source(ABC):
    """Reads a dataset. To add one, write a dataclass that extends this class and implements :meth:`read`.

    Attributes:
        elsewhere: names of arguments that do not change what is read, such as folders.
        benchmark: whether everybody has the same data, so that a result needs no hashes of it. Data whose labels are
            taken to be right is a benchmark anyway.
    """

    elsewhere: ClassVar[frozenset[str]] = frozenset({"data_dir", "cache_dir", "cache_limit_gb"})
    benchmark: ClassVar[bool] = False

    def prepare(self) -> None:  # noqa: B027
        """Downloads missing files."""

    @abstractmethod
    def read(self, form: Form, progress: bool = False) -> Dataset:
        """Reads the dataset, after :meth:`prepare`, if wanted with a progress bar. Several runs may share it.

        A source that decodes pictures returns them in ``form``; others need not, as all images are brought into it.
        """

    @cached_property
    def contents(self) -> dict[str, Any]:
        """Hashes of the files and folders that arguments name (:func:`lnl.datasets.contents.fingerprints`)."""
        return fingerprints(vars(self))

    def knowing(self, contents: Mapping[str, Any]) -> Self:
        """This source with known :attr:`contents`, which saves hashing the files again."""
        vars(self)["contents"] = dict(contents)
        return self

    def key(self) -> str:
        """A hash of the data, wherever it lies, computed without reading images."""
        beside = {*self.elsewhere, "contents"}
        arguments = {name: value for name, value in vars(self).items() if name not in beside}
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        canonical = json.dumps([kind, arguments | self.contents], sort_keys=True, default=str)
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class InMemory(Source):
    """A dataset that is already in memory."""

    dataset: Dataset

    def read(self, form: Form, progress: bool = False) -> Dataset:
        return self.dataset


def hold_out_test(
    images: Any, labels: Integers, classes: Sequence[str], fraction: float = 0.2, originals: Files | None = None
) -> Dataset:
    """A dataset with a stratified test set split off, the same one in every run."""
    test = stratified_choice(labels, round(fraction * len(labels)), np.random.default_rng(0))
    train = np.setdiff1d(np.arange(len(labels)), test)
    kept = None if originals is None else originals.at(train.tolist())
    return Dataset(images[train], Labels.true(labels[train], classes), images[test], labels[test], originals=kept)
