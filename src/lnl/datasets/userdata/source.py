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
from lnl.datasets.userdata import listing as said
from lnl.datasets.userdata.listing import Listing, class_names, clean_labels, divide, number_labels, without_unusable
from lnl.errors import UserError
from lnl.labels import Integers, Labels, Trusted
from lnl.labels.classes import cleaned


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
        only_test: read only samples for testing, or all if the data names none; nothing is trained.
        cache_limit_gb: decoded pictures that take more are read from their files in each epoch.
        cache_dir: folder of decoded pictures.
        folds: see :class:`lnl.data.splits.Splitting`.
    """

    classes: Sequence[str] | None = None
    on_error: str = "fail"
    test_fraction: float | None = None
    only_test: bool = False
    cache_limit_gb: float = 8.0
    cache_dir: str | Path = "cache"
    folds: int | None = None

    def __post_init__(self) -> None:
        check_choice("on_error", self.on_error, ("fail", "skip"))
        fraction = self.held_out
        if not 0 <= fraction < 1 and not (self.only_test and fraction == 1):
            raise ValueError(f"data.test_fraction must be at least 0 and below 1, got {fraction}")
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

    def read(self, form: Form, progress: bool = False) -> Dataset:
        listing = self.listing()
        bad, everything = list(listing.bad), len(listing.table) + len(listing.bad)
        table, about_labels = clean_labels(self._for_testing(listing.table), listing.named)
        table = without_unusable(table, listing.named, bad)
        with self._cause_first(bad, everything):
            classes = self.class_names or listing.classes or class_names(table, self.only_test)
        table = number_labels(table, classes, bad)
        self._fail(bad, everything)  # before decoding takes its time
        table = table.assign(picture=self.copies(listing, table, progress))
        with self._cause_first(bad, everything):
            table, about_test = divide(table, self.held_out)
        if self.only_test:
            table = table[table["split"] == "test"]
        decoded = self.pictures(listing, table, form, progress)
        places = sorted(decoded.bad, key=lambda place: table.index[place])  # in the user's order
        bad += [(table["name"].iloc[place], decoded.bad[place]) for place in places]
        self._fail(bad, everything)
        table = table.drop(index=table.index[list(decoded.bad)])
        remarks = [*listing.remarks, *about_labels, *about_test]
        remarks += said.about_copies(table, classes) + said.about_trust(table)
        remarks += [] if self.only_test else said.about_classes(table, classes)
        if form.image_size is None:
            size = natural_size(decoded.images.shape)
            remarks.append(f"models see pictures of {size}x{size} pixels (data.image_size)")
        if bad:
            remarks.append(said.details(said.left_out(bad), said.described(bad)))
        dataset = self._dataset(table, classes, decoded.images, bad)
        originals = listing.holds(dataset.labels.names) if callable(listing.holds) else None
        return replace(dataset, originals=originals, test_drawn=bool(about_test), skipped=bad, remarks=remarks)

    def _dataset(
        self, table: pd.DataFrame, classes: Sequence[str], images: Images, bad: list[tuple[str, str]]
    ) -> Dataset:
        train, test = table[table["split"] != "test"], table[table["split"] == "test"]
        lacking = [] if len(train) or self.only_test else ["training"]
        lacking += [] if len(test) or (self.held_out == 0 and not self.only_test) else ["testing"]
        if lacking:
            why = said.some(said.described(bad)) or f"data.test_fraction={self.held_out}"
            raise UserError(f"no sample is left for {lacking[0]}: {why}")
        given = train["label"].to_numpy(np.int64)
        truth = train["true_label"].to_numpy(np.int64) if "true_label" in train else None
        labels = Labels.doubtful(given, classes, truth, train["name"].tolist())
        if "trusted" in train:
            index = np.flatnonzero(train["trusted"].to_numpy(bool))
            labels = replace(labels, trusted=Trusted(index, given[index]))
        val, pictures = np.flatnonzero(train["split"] == "val"), train["picture"].to_numpy()
        return Dataset(
            images[: len(train)],
            labels,
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
        count = f"{len(bad):,} of {of:,} samples cannot be used: {names}. " if len(bad) > 1 else ""
        raise UserError(f"{lines[0]}\n{count}data.on_error=skip leaves out what cannot be used, and lists it.")
