"""The labels of a training set, the record of the noise in them, and stratified draws."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]  # labels, or numbers of samples
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class NoiseRecord:
    """The noise in labels.

    Attributes:
        labels: ``[N]`` in ``[0, K)``, noisy: before training sees the right labels of trusted samples.
        truth: ``[N]``, true labels; of noise added to doubtful labels, the labels before it; None if not known. For
            metrics only.
        transition: ``[K, K]``, the matrix of the draw (its mean over each class, for instance noise), or counted shares
            of labels that were not drawn; None if the truth is not known.
        kind, convention: e.g. ``symmetric``, ``exclusive``.
        rate, seed, exact: of the draw; rate is None of labels that were read.
    """

    labels: Integers
    truth: Integers | None
    transition: Matrix | None
    kind: str
    convention: str
    rate: float | None = None
    seed: int = 0
    exact: bool = False

    @property
    def sha256(self) -> str:
        """Hash of the noisy labels as little-endian int64: runs with the same hash saw the same wrong labels."""
        return hashlib.sha256(self.labels.astype("<i8").tobytes()).hexdigest()

    def actual_rate(self, index: Integers | None = None) -> float | None:
        """The share of wrong labels, in all or at ``index``; None if the truth is not known."""
        if self.truth is None:
            return None
        wrong = (self.labels != self.truth)[slice(None) if index is None else index]
        return float(wrong.mean()) if wrong.size else 0.0

    @property
    def expected_rate(self) -> float | None:
        """The mean share of labels that the transition matrix makes wrong; None if it is not known."""
        if self.truth is None or self.transition is None:
            return None
        return round(float(1 - self.transition.diagonal()[self.truth].mean()), 6)  # 0.2, not 0.20000000000000004

    def describe(self) -> dict[str, Any]:
        """The noise in ``result.json``."""
        named = {name: getattr(self, name) for name in ("kind", "convention", "rate", "seed", "exact")}
        return {**named, "actual_rate": self.actual_rate(), "sha256": self.sha256}

    def save(self, path: Path) -> None:
        """Writes ``noisy_labels`` and, if known, ``transition_matrix`` and ``clean_labels`` to an ``.npz``."""
        arrays = {"noisy_labels": self.labels, "transition_matrix": self.transition, "clean_labels": self.truth}
        known: dict[str, Any] = {name: array for name, array in arrays.items() if array is not None}
        np.savez_compressed(path, **known)


def empirical_transition(truth: Integers, labels: Integers, num_classes: int, smoothing: float = 0.0) -> Matrix:
    """``T[i, j]``, the share of samples of true class i that are labelled j; identity rows for absent classes.

    ``smoothing`` is added to every count, so that an unseen pair is not impossible.
    """
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (truth, labels), 1)
    counts += smoothing
    absent = counts.sum(axis=1) == 0
    counts[absent, absent] = 1
    return counts / counts.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Trusted:
    """Sorted sample numbers ``index[n]`` in the training set, and their right ``labels[n]``."""

    index: Integers = field(default_factory=lambda: np.arange(0))
    labels: Integers = field(default_factory=lambda: np.arange(0))

    def __len__(self) -> int:
        return len(self.index)

    def among(self, index: Integers) -> "Trusted":
        """The trusted samples among ``index``."""
        chosen = np.isin(self.index, index)
        return Trusted(self.index[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Labels:
    """The labels of a training set of N samples in K classes.

    Attributes:
        given: ``[N]`` in ``[0, K)``, the labels that training sees.
        classes: K names, in label order.
        truth: ``[N]``, the true labels, for metrics only (see :attr:`NoiseRecord.truth`); None if not known.
        trusted: samples whose right label is known to training.
        names: of the samples, such as the file, ``sample 17`` of arrays, ``train/17`` of a Hugging Face split; None for
            benchmarks.
        noise: the record of the noise in ``given``; None for the true labels of a benchmark.
    """

    given: Integers
    classes: Sequence[str]
    truth: Integers | None = None
    trusted: Trusted = Trusted()
    names: Sequence[str] | None = None
    noise: NoiseRecord | None = None

    @classmethod
    def true(cls, labels: Integers, classes: Sequence[str]) -> Self:
        """The labels of a benchmark, taken to be right."""
        return cls(labels, classes, labels)

    @classmethod
    def doubtful(
        cls, given: Integers, classes: Sequence[str], truth: Integers | None = None, names: Sequence[str] | None = None
    ) -> Self:
        """Labels of which some may be wrong."""
        matrix = None if truth is None else empirical_transition(truth, given, len(classes))
        record = NoiseRecord(given, truth, matrix, "given", "labels as they were given")
        return cls(given, classes, truth, names=names, noise=record)

    def __len__(self) -> int:
        return len(self.given)

    def trusting(self) -> Self:
        """The labels with the right ones for trusted samples."""
        given = self.given.copy()
        given[self.trusted.index] = self.trusted.labels
        return replace(self, given=given)


def check_labels(labels: NDArray[Any], num_classes: int) -> None:
    """Raises ValueError unless labels are whole numbers in ``[0, num_classes)``."""
    if not np.array_equal(labels, labels.astype(np.int64)):
        raise ValueError("labels must be whole numbers")
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(f"labels must be in 0..{num_classes - 1}, got {labels.min()}..{labels.max()}")


def round_half_up(value: float) -> int:
    """The nearest whole number, halves upwards, with a tolerance of 1e-9."""
    return int(np.floor(value + 0.5 + 1e-9))


def apportion(shares: NDArray[np.float64], total: int, rng: np.random.Generator) -> Integers:
    """Whole counts that add up to ``round(shares.sum() * total)``, by largest remainder; ties in random order."""
    ideal = shares * total
    counts = np.floor(ideal + 1e-9).astype(np.int64)
    missing = round_half_up(ideal.sum()) - int(counts.sum())
    order = np.lexsort((rng.random(len(shares)), -(ideal - counts).round(9)))
    counts[order[:missing]] += 1
    return counts


def stratified_choice(labels: Integers, count: int, rng: np.random.Generator) -> Integers:
    """Sorted places of ``count`` samples in which every class keeps its share to within one sample."""
    if count == 0:
        return np.arange(0)
    classes, sizes = np.unique(labels, return_counts=True)
    counts = apportion(sizes / len(labels), count, rng)
    members = (rng.permutation(np.flatnonzero(labels == label)) for label in classes)
    return np.sort(np.concatenate([some[:wanted] for some, wanted in zip(members, counts, strict=True)]))
