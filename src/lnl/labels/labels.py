"""The labels of a training set."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from lnl.labels.record import Integers, NoiseRecord, empirical_transition


@dataclass(frozen=True)
class Trusted:
    """Sample numbers ``index[n]`` in the training set, sorted, and their right ``labels[n]``."""

    index: Integers = field(default_factory=lambda: np.arange(0))
    labels: Integers = field(default_factory=lambda: np.arange(0))

    def __len__(self) -> int:
        return len(self.index)

    def among(self, index: Integers) -> "Trusted":
        """Those that are at ``index``."""
        chosen = np.isin(self.index, index)
        return Trusted(self.index[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Labels:
    """The labels of a training set of N samples in K classes. Noise takes them and returns new ones.

    Attributes:
        given: ``[N]`` in ``[0, K)``, the labels that training sees.
        classes: K names, in the order of the labels.
        truth: ``[N]``, the true labels, for metrics only (as :attr:`NoiseRecord.truth`); None where they are not known.
        trusted: samples whose right label is known to training.
        names: of the samples: the file, or ``sample 17`` of arrays, ``train/17`` of a dataset's split; None of
            benchmark sets.
        noise: the record of the noise in ``given``; None of the true labels of a benchmark set.
    """

    given: Integers
    classes: Sequence[str]
    truth: Integers | None = None
    trusted: Trusted = Trusted()
    names: Sequence[str] | None = None
    noise: NoiseRecord | None = None

    @classmethod
    def true(cls, labels: Integers, classes: Sequence[str]) -> Self:
        """The labels of a benchmark set, which are taken to be right."""
        return cls(labels, classes, labels)

    @classmethod
    def doubtful(
        cls, given: Integers, classes: Sequence[str], truth: Integers | None = None, names: Sequence[str] | None = None
    ) -> Self:
        """Labels as they were given, of which some may be wrong."""
        matrix = None if truth is None else empirical_transition(truth, given, len(classes))
        record = NoiseRecord(given, truth, matrix, "given", "labels as they were given")
        return cls(given, classes, truth, names=names, noise=record)

    def __len__(self) -> int:
        return len(self.given)

    def trusting(self) -> Self:
        """The labels with those of trusted samples put right."""
        given = self.given.copy()
        given[self.trusted.index] = self.trusted.labels
        return replace(self, given=given)
