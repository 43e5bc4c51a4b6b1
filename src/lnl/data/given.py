"""Labels that somebody gave, which may be wrong: what they are checked for, and how samples are divided."""

import re
from abc import abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from lnl.data.copies import are_copies, choose_pictures, not_alone, picture_numbers
from lnl.data.decoded import Decoded
from lnl.data.images import Dataset, Given, Images, LabelledImages, natural_size
from lnl.data.listing import Listing, details, many, no_single_label, some
from lnl.data.module import NoisyDataModule, check_choice
from lnl.errors import UserError
from lnl.noise.classes import class_numbers, cleaned, no_class

LABELS = ("label", "true_label")


class GivenDataModule(NoisyDataModule):
    """A user's own data: labels as they were given, of which nobody may know the truth.

    A dataset is a subclass with :meth:`listing`, :meth:`copies` and :meth:`pictures`.

    Args:
        classes: names, in label order, if they are not to be taken from the labels. Labels may then be their numbers.
        on_error: ``fail`` names what cannot be used, ``skip`` leaves it out, counts and lists it.
        test_fraction: the share that is held out for testing where no sample is said to be: always the same samples,
            whatever the seeds, every class with its share. With 0 there is no test set. Null is 0.2, and 0 with
            ``folds``, which hold every sample out once.
        only_test: nothing is trained: only samples for testing are read, all where none is said to be. Null is then a
            ``test_fraction`` of 1.
        cache_limit_gb: pictures that take more when they are decoded are read from their files in each epoch.
        base: of :class:`~lnl.data.NoisyDataModule`.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str] | None = None,
        on_error: str = "fail",
        test_fraction: float | None = None,
        only_test: bool = False,
        cache_limit_gb: float = 8.0,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_choice("on_error", on_error, ("fail", "skip"))
        if test_fraction is None:
            test_fraction = 1.0 if only_test else 0.0 if self.splitting.folds else 0.2
        if not 0 <= test_fraction < 1 and not (only_test and test_fraction == 1):
            raise ValueError(f"data.test_fraction must be at least 0 and below 1, got {test_fraction}")
        self.class_names = None if classes is None else [cleaned(str(name)) for name in classes]
        if self.class_names and len(set(self.class_names)) < len(self.class_names):
            raise ValueError(f"data.classes has a name twice: {', '.join(self.class_names)}")
        self.on_error, self.test_fraction, self.cache_limit = on_error, test_fraction, cache_limit_gb * 1e9
        self.only_test = only_test

    @abstractmethod
    def listing(self) -> Listing:
        """The samples, with their labels as text."""

    @abstractmethod
    def copies(self, table: pd.DataFrame) -> list[list[int]]:
        """Rows of ``table`` (which is as for :meth:`pictures`) that are the same picture, for each that is there twice.

        It is asked for before :meth:`pictures`.
        """

    @abstractmethod
    def pictures(self, table: pd.DataFrame) -> Decoded:
        """The images of the samples in ``table``, whose index is their place in the listing."""

    def load(self) -> Dataset:
        listing = self.listing()
        remarks, skipped = list(listing.remarks), list(listing.bad)
        table, said = clean_labels(self._for_testing(listing.table), listing.named)
        remarks += said
        everything = len(listing.table) + len(listing.bad)
        table = _without(table, [_unusable(row, listing.named) for row in table.to_dict("records")], skipped)
        with self._cause_first(skipped, everything):
            classes = self.class_names or class_names(table, self.only_test)
        columns = [key for key in LABELS if key in table]
        numbers = class_numbers(pd.concat([table[key] for key in columns]).unique(), classes)
        table = _without(table, [_no_class(row, numbers, classes) for row in table.to_dict("records")], skipped)
        self._fail(skipped, everything)  # before decoding takes its time
        table = table.assign(**{key: table[key].map(numbers).astype(np.int64) for key in columns})
        table = table.assign(picture=picture_numbers(self.copies(table), len(table)))
        with self._cause_first(skipped, everything):
            table, said = divide(table, self.test_fraction)
        drawn = bool(said)
        if self.only_test:
            table = table[table["split"] == "test"]
        decoded = self.pictures(table)
        places = sorted(decoded.bad, key=lambda place: table.index[place])  # in the user's order
        skipped += [(table["name"].iloc[place], decoded.bad[place]) for place in places]
        self._fail(skipped, everything)
        remarks += said
        train, test = decoded.cut(int((table["split"] != "test").sum()))
        table = table.drop(index=table.index[list(decoded.bad)])
        remarks += about_copies(table, classes) + about_trust(table)
        remarks += [] if self.only_test else about_classes(table, classes)
        if self.image_size is None:
            size = natural_size(train.shape)
            remarks.append(f"models see pictures of {size}x{size} pixels (data.image_size)")
        if skipped:
            remarks.append(details(_left_out(skipped), described(skipped)))
        return self._dataset(table, classes, (train, test), skipped, remarks, drawn)

    def _dataset(
        self,
        table: pd.DataFrame,
        classes: Sequence[str],
        images: tuple[Images, Images],
        skipped: list[tuple[str, str]],
        remarks: list[str],
        drawn: bool,
    ) -> Dataset:
        train, test = table[table["split"] != "test"], table[table["split"] == "test"]
        lacking = [] if len(train) or self.only_test else ["training"]
        lacking += [] if len(test) or (self.test_fraction == 0 and not self.only_test) else ["testing"]
        if lacking:
            why = some(described(skipped)) or f"data.test_fraction={self.test_fraction}"
            raise UserError(f"no sample is left for {lacking[0]}: {why}")
        is_val = (train["split"] == "val").to_numpy()
        given = Given(
            truth=train["true_label"].to_numpy(np.int64) if "true_label" in train else None,
            trusted=train["trusted"].to_numpy(bool) if "trusted" in train else None,
            val=np.flatnonzero(is_val) if is_val.any() else None,
            pictures=train["picture"].to_numpy() if are_copies(train["picture"].to_numpy()) else None,
            files=train["name"].tolist(),
            test_files=test["name"].tolist(),
            test_drawn=drawn,
            skipped=skipped,
            remarks=remarks,
        )
        judged = test["true_label" if "true_label" in test else "label"].to_numpy(np.int64)
        labels = train["label"].to_numpy(np.int64)
        return Dataset(LabelledImages(images[0], labels), LabelledImages(images[1], judged), classes, given)

    def _for_testing(self, table: pd.DataFrame) -> pd.DataFrame:
        """The samples that may be for testing, if nothing else is asked for."""
        if not self.only_test:
            return table
        if "split" in table and (table["split"] == "test").any():
            return table[table["split"] == "test"]
        return table.assign(split="test" if self.test_fraction == 1 else "train")

    @contextmanager
    def _cause_first(self, bad: Sequence[tuple[str, str]], of: int) -> Iterator[None]:
        """Says first, of what may follow from samples that cannot be used, what is wrong with those."""
        try:
            yield
        except UserError as error:
            self._fail(bad, of)
            if not bad:
                raise
            raise UserError(f"{str(error).replace(chr(10), ' ')}\n{_left_out(bad, of)}") from error

    def _fail(self, bad: Sequence[tuple[str, str]], of: int) -> None:
        """Raises UserError if something is bad and nothing may be."""
        if not bad or self.on_error == "skip":
            return
        lines = described(bad)
        names = some([_printable(name) for name, _ in bad])
        count = f"{len(bad):,} of {of:,} samples cannot be used: {names}. " if len(bad) > 1 else ""
        raise UserError(f"{lines[0]}\n{count}data.on_error=skip leaves out what cannot be used, and lists it.")


def described(bad: Sequence[tuple[str, str]]) -> list[str]:
    """Names and reasons, to be printed."""
    return [f"{_printable(name)}: {reason}" for name, reason in bad]


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _left_out(bad: Sequence[tuple[str, str]], of: int | None = None) -> str:
    count = many(len(bad), "sample is", "samples are") if of is None else f"{len(bad):,} of {of:,} samples are"
    return f"{count} left out (data.on_error=skip), first {described(bad[:1])[0]}"


def clean_labels(table: pd.DataFrame, named: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """Labels :func:`cleaned`; true labels are gone unless all are there. Unless ``named``, 1.0 is 1 and nan is none."""
    remarks = []
    for key in (key for key in LABELS if key in table):
        before = table[key]
        kinds = {name: cleaned(name) for name in before.unique()}
        changed = [name for name, stripped in kinds.items() if name != stripped]
        if changed:
            count = int(before.isin(changed).sum())
            names = some([f"'{kinds[name]}'" for name in changed])
            remarks.append(f"{many(count, 'label', 'labels')} had spaces or accents of another form, now gone: {names}")
        if not named:
            kinds = {name: "" if stripped.lower() == "nan" else stripped for name, stripped in kinds.items()}
            if all(re.fullmatch(r"(-?[0-9]+(\.0*)?)?", name) for name in kinds.values()):
                kinds = {name: stripped.partition(".")[0] for name, stripped in kinds.items()}
        table = table.assign(**{key: before.map(kinds)})
    if "true_label" in table and (absent := int((table["true_label"] == "").sum())):
        table = table.drop(columns="true_label")
        if absent < len(table):
            remarks.append(f"true labels are missing in {absent:,} of {len(table):,} rows, and are not used")
    labels = set(table["label"].unique())
    joined = [label for label in labels if labels >= set(map(cleaned, re.split("[|;,]", label))) - {label} > set()]
    if joined and not named:
        count = int(table["label"].isin(joined).sum())
        written = some([f"'{label}'" for label in sorted(joined)])
        remarks.append(f"{many(count, 'label', 'labels')} may name several classes, and are read as one: {written}")
    alike: dict[str, list[str]] = {}
    for name in table["label"].unique():
        alike.setdefault(name.lower(), []).append(name)
    for group in (group for group in alike.values() if len(group) > 1):
        remarks.append(f"{' and '.join(group)} are different classes, by their case alone")
    return table, remarks


def class_names(table: pd.DataFrame, only_test: bool = False) -> list[str]:
    """The labels that there are for training, numbers in their order, names by the alphabet; or all, ``only_test``.

    Raises:
        UserError: if there is one alone, or another only among the samples that are not for training.
    """
    if not len(table):
        raise UserError("no sample can be used.")
    if only_test:
        table = table.assign(split="train")
    trained = table[table["split"] == "train"] if "split" in table else table
    if not len(trained):
        raise UserError("no sample is for training: the splits of the data are val and test alone.")
    used = pd.concat([trained[key] for key in LABELS if key in table])
    names = set(used.unique()) - {""}
    if len(names) < 2 and not only_test:
        raise UserError(f"there is one class alone ({some(sorted(names))}): a classifier needs two.")
    for key in [key for key in LABELS if key in table and "split" in table]:
        others = table[(table["split"] != "train") & ~table[key].isin({"", *names})]
        if len(others):
            row = others.iloc[0]
            raise UserError(
                f"{row['split']} has the class '{row[key]}' ({len(others):,} samples, such as {row['name']}), "
                "which training has not: move samples of it to training, or leave it out."
            )
    return sorted(names, key=lambda name: (0, int(name), name) if re.fullmatch(r"-?[0-9]+", name) else (1, 0, name))


def _without(table: pd.DataFrame, reasons: Sequence[str], skipped: list[tuple[str, str]]) -> pd.DataFrame:
    """The samples that no reason speaks against; the others go to ``skipped``."""
    skipped += [(name, reason) for name, reason in zip(table["name"], reasons, strict=True) if reason]
    return table[[not reason for reason in reasons]]


def _unusable(row: Mapping[Hashable, Any], named: bool) -> str:
    """Why a sample cannot be used, whatever the classes are; empty if it can."""
    try:
        str(row["name"]).encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8: rename it"
    if not row["label"]:
        return "it has no label"
    return "" if named else no_single_label(row)


def _no_class(row: Mapping[Hashable, Any], numbers: Mapping[str, int], classes: Sequence[str]) -> str:
    """Why a sample cannot be used with these classes; empty if it can."""
    for key in LABELS:
        if key in row and row[key] not in numbers:
            return f"its {key.replace('_', ' ')} {no_class(row[key], classes)}"
    return ""


def divide(table: pd.DataFrame, fraction: float) -> tuple[pd.DataFrame, list[str]]:
    """Every sample gets its split, those for testing last. Where none is for testing, some are held out.

    Trusted samples are not held out, nor is the only one of its class. Of copies, all are or none.
    """
    if "split" not in table:
        table = table.assign(split="train")
    if (table["split"] == "test").any() or not fraction:
        return table.sort_values("split", key=lambda split: split == "test", kind="stable"), []
    trusted = table["trusted"] if "trusted" in table else pd.Series(False, index=table.index)
    is_free = (table["split"] == "train") & ~trusted
    free = table[is_free & ~table["picture"].isin(table["picture"][~is_free])]
    free = free[not_alone(free["label"].to_numpy(np.int64), free["picture"].to_numpy())]
    count = round(fraction * len(free))
    labels, pictures = free["label"].to_numpy(np.int64), free["picture"].to_numpy(np.int64)
    chosen = choose_pictures(labels, pictures, count, np.random.default_rng(0))
    if not len(chosen):
        raise UserError(
            f"{len(free)} of {len(table)} samples are too few to hold out some for testing; the others are trusted, "
            f"the only picture of their class, or copies of such.\n"
            f"data.test_fraction=0 (it is {fraction}) does without a test set."
        )
    table = table.assign(split=table["split"].mask(table.index.isin(free.index[chosen]), "test"))
    line = f"no sample is said to be for testing: {len(chosen):,} of {len(table):,} are held out, by their given labels"
    return table.sort_values("split", key=lambda split: split == "test", kind="stable"), [line]


def about_classes(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Remarks on classes that have too few samples."""
    counts = np.bincount(table.loc[table["split"] != "test", "label"], minlength=len(classes))
    remarks = []
    if none := [classes[label] for label in np.flatnonzero(counts == 0).tolist()]:
        remarks.append(f"{many(len(none), 'class has', 'classes have')} no training sample: {some(none)}")
    if single := [classes[label] for label in np.flatnonzero(counts == 1).tolist()]:
        line = f"{many(len(single), 'class has', 'classes have')} a single training sample: none to validate or test on"
        remarks.append(details(f"{line}: {some(single)}", single))
    return remarks


def about_trust(table: pd.DataFrame) -> list[str]:
    """Remarks on samples that are trusted, though their true label is another."""
    if not {"trusted", "true_label"} <= set(table):
        return []
    wrong = table.loc[table["trusted"] & (table["split"] != "test") & (table["label"] != table["true_label"]), "name"]
    said = many(len(wrong), "sample is", "samples are")
    line = f"{said} trusted with a label that is not the true one: {some(wrong.tolist())}"
    return [details(line, wrong.tolist())] if len(wrong) else []


def about_copies(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Remarks on pictures that are there twice: with different labels, in training and test, and for no reason."""
    several = table[table.duplicated("picture", keep=False)]
    differ, leaked = [], []
    for _, group in several.groupby("picture"):
        rows = zip(group["name"], group["label"], strict=True)
        same = " = ".join(f"{name} ({classes[label]})" for name, label in rows)
        if group["label"].nunique() > 1:
            differ.append(same)
        if (group["split"] == "test").nunique() > 1:
            leaked.append(same)
    copies = len(several) - several["picture"].nunique()
    remarks = []
    for groups, where in ((differ, "there again with another label"), (leaked, "in training and in test")):
        if groups:
            line = f"{many(len(groups), 'picture is', 'pictures are')} {where}: {some(groups, 1)}"
            remarks.append(details(line, groups))
    if copies:
        said = many(copies, "picture is a copy", "pictures are copies")
        told = "where the data does not say, copies are all in one split, and in one fold"
        remarks.append(f"{said} of another, byte by byte: {told}")
    return remarks
