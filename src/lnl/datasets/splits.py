"""Which samples are for training, validation and testing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lnl.datasets.copies import choose_pictures, deal_pictures, not_alone
from lnl.datasets.images import check_choice
from lnl.errors import UserError, many
from lnl.labels import Integers as Index
from lnl.labels import Labels, Trusted
from lnl.labels.labels import stratified_choice

Split = Literal["train", "val", "test", "trusted_test"]

NONE: Index = np.arange(0)


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """Divides the samples of a dataset into splits.

    Args:
        val_fraction: share of the training set, in (0, 1), held out at random to choose the epoch by noisy labels.
        split_seed: of that split and of the limits below.
        subset, val_subset, test_subset: number of samples of each split; null for all. ``subset`` includes all trusted
            samples; with ``folds``, it limits the samples that are cut into folds, and trusted ones are added.
        subset_mode: ``stratified`` by true class (as a smaller dataset would be built), or ``first``.
        trusted: samples whose label is known to be right (:func:`lnl.labels.files.with_trusted`).
        trusted_test: number of trusted samples held out as a second test split ``trusted_test``.
        folds, fold: validate on part ``fold`` (from 1) of ``folds`` equal parts instead of ``val_fraction``.
    """

    val_fraction: float = 0.2
    split_seed: int = 0
    subset: int | None = None
    val_subset: int | None = None
    test_subset: int | None = None
    subset_mode: Literal["stratified", "first"] = "stratified"
    trusted: int | str | None = None
    trusted_test: int = 0
    folds: int | None = None
    fold: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.val_fraction < 1:
            raise ValueError(f"data.val_fraction must be between 0 and 1, got {self.val_fraction}")
        check_choice("subset_mode", self.subset_mode, ("stratified", "first"))
        check_folds(self.folds)
        if self.fold is not None and not 1 <= self.fold <= (self.folds or 0):
            raise ValueError(f"data.fold must be in 1..data.folds ({self.folds}), got {self.fold}")
        if self.folds and self.val_subset is not None:
            raise ValueError("data.val_subset has no effect with data.folds: data.subset limits what is cut into folds")
        if type(self.trusted_test) is not int:
            raise ValueError(f"data.trusted_test must be a number of samples, got {self.trusted_test}")

    def __call__(
        self, labels: Labels, test_labels: Index, val: Index | None = None, pictures: Index | None = None
    ) -> dict[Split, Index]:
        """Sorted sample numbers of each split, in the training set or the test set.

        Limits keep the share of every class. Of doubtful labels, each fold, and validation unless ``val`` names its
        samples, gets a share of every class, except classes with a single sample. Copies of a picture stay together,
        also where some of them are trusted: no picture is in training and in validation.

        Args:
            labels: of the training set, before noise. If it is empty, ``test`` is the only split. Trusted samples are
                never validated on, because validation labels must be as noisy as the others; those not held out in
                ``trusted_test`` are trained on.
            test_labels: of the test set.
            val, pictures: see :class:`~lnl.datasets.source.Dataset`.
        """
        given, trusted, doubted = labels.given, labels.trusted, labels.noise is not None
        if not len(given):
            return {"test": self.limited("test", np.arange(len(test_labels)), test_labels)}
        order = np.random.default_rng(self.split_seed).permutation(len(given))
        doubtful = order[~np.isin(order, trusted.index)]
        pictures = np.arange(len(given)) if pictures is None else pictures
        tested = self._trusted_test(trusted, pictures[doubtful], pictures[trusted.index])
        kept = np.setdiff1d(trusted.index, tested)
        if self.folds:  # the limit comes first, so that each sample it leaves is in one fold
            doubtful = doubtful[np.isin(doubtful, self.limited("train", np.sort(doubtful), given))]
            held_out = self._fold(doubtful, given, pictures if doubted else None)
            kept = kept[~np.isin(pictures[kept], pictures[held_out])] if doubted else kept
        elif doubted:
            held_out = self._doubtful_val(np.sort(doubtful), given, val, pictures, kept)
        else:
            held_out = doubtful[: round(self.val_fraction * len(doubtful))]
        train = np.sort(np.concatenate([np.setdiff1d(doubtful, held_out), kept]))
        parts: dict[Split, Index] = {"train": train, "val": np.sort(held_out)}
        if not doubted or len(test_labels):  # user data may have no test set
            parts["test"] = np.arange(len(test_labels))
        for split, index in parts.items():
            if not (self.folds and split != "test"):
                classes = test_labels if split == "test" else given
                parts[split] = self.limited(split, index, classes, kept if split == "train" else NONE)
            if not len(parts[split]):
                cause = f"data.folds={self.folds}" if self.folds else f"data.val_fraction={self.val_fraction}"
                raise UserError(f"{cause} leaves no samples for {split}, of {len(doubtful)} that are not trusted")
        return {**parts, "trusted_test": tested} if len(tested) else parts

    def _fold(self, doubtful: Index, given: Index, pictures: Index | None) -> Index:
        """The samples of ``doubtful`` in this fold; with ``pictures``, copies stay together."""
        assert self.folds is not None
        number = (self.fold or 1) - 1
        if pictures is None:
            return np.array_split(doubtful, self.folds)[number]
        return doubtful[deal_pictures(given[doubtful], pictures[doubtful], self.folds) == number]

    def _doubtful_val(self, doubtful: Index, given: Index, val: Index | None, pictures: Index, kept: Index) -> Index:
        if val is not None:
            return np.intersect1d(doubtful, val)
        may = not_alone(given[doubtful], pictures[doubtful]) & ~np.isin(pictures[doubtful], pictures[kept])
        common, count = doubtful[may], round(self.val_fraction * len(doubtful))
        rng = np.random.default_rng([self.split_seed, *b"val"])
        return common[choose_pictures(given[common], pictures[common], min(count, len(common)), rng)]

    def _trusted_test(self, trusted: Trusted, doubtful: Index, pictures: Index) -> Index:
        """Trusted samples to test on, whose ``pictures`` are not among the ``doubtful`` ones."""
        free = np.flatnonzero(~np.isin(pictures, doubtful))
        if not 0 <= self.trusted_test <= len(trusted):
            raise UserError(
                f"data.trusted_test must be between 0 and the {len(trusted)} trusted samples, got {self.trusted_test}"
            )
        if self.trusted_test > len(free):
            raise UserError(
                f"data.trusted_test={self.trusted_test}, but {len(trusted) - len(free)} of {len(trusted)} trusted "
                f"samples have copies that are not trusted: {len(free)} can be held out."
            )
        rng = np.random.default_rng([self.split_seed, *b"trusted_test"])
        return trusted.index[free[choose_pictures(trusted.labels[free], pictures[free], self.trusted_test, rng)]]

    def limited(self, split: Split, index: Index, truth: Index, kept: Index = NONE) -> Index:
        """The samples ``index``, at most as many as the limit of the split, among them all ``kept`` ones."""
        limit = {"train": self.subset, "val": self.val_subset, "test": self.test_subset}.get(split)
        if limit is None:
            return index
        if not 0 < limit <= len(index):
            name = "data.subset" if split == "train" else f"data.{split}_subset"
            raise UserError(f"{name} must be between 1 and the {len(index)} samples there are, got {limit}")
        if limit < len(kept):
            raise UserError(
                f"data.subset={limit} has no room for the {len(kept)} trusted training samples: raise it, or "
                "trust fewer by data.trusted."
            )
        others, limit = np.setdiff1d(index, kept), limit - len(kept)
        rng = np.random.default_rng([self.split_seed, *split.encode()])
        chosen = slice(limit) if self.subset_mode == "first" else stratified_choice(truth[others], limit, rng)
        return np.union1d(kept, others[chosen])


def check_folds(folds: int | None) -> None:
    """Raises ValueError unless ``data.folds`` is None or a whole number of at least 2."""
    if folds is not None and (type(folds) is not int or folds < 2):
        raise ValueError(f"data.folds must be a number of at least 2, got {folds}")


def class_sizes(given: Index, pictures: Index | None, num_classes: int) -> Index:
    """``[K]``, the number of different pictures of each class."""
    pictures = np.arange(len(given)) if pictures is None else pictures
    return np.bincount(np.unique(np.stack([given, pictures]), axis=1)[0], minlength=num_classes)


def check_classes(sizes: Index, folds: int | None, classes: Sequence[str], own: Index | None = None) -> None:
    """Raises UserError unless there are two classes, and each has a sample for every fold, or two without folds.

    Args:
        sizes: of the classes among the samples that are cut into folds, as of :func:`class_sizes`.
        folds: their number; None if the label of a sample is judged by all others.
        classes: K names.
        own: of the whole training set, for data that has ``data.min_per_class``; else None.
    """
    if (sizes > 0).sum() < 2:
        these = many(sizes.sum(), "label has", "labels have")
        raise UserError(f"an audit needs labels of at least 2 classes; these {these} one")
    least = folds or 2
    small = np.flatnonzero((sizes > 0) & (sizes < least))
    if not len(small):
        return
    label = small[0]
    others = f" (and {many(len(small) - 1, 'more class', 'more classes')})" if len(small) > 1 else ""
    why = f"fewer than data.folds={folds}: every fold needs one" if folds else "no other of which judges its label"
    mend = "Leave the class out"
    if own is not None and (own[small] < least).all() and (own >= least).sum() > 1:
        mend = f"data.min_per_class={least} leaves such classes out"
    mend += "; or set fewer folds." if folds else "."
    twins = (name for name in classes if name != classes[label] and name.lower() == classes[label].lower())
    if twin := next(twins, None):
        mend = f"'{twin}' differs from it only by case: if they are one class, spell them alike. {mend}"
    raise UserError(
        f"the class '{classes[label]}'{others} has {sizes[label]:,} of {sizes.sum():,} pictures (copies count once), "
        f"{why}.\n{mend}"
    )
