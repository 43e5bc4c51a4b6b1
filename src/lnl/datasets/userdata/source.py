"""A user's own data: labels as they were given, checked, and samples divided into training and test."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lnl.datasets.copies import are_copies, find_copies
from lnl.datasets.decoded import Decoded, decode
from lnl.datasets.images import Form, Images, check_choice, natural_size
from lnl.datasets.source import Dataset, Source
from lnl.datasets.userdata import remarks as said
from lnl.datasets.userdata.listing import (
    Listing,
    class_names,
    clean_labels,
    divide,
    number_labels,
    without_small,
    without_unusable,
)
from lnl.errors import UserError, check_range
from lnl.labels import Integers, Labels, Trusted
from lnl.labels.classes import cleaned


@dataclass(frozen=True)
class Usable:
    """The samples that can be used, by what a user's data says of them.

    Attributes:
        listing: of all samples.
        table: of the usable ones, with the numbers of ``classes`` as labels; its index is their place in the listing.
        bad: name and reason of each of the others.
        remarks: messages to the user.
    """

    listing: Listing
    table: pd.DataFrame
    classes: Sequence[str]
    bad: Sequence[tuple[str, str]]
    remarks: Sequence[str]

    @property
    def listed(self) -> int:
        """The number of all samples."""
        return len(self.listing.table) + len(self.listing.bad)


@dataclass(frozen=True)
class Divided:
    """The samples to read, test samples last, their classes, and name and reason of those of too small classes."""

    table: pd.DataFrame
    classes: Sequence[str]
    small: Sequence[tuple[str, str]]
    about_test: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class UserSource(Source):
    """A user's own data: labels as they were given, whose truth may not be known.

    A subclass implements :meth:`listing` and, if its listing holds arrays, :meth:`copies` and :meth:`pictures`.

    Args:
        classes: names, in label order; null for the labels that occur. With names, labels may be class numbers.
        on_error: ``fail`` names samples that cannot be used, ``skip`` leaves them out, counts and lists them.
        test_fraction: share of samples, in [0, 1), held out for testing if the data names none: stratified, the same
            in every run. With 0 there is no test set. Null for 0.2, or 0 with ``folds``, which hold every sample out
            once, or 1 with ``only_test``.
        min_per_class: leaves out classes with fewer pictures, copies counted once, not counting pictures that the data
            names for testing; counts and lists them. Null leaves out none.
        only_test: read only samples for testing, or all if the data names none; nothing is trained.
        cache_limit_gb: decoded pictures that take more are read from their files in each epoch.
        cache_dir: folder of decoded pictures.
        folds: see :class:`lnl.datasets.splits.Splitting`.
    """

    classes: Sequence[str] | None = None
    on_error: str = "fail"
    test_fraction: float | None = None
    min_per_class: int | None = None
    only_test: bool = False
    cache_limit_gb: float = 8.0
    cache_dir: str | Path = "cache"
    folds: int | None = None

    def __post_init__(self) -> None:
        check_choice("on_error", self.on_error, ("fail", "skip"))
        fraction = self.held_out
        if not 0 <= fraction < 1 and not (self.only_test and fraction == 1):
            raise ValueError(f"data.test_fraction must be at least 0 and below 1, got {fraction}")
        check_range("[1, inf)", **{"data.min_per_class": self.min_per_class})
        if (names := self.class_names) and len(set(names)) < len(names):
            raise ValueError(f"data.classes has a name twice: {', '.join(names)}")

    @property
    def held_out(self) -> float:
        """``test_fraction``, or its default."""
        if self.test_fraction is not None:
            return self.test_fraction
        return 1.0 if self.only_test else 0.0 if self.folds else 0.2

    @property
    def class_names(self) -> list[str] | None:
        return None if self.classes is None else [cleaned(str(name)) for name in self.classes]

    @abstractmethod
    def listing(self) -> Listing:
        """The samples, with their labels as text."""

    def copies(self, listing: Listing, table: pd.DataFrame, progress: bool) -> Integers:
        """A number for each row of ``table`` (see :meth:`pictures`), the same for the same picture."""
        return find_copies(listing.holds(table["name"].tolist()), Path(self.cache_dir).expanduser(), progress)

    def pictures(self, listing: Listing, table: pd.DataFrame, form: Form, progress: bool) -> Decoded:
        """The images of the samples in ``table``, whose index is their place in the listing."""
        pictures, cache_dir = listing.holds(table["name"].tolist()), Path(self.cache_dir).expanduser()
        return decode(pictures, form, cache_dir=cache_dir, limit=self.cache_limit_gb * 1e9, show=progress)

    def check(self) -> Labels:
        """Raises the errors of :meth:`read` that need no picture.

        Returns:
            The labels of the samples that may be for training. The training set has fewer of them, if a part is held
            out for testing or pictures cannot be read.
        """
        found = self.usable()
        # Copies are found by content. Without, a class has no fewer pictures.
        table, classes, _ = self._large(found.table.assign(picture=np.arange(len(found.table))), found.classes)
        with self._cause_first(found.bad, found.listed):
            divide(table, self.held_out)
        return _labels(table[table["split"] != "test"] if "split" in table else table, classes)

    def read(self, form: Form, progress: bool = False) -> Dataset:
        found = self.usable()
        table = found.table.assign(picture=self.copies(found.listing, found.table, progress))
        divided, images, bad = self._with_images(found, table, form, progress)
        table, classes = divided.table, divided.classes
        remarks = [*found.remarks, *divided.about_test]
        remarks += said.about_copies(table, classes) + said.about_trust(table)
        remarks += [] if self.only_test else said.about_classes(table, classes)
        if form.image_size is None:
            size = natural_size(images.shape)
            remarks.append(f"models see pictures of {size}x{size} pixels (data.image_size)")
        remarks += said.about_small(divided.small, self.min_per_class)
        if bad:
            remarks.append(said.details(said.left_out(bad), said.described(bad)))
        dataset, skipped = self._dataset(table, classes, images, bad), [*bad, *divided.small]
        originals = found.listing.holds(dataset.labels.names) if callable(found.listing.holds) else None
        dataset = replace(dataset, originals=originals, skipped=skipped, remarks=remarks)
        return replace(dataset, test_drawn=bool(divided.about_test))

    def usable(self) -> Usable:
        """The samples that can be used, found without reading pictures."""
        listing = self.listing()
        bad, listed = list(listing.bad), len(listing.table) + len(listing.bad)
        table, about_labels = clean_labels(self._for_testing(listing.table), listing.named)
        table = without_unusable(table, listing.named, bad)
        with self._cause_first(bad, listed):
            of_all = self.only_test or self.min_per_class is not None  # which leaves out those that training lacks
            classes = self.class_names or listing.classes or class_names(table, of_all)
        table = number_labels(table, classes, bad)
        self._fail(bad, listed)
        return Usable(listing, table, classes, bad, [*listing.remarks, *about_labels])

    def _with_images(
        self, found: Usable, table: pd.DataFrame, form: Form, progress: bool
    ) -> tuple[Divided, Images, list[tuple[str, str]]]:
        """The samples of ``table`` whose pictures can be read, these pictures, and all samples that cannot be used."""
        bad = list(found.bad)
        while True:
            kept, classes, small = self._large(table, found.classes)
            with self._cause_first(bad, found.listed):
                kept, about_test = divide(kept, self.held_out)
            if self.only_test:
                kept = kept[kept["split"] == "test"]
            decoded = self.pictures(found.listing, kept, form, progress)
            places = sorted(decoded.bad, key=lambda place: kept.index[place])  # in the user's order
            bad += [(kept["name"].iloc[place], decoded.bad[place]) for place in places]
            self._fail(bad, found.listed)
            unread = kept.index[list(decoded.bad)]
            table = table.drop(index=unread)
            if not len(unread) or self._large(table, found.classes)[1] == classes:
                return Divided(kept.drop(index=unread), classes, small, about_test), decoded.images, bad

    def _large(
        self, table: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[pd.DataFrame, Sequence[str], list[tuple[str, str]]]:
        return (table, classes, []) if self.min_per_class is None else without_small(table, classes, self.min_per_class)

    def _dataset(
        self, table: pd.DataFrame, classes: Sequence[str], images: Images, bad: list[tuple[str, str]]
    ) -> Dataset:
        train, test = table[table["split"] != "test"], table[table["split"] == "test"]
        lacking = [] if len(train) or self.only_test else ["training"]
        lacking += [] if len(test) or (self.held_out == 0 and not self.only_test) else ["testing"]
        if lacking:
            why = said.some(said.described(bad)) or f"data.test_fraction={self.held_out}"
            raise UserError(f"no sample is left for {lacking[0]}: {why}")
        val, pictures = np.flatnonzero(train["split"] == "val"), train["picture"].to_numpy()
        return Dataset(
            images[: len(train)],
            _labels(train, classes),
            images[len(train) :],
            test["true_label" if "true_label" in test else "label"].to_numpy(np.int64),
            test_names=test["name"].tolist(),
            val=val if len(val) else None,
            pictures=pictures if are_copies(pictures) else None,
        )

    def _for_testing(self, table: pd.DataFrame) -> pd.DataFrame:
        """The samples that may be for testing, if only these are read; else all."""
        if not self.only_test:
            return table
        if "split" in table and (table["split"] == "test").any():
            return table[table["split"] == "test"]
        return table.assign(split="test" if self.held_out == 1 else "train")

    @contextmanager
    def _cause_first(self, bad: Sequence[tuple[str, str]], of: int) -> Iterator[None]:
        """Names unusable samples in an error that may follow from them."""
        try:
            yield
        except UserError as error:
            self._fail(bad, of)
            if not bad:
                raise
            raise UserError(f"{str(error).replace(chr(10), ' ')}\n{said.left_out(bad, of)}") from error

    def _fail(self, bad: Sequence[tuple[str, str]], of: int) -> None:
        """Raises UserError if there are bad samples and none are allowed."""
        if not bad or self.on_error == "skip":
            return
        lines = said.described(bad)
        names = said.some([said.printable(name) for name, _ in bad])
        count = f"{len(bad):,} of {of:,} samples cannot be used: {names}." if len(bad) > 1 else ""
        skip = "data.on_error=skip leaves out what cannot be used, and lists it." if len(bad) < of else ""
        raise UserError("\n".join(filter(None, [lines[0], " ".join(filter(None, [count, skip]))])))


def _labels(train: pd.DataFrame, classes: Sequence[str]) -> Labels:
    """The labels of training samples."""
    given = train["label"].to_numpy(np.int64)
    truth = train["true_label"].to_numpy(np.int64) if "true_label" in train else None
    labels = Labels.doubtful(given, classes, truth, train["name"].tolist())
    if "trusted" in train:
        index = np.flatnonzero(train["trusted"].to_numpy(bool))
        labels = replace(labels, trusted=Trusted(index, given[index]))
    return labels
