"""Which sample is for what."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lnl.datasets.copies import choose_pictures, deal_pictures, not_alone
from lnl.datasets.images import check_choice
from lnl.errors import UserError
from lnl.labels import Integers as Index
from lnl.labels import Labels, Trusted
from lnl.labels.choice import stratified_choice

Split = Literal["train", "val", "test", "trusted_test"]

NONE: Index = np.arange(0)


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """How samples are divided.

    Args:
        val_fraction: share of the training set that is held out, at random, to choose the epoch by noisy labels.
        split_seed: seeds that split and the limits below.
        subset, val_subset, test_subset: keep this many samples of each split, null for all. ``subset`` counts trusted
            samples and keeps all of them; with ``folds``, it limits what is cut into folds, and they come on top.
        subset_mode: ``stratified`` by true class (as one would build a smaller dataset), or ``first``.
        trusted: samples whose label is known to be right (:func:`lnl.labels.trusted.with_trusted`).
        trusted_test: hold so many of them out, as a second test split ``trusted_test``.
        folds, fold: validate on the fold-th (from 1) of so many equal parts in place of ``val_fraction``.

    Raises:
        ValueError: for values that cannot be.
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
            raise ValueError(
                "data.val_subset has no meaning with data.folds: data.subset limits what is cut into folds"
            )
        if type(self.trusted_test) is not int:
            raise ValueError(f"data.trusted_test must be a number of samples, got {self.trusted_test}")

    def __call__(
        self, labels: Labels, test_labels: Index, val: Index | None = None, pictures: Index | None = None
    ) -> dict[Split, Index]:
        """Sorted sample numbers of each split, in the training set or the test set.

        Every class keeps its share under a limit. Of doubtful labels, every class has its share in each fold; without
        folds, unless ``val`` says what is for validation, its share there, and one with a single sample none. Copies of
        a picture are not divided: what is validated on is not trained on under another name, not even where that is
        trusted.

        Args:
            labels: of the training set, before noise. Where nothing is for training, ``test`` is the only split.
                Trusted samples are never validated on, because validation is to be as noisy as the rest; those that are
                not held out in ``trusted_test`` are trained on.
            test_labels: of the test set.
            val, pictures: as of :class:`~lnl.datasets.source.Dataset`.
        """
        given, trusted, doubted = labels.given, labels.trusted, labels.noise is not None
        if not len(given):
            return {"test": self.limited("test", np.arange(len(test_labels)), test_labels)}
        order = np.random.default_rng(self.split_seed).permutation(len(given))
        doubtful = order[~np.isin(order, trusted.index)]
        pictures = np.arange(len(given)) if pictures is None else pictures
        tested = self._trusted_test(trusted, pictures[doubtful], pictures[trusted.index])
        kept = np.setdiff1d(trusted.index, tested)
        if self.folds:  # a limit is on what is cut into folds, so that each of it is in one
            doubtful = doubtful[np.isin(doubtful, self.limited("train", np.sort(doubtful), given))]
            held_out = self._fold(doubtful, given, pictures if doubted else None)
            kept = kept[~np.isin(pictures[kept], pictures[held_out])] if doubted else kept
        elif doubted:
            held_out = self._doubtful_val(np.sort(doubtful), given, val, pictures, kept)
        else:
            held_out = doubtful[: round(self.val_fraction * len(doubtful))]
        train = np.sort(np.concatenate([np.setdiff1d(doubtful, held_out), kept]))
        parts: dict[Split, Index] = {"train": train, "val": np.sort(held_out)}
        if not doubted or len(test_labels):  # of a user's own samples, all may be for training
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
        """The part of ``doubtful`` that is validated on; where copies count, by ``pictures``."""
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
        """Trusted samples to test on, of the given ``pictures``, but for those that are ``doubtful`` too."""
        if not 0 <= self.trusted_test <= len(trusted):
            raise UserError(
                f"data.trusted_test must be between 0 and the {len(trusted)} trusted samples, got {self.trusted_test}"
            )
        free = np.flatnonzero(~np.isin(pictures, doubtful))
        if self.trusted_test > len(free):
            raise UserError(
                f"data.trusted_test={self.trusted_test}, but {len(trusted) - len(free)} of {len(trusted)} trusted "
                f"samples have copies that are not trusted: {len(free)} can be held out."
            )
        rng = np.random.default_rng([self.split_seed, *b"trusted_test"])
        return trusted.index[free[choose_pictures(trusted.labels[free], pictures[free], self.trusted_test, rng)]]

    def limited(self, split: Split, index: Index, truth: Index, kept: Index = NONE) -> Index:
        """As many of the samples ``index`` as the limit allows; those to be ``kept`` (trusted ones) are among them."""
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
    """Raises ValueError unless ``data.folds`` is None or a number that can be."""
    if folds is not None and (type(folds) is not int or folds < 2):
        raise ValueError(f"data.folds must be a number of at least 2, got {folds}")
