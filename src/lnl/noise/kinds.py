"""The kinds of label noise, each an option of ``conf/noise``."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lnl.labels import Integers, Labels, Matrix, NoiseRecord, empirical_transition
from lnl.noise import transition
from lnl.noise.transition import ClassMap


class LabelNoise(ABC):
    """Adds noise to labels, and a record of it.

    Args:
        rate: share of labels to change, in [0, 1]; the kind's convention defines "change".
        seed: of the draw, independent of the training seed.
        exact: exact counts per class instead of independent draws (:func:`lnl.noise.transition.corrupt`).

    Attributes:
        drawn: false if the labels are read: differences from the given labels are then not added noise.
        reads_files: parameters that name files, whose content but not place is part of a run's identity.
        uses_images: true if the draw reads the images, which must then be in memory.
    """

    kind: ClassVar[str]
    convention: ClassVar[str]
    drawn: ClassVar[bool] = True
    reads_files: ClassVar[tuple[str, ...]] = ("path",)
    uses_images: ClassVar[bool] = False

    def __init__(self, rate: float = 0.0, seed: int = 0, exact: bool = False) -> None:
        self.rate, self.seed, self.exact = transition.check_rate(rate), seed, exact

    def __call__(self, labels: Labels, images: Any, data_dir: Path = Path("data")) -> Labels:
        """New labels, with noise added to the given ones.

        Args:
            labels: of the training set, right or not.
            images: uint8 ``[N, H, W, C]``, for noise that ``uses_images``.
            data_dir: folder of datasets, where a noise may look for its file.
        """
        noisy, matrix = self.draw(labels, images)
        return self.recorded(labels, noisy, matrix)

    @abstractmethod
    def draw(self, labels: Labels, images: Any) -> tuple[Integers, Matrix | None]:
        """Noisy labels ``[N]`` and the transition matrix ``[K, K]`` of the draw; None if they were read from a file."""

    def recorded(self, labels: Labels, noisy: Integers, matrix: Matrix | None, convention: str | None = None) -> Labels:
        """The ``labels`` with ``noisy`` ones instead of the given ones, and their record."""
        truth, rate = labels.truth, None if matrix is None else self.rate
        if truth is None:  # drawn noise is compared with the labels that it was added to
            truth, matrix = (labels.given, matrix) if self.drawn else (None, None)
        elif labels.noise is not None or matrix is None:
            matrix = empirical_transition(truth, noisy, len(labels.classes))
        convention = convention or self.convention
        record = NoiseRecord(noisy, truth, matrix, self.kind, convention, rate, self.seed, self.exact)
        return replace(labels, given=noisy, truth=truth, noise=record)


class ClassConditionalNoise(LabelNoise):
    """Noise that depends only on the true class, by a transition matrix.

    Attributes:
        form: makes the matrix from the number of classes and the rate, unless :meth:`matrix` is overridden.
    """

    form: ClassVar[Callable[[int, float], Matrix]]

    def draw(self, labels: Labels, images: Any) -> tuple[Integers, Matrix]:
        matrix = self.matrix(labels.classes)
        return transition.corrupt(labels.given, matrix, self.seed, self.exact), matrix

    def matrix(self, classes: Sequence[str]) -> Matrix:
        """``T[K, K]`` for these classes."""
        return type(self).form(len(classes), self.rate)


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
    """A share ``rate`` of labels becomes any other class (:func:`lnl.noise.transition.symmetric`)."""

    kind, convention = "symmetric", "exclusive of the true class"
    form = transition.symmetric


class UniformNoise(ClassConditionalNoise):
    """A share ``rate`` of labels is redrawn from all classes (:func:`lnl.noise.transition.uniform`)."""

    kind, convention = "uniform", "inclusive of the true class"
    form = transition.uniform


class PairflipNoise(ClassConditionalNoise):
    """A share ``rate`` of each class becomes the next class (:func:`lnl.noise.transition.pairflip`)."""

    kind, convention = "pairflip", "i -> i + 1 mod K"
    form = transition.pairflip


class AsymmetricNoise(ClassConditionalNoise):
    """A share ``rate`` of each mapped class becomes another one (:func:`lnl.noise.transition.asymmetric`).

    Args:
        mapping: see :func:`lnl.noise.transition.resolve`. Datasets have a customary map.
        rate, seed, exact: see :class:`LabelNoise`. Above 0.5, classes that map to each other change places.
    """

    kind, convention = "asymmetric", "class map"

    def __init__(self, mapping: ClassMap = None, rate: float = 0.0, seed: int = 0, exact: bool = False) -> None:
        super().__init__(rate, seed, exact)
        self.mapping = mapping

    def matrix(self, classes: Sequence[str]) -> Matrix:
        return transition.asymmetric(transition.resolve(self.mapping, classes, self.seed), len(classes), self.rate)
