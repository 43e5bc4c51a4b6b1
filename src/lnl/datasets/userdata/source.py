"""A user's own data: labels as they were given, checked, and samples divided into training and test."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lnl.datasets.copies import are_copies, find_copies, picture_numbers
from lnl.datasets.decoded import Decoded, decode
from lnl.datasets.images import Form, Images, check_choice, natural_size
from lnl.datasets.pictures import Files, Pictures
from lnl.datasets.source import Dataset, Source
from lnl.datasets.userdata import listing as said
from lnl.datasets.userdata.checks import LABELS, class_names, clean_labels, divide, no_class_of, unusable, without
from lnl.datasets.userdata.listing import Listing
from lnl.errors import UserError
from lnl.labels import Labels, Trusted
from lnl.labels.classes import class_numbers, cleaned


@dataclass(frozen=True, kw_only=True)
class UserSource(Source):
    """A user's own data: labels as they were given, whose truth may not be known.

    A source of it extends this class with :meth:`listing`, :meth:`copies` and :meth:`pictures`.

    Args:
        classes: names, in label order, if they are not to be taken from the labels. Labels may then be their numbers.
        on_error: ``fail`` names what cannot be used, ``skip`` leaves it out, counts and lists it.
        test_fraction: the share that is held out for testing where no sample is said to be: always the same samples,
            whatever the seeds, every class with its share. With 0 there is no test set. Null is 0.2, and 0 with
            ``folds``, which hold every sample out once.
        only_test: nothing is trained: only samples for testing are read, all where none is said to be. Null is then a
            ``test_fraction`` of 1.
        cache_limit_gb: pictures that take more when they are decoded are read from their files in each epoch.
        cache_dir: where decoded pictures are kept.
        folds: as of :class:`lnl.data.splits.Splitting`.
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
        """``test_fraction``, or what it is where it is null."""
        if self.test_fraction is not None:
            return self.test_fraction
        return 1.0 if self.only_test else 0.0 if self.folds else 0.2

    @property
    def class_names(self) -> list[str] | None:
        return None if self.classes is None else [cleaned(str(name)) for name in self.classes]

    @abstractmethod
    def listing(self) -> Listing:
        """The samples, with their labels as text."""

    @abstractmethod
    def copies(self, listing: Listing, table: pd.DataFrame, progress: bool) -> list[list[int]]:
        """Rows of ``table`` (as of :meth:`pictures`) that are the same picture, for each that is there twice."""

    @abstractmethod
    def pictures(self, listing: Listing, table: pd.DataFrame, form: Form, progress: bool) -> Decoded:
        """The images of the samples in ``table``, whose index is their place in the listing."""

    def read(self, form: Form, progress: bool = False) -> Dataset:
        listing = self.listing()
        bad, everything = list(listing.bad), len(listing.table) + len(listing.bad)
        table, about_labels = clean_labels(self._for_testing(listing.table), listing.named)
        table = without(table, [unusable(row, listing.named) for row in table.to_dict("records")], bad)
        with self._cause_first(bad, everything):
            classes = self.class_names or listing.classes or class_names(table, self.only_test)
        table = self._numbered(table, classes, bad)
        self._fail(bad, everything)  # before decoding takes its time
        table = table.assign(picture=picture_numbers(self.copies(listing, table, progress), len(table)))
        with self._cause_first(bad, everything):
            table, about_test = divide(table, self.held_out)
        if self.only_test:
            table = table[table["split"] == "test"]
        decoded = self.pictures(listing, table, form, progress)
        places = sorted(decoded.bad, key=lambda place: table.index[place])  # in the user's order
        bad += [(table["name"].iloc[place], decoded.bad[place]) for place in places]
        self._fail(bad, everything)
        images = decoded.cut(int((table["split"] != "test").sum()))
        table = table.drop(index=table.index[list(decoded.bad)])
        remarks = [*listing.remarks, *about_labels, *about_test]
        remarks += said.about_copies(table, classes) + said.about_trust(table)
        remarks += [] if self.only_test else said.about_classes(table, classes)
        if form.image_size is None:
            size = natural_size(images[0].shape)
            remarks.append(f"models see pictures of {size}x{size} pixels (data.image_size)")
        if bad:
            remarks.append(said.details(said.left_out(bad), said.described(bad)))
        dataset = self._dataset(table, classes, images, bad)
        return replace(dataset, test_drawn=bool(about_test), skipped=bad, remarks=remarks)

    def _numbered(self, table: pd.DataFrame, classes: Sequence[str], bad: list[tuple[str, str]]) -> pd.DataFrame:
        """The samples whose labels have a class, with its number in their place; the others go to ``bad``."""
        columns = [key for key in LABELS if key in table]
        numbers = class_numbers(pd.concat([table[key] for key in columns]).unique(), classes)
        table = without(table, [no_class_of(row, numbers, classes) for row in table.to_dict("records")], bad)
        return table.assign(**{key: table[key].map(numbers).astype(np.int64) for key in columns})

    def _dataset(
        self, table: pd.DataFrame, classes: Sequence[str], images: tuple[Images, Images], bad: list[tuple[str, str]]
    ) -> Dataset:
        train, test = table[table["split"] != "test"], table[table["split"] == "test"]
        lacking = [] if len(train) or self.only_test else ["training"]
        lacking += [] if len(test) or (self.held_out == 0 and not self.only_test) else ["testing"]
        if lacking:
            why = said.some(said.described(bad)) or f"data.test_fraction={self.held_out}"
            raise UserError(f"no sample is left for {lacking[0]}: {why}")
        given, truth = train["label"].to_numpy(np.int64), None
        if "true_label" in train:
            truth = train["true_label"].to_numpy(np.int64)
        labels = Labels.doubtful(given, classes, truth, train["name"].tolist())
        if "trusted" in train:
            index = np.flatnonzero(train["trusted"].to_numpy(bool))
            labels = replace(labels, trusted=Trusted(index, given[index]))
        val, pictures = np.flatnonzero(train["split"] == "val"), train["picture"].to_numpy()
        return Dataset(
            images[0],
            labels,
            images[1],
            test["true_label" if "true_label" in test else "label"].to_numpy(np.int64),
            test_names=test["name"].tolist(),
            val=val if len(val) else None,
            pictures=pictures if are_copies(pictures) else None,
        )

    def _for_testing(self, table: pd.DataFrame) -> pd.DataFrame:
        """The samples that may be for testing, if nothing else is asked for."""
        if not self.only_test:
            return table
        if "split" in table and (table["split"] == "test").any():
            return table[table["split"] == "test"]
        return table.assign(split="test" if self.held_out == 1 else "train")

    @contextmanager
    def _cause_first(self, bad: Sequence[tuple[str, str]], of: int) -> Iterator[None]:
        """Says first, of what may follow from samples that cannot be used, what is wrong with those."""
        try:
            yield
        except UserError as error:
            self._fail(bad, of)
            if not bad:
                raise
            raise UserError(f"{str(error).replace(chr(10), ' ')}\n{said.left_out(bad, of)}") from error

    def _fail(self, bad: Sequence[tuple[str, str]], of: int) -> None:
        """Raises UserError if something is bad and nothing may be."""
        if not bad or self.on_error == "skip":
            return
        lines = said.described(bad)
        names = said.some([said.printable(name) for name, _ in bad])
        count = f"{len(bad):,} of {of:,} samples cannot be used: {names}. " if len(bad) > 1 else ""
        raise UserError(f"{lines[0]}\n{count}data.on_error=skip leaves out what cannot be used, and lists it.")


@dataclass(frozen=True, kw_only=True)
class PictureSource(UserSource):
    """Pictures that are to be decoded, in files of :attr:`folder` unless a source says otherwise."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """What the names of files are relative to."""

    def files(self, listing: Listing, names: list[str]) -> Pictures:
        return Files(self.folder, names)

    def copies(self, listing: Listing, table: pd.DataFrame, progress: bool) -> list[list[int]]:
        return find_copies(self.files(listing, table["name"].tolist()), self._cache, progress)

    def pictures(self, listing: Listing, table: pd.DataFrame, form: Form, progress: bool) -> Decoded:
        files = self.files(listing, table["name"].tolist())
        return decode(files, form, cache_dir=self._cache, limit=self.cache_limit_gb * 1e9, show=progress)

    @property
    def _cache(self) -> Path:
        return Path(self.cache_dir).expanduser()
