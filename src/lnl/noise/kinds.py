"""The kinds of label noise, each an option of ``conf/noise``."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lnl.labels import Integers, Labels, Matrix, NoiseRecord, empirical_transition
from lnl.noise import transition
from lnl.noise.corrupt import corrupt
from lnl.noise.maps import ClassMap, resolve


class LabelNoise(ABC):
    """Labels in, the same with noise and a record of what was done out.

    Args:
        rate: share of labels to change, in [0, 1]; what "change" means is the kind's convention.
        seed: of the draw, independent of the training seed.
        exact: exact counts per class in place of independent draws (see :func:`lnl.noise.corrupt`).

    Attributes:
        drawn: false if the labels are read, so that a difference from the labels before is no noise that was added.
        reads_files: its parameters that name a file whose content, not whose place, is part of a run's identity.
        uses_images: true if the draw reads the images, which then have to be in memory.
    """

    kind: ClassVar[str]
    convention: ClassVar[str]
    drawn: ClassVar[bool] = True
    reads_files: ClassVar[tuple[str, ...]] = ("path",)
    uses_images: ClassVar[bool] = False

    def __init__(self, rate: float = 0.0, seed: int = 0, exact: bool = False) -> None:
        self.rate, self.seed, self.exact = transition.check_rate(rate), seed, exact

    def __call__(self, labels: Labels, images: Any, data_dir: Path = Path("data")) -> Labels:
        """The labels with noise, by which no array of ``labels`` changes.

        Args:
            labels: of the training set; noise is added to ``given``, be they right or not.
            images: uint8 ``[N, H, W, C]``, for noise that ``uses_images``.
            data_dir: the folder of datasets, where a noise may look for its file.
        """
        noisy, matrix = self.draw(labels, images)
        return self.recorded(labels, noisy, matrix)

    @abstractmethod
    def draw(self, labels: Labels, images: Any) -> tuple[Integers, Matrix | None]:
        """Noisy labels ``[N]``, and the transition matrix ``[K, K]`` that they were drawn by.

        None in its place says that they were read, and that no rate was asked for.
        """

    def recorded(self, labels: Labels, noisy: Integers, matrix: Matrix | None, convention: str | None = None) -> Labels:
        """The ``labels`` with ``noisy`` ones in place of the given, and their record."""
        truth, rate = labels.truth, None if matrix is None else self.rate
        if truth is None:  # noise that is drawn is compared with the labels that it was added to
            truth, matrix = (labels.given, matrix) if self.drawn else (None, None)
        elif labels.noise is not None or matrix is None:
            matrix = empirical_transition(truth, noisy, len(labels.classes))
        convention = self.convention if convention is None else convention
        record = NoiseRecord(noisy, truth, matrix, self.kind, convention, rate, self.seed, self.exact)
        return replace(labels, given=noisy, truth=truth, noise=record)


class ClassConditionalNoise(LabelNoise):
    """Noise that depends only on the true class; a kind of it is a transition matrix."""

    def draw(self, labels: Labels, images: Any) -> tuple[Integers, Matrix]:
        matrix = self.matrix(labels.classes)
        return corrupt(labels.given, matrix, self.seed, self.exact), matrix

    @abstractmethod
    def matrix(self, classes: Sequence[str]) -> Matrix:
        """``T[K, K]`` for these classes."""


class NoNoise(ClassConditionalNoise):
    """Labels as they are."""

    kind, convention, drawn = "none", "labels as they are", False

    def __init__(self) -> None:
        super().__init__()

    def __call__(self, labels: Labels, images: Any, data_dir: Path = Path("data")) -> Labels:
        return super().__call__(labels, images, data_dir) if labels.noise is None else labels

    def matrix(self, classes: Sequence[str]) -> Matrix:
        return np.eye(len(classes))


class SymmetricNoise(ClassConditionalNoise):
    """A share ``rate`` of labels becomes any other class (:func:`lnl.noise.symmetric`)."""

    kind, convention = "symmetric", "exclusive of the true class"

    def matrix(self, classes: Sequence[str]) -> Matrix:
        return transition.symmetric(len(classes), self.rate)


class UniformNoise(ClassConditionalNoise):
    """A share ``rate`` of labels is redrawn from all classes (:func:`lnl.noise.uniform`)."""

    kind, convention = "uniform", "inclusive of the true class"

    def matrix(self, classes: Sequence[str]) -> Matrix:
        return transition.uniform(len(classes), self.rate)


class PairflipNoise(ClassConditionalNoise):
    """A share ``rate`` of each class becomes the next class (:func:`lnl.noise.pairflip`)."""

    kind, convention = "pairflip", "i -> i + 1 mod K"

    def matrix(self, classes: Sequence[str]) -> Matrix:
        return transition.pairflip(len(classes), self.rate)


class AsymmetricNoise(ClassConditionalNoise):
    """A share ``rate`` of each mapped class becomes the class it is mapped to (:func:`lnl.noise.asymmetric`).

    Args:
        mapping: ``{from: to}`` in names or numbers, ``blocks``, ``superclass``, or ``random``/null
            (:func:`lnl.noise.maps.resolve`). Datasets bring their customary map.
        rate, seed, exact: see :class:`LabelNoise`. Above 0.5, classes that map to each other have changed places.
    """

    kind, convention = "asymmetric", "class map"

    def __init__(self, mapping: ClassMap = None, rate: float = 0.0, seed: int = 0, exact: bool = False) -> None:
        super().__init__(rate, seed, exact)
        self.mapping = mapping

    def matrix(self, classes: Sequence[str]) -> Matrix:
        return transition.asymmetric(resolve(self.mapping, classes, self.seed), len(classes), self.rate)
