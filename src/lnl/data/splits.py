"""Which sample is for what."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lnl.data.copies import choose_pictures, deal_pictures, not_alone
from lnl.data.images import Given, stratified_choice
from lnl.data.trusted import Trusted
from lnl.errors import UserError

Split = Literal["train", "val", "test", "trusted_test"]
Index = NDArray[np.int64]

NONE: Index = np.arange(0)


@dataclass(frozen=True)
class Splitting:
    """How samples are divided. The arguments are those of :class:`lnl.data.NoisyDataModule`.

    Raises:
        ValueError: for values that cannot be.
    """

    val_fraction: float
    seed: int
    limits: dict[Split, int | None]
    mode: Literal["stratified", "first"]
    trusted_test: int
    folds: int | None
    fold: int | None

    def __post_init__(self) -> None:
        if not 0 < self.val_fraction < 1:
            raise ValueError(f"data.val_fraction must be between 0 and 1, got {self.val_fraction}")
        if self.mode not in ("stratified", "first"):
            raise ValueError(f"data.subset_mode must be stratified or first, got '{self.mode}'")
        check_folds(self.folds)
        if self.fold is not None and not 1 <= self.fold <= (self.folds or 0):
            raise ValueError(f"data.fold must be in 1..data.folds ({self.folds}), got {self.fold}")
        if self.folds and self.limits.get("val") is not None:
            raise ValueError(
                "data.val_subset has no meaning with data.folds: data.subset limits what is cut into folds"
            )
        if type(self.trusted_test) is not int:
            raise ValueError(f"data.trusted_test must be a number of samples, got {self.trusted_test}")

    def __call__(
        self, truth: Index, test_truth: Index, trusted: Trusted, given: Given | None = None
    ) -> dict[Split, Index]:
        """Sorted sample numbers of each split, in the training set or the test set.

        Args:
            truth, test_truth: true labels, for keeping every class's share under a limit. Where nothing is for
                training, ``test`` is the only split.
            trusted: never validated on, because validation is to be as noisy as the rest. Those of them that are not
                held out in ``trusted_test`` are trained on.
            given: of labels that somebody gave (``truth`` are those). Every class has its share in each fold; without
                folds, unless it says what is for validation, its share there, and one with a single sample none.
                Copies of a picture are not divided: what is validated on is not trained on under another name, not
                even where that is trusted.
        """
        if not len(truth):
            return {"test": self.limited("test", np.arange(len(test_truth)), test_truth)}
        order = np.random.default_rng(self.seed).permutation(len(truth))
        doubtful = order[~np.isin(order, trusted.index)]
        pictures = np.arange(len(truth)) if given is None or given.pictures is None else given.pictures
        tested = self._trusted_test(trusted, pictures[doubtful], pictures[trusted.index])
        kept = np.setdiff1d(trusted.index, tested)
        if self.folds is None:
            count = round(self.val_fraction * len(doubtful))
            val = (
                doubtful[:count]
                if given is None
                else self._given_val(np.sort(doubtful), count, truth, given, pictures, kept)
            )
            train = np.setdiff1d(doubtful, val)
        else:  # a limit is on what is cut into folds, so that each of it is in one
            doubtful = doubtful[np.isin(doubtful, self.limited("train", np.sort(doubtful), truth))]
            if given is None:
                val = np.array_split(doubtful, self.folds)[(self.fold or 1) - 1]
            else:
                part = deal_pictures(truth[doubtful], pictures[doubtful], self.folds)
                val = doubtful[part == (self.fold or 1) - 1]
                kept = kept[~np.isin(pictures[kept], pictures[val])]
            train = np.setdiff1d(doubtful, val)
        parts: dict[Split, Index] = {"train": np.sort(np.concatenate([train, kept])), "val": np.sort(val)}
        if given is None or len(test_truth):  # of labels that somebody gave, all may be for training
            parts["test"] = np.arange(len(test_truth))
        for split, index in parts.items():
            if not (self.folds and split != "test"):
                labels = test_truth if split == "test" else truth
                parts[split] = self.limited(split, index, labels, kept if split == "train" else NONE)
            if not len(parts[split]):
                cause = f"data.folds={self.folds}" if self.folds else f"data.val_fraction={self.val_fraction}"
                raise UserError(f"{cause} leaves no samples for {split}, of {len(doubtful)} that are not trusted")
        return {**parts, "trusted_test": tested} if len(tested) else parts

    def _given_val(
        self, doubtful: Index, count: int, labels: Index, given: Given, pictures: Index, kept: Index
    ) -> Index:
        if given.val is not None:
            return np.intersect1d(doubtful, given.val)
        may = not_alone(labels[doubtful], pictures[doubtful]) & ~np.isin(pictures[doubtful], pictures[kept])
        common = doubtful[may]
        rng = np.random.default_rng([self.seed, *b"val"])
        return common[choose_pictures(labels[common], pictures[common], min(count, len(common)), rng)]

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
        rng = np.random.default_rng([self.seed, *b"trusted_test"])
        return trusted.index[free[choose_pictures(trusted.labels[free], pictures[free], self.trusted_test, rng)]]

    def limited(self, split: Split, index: Index, truth: Index, kept: Index = NONE) -> Index:
        """As many of the samples ``index`` as the limit allows; those to be ``kept`` (trusted ones) are among them."""
        limit = self.limits.get(split)
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
        rng = np.random.default_rng([self.seed, *split.encode()])
        chosen = slice(limit) if self.mode == "first" else stratified_choice(truth[others], limit, rng)
        return np.union1d(kept, others[chosen])


def check_folds(folds: int | None) -> None:
    """Raises ValueError unless ``data.folds`` is None or a number that can be."""
    if folds is not None and (type(folds) is not int or folds < 2):
        raise ValueError(f"data.folds must be a number of at least 2, got {folds}")
