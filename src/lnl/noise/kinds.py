"""The kinds of label noise, each an option of ``conf/noise``."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lnl.noise import transition
from lnl.noise.corrupt import Labels, corrupt
from lnl.noise.maps import ClassMap, resolve
from lnl.noise.record import NoisyLabels
from lnl.noise.transition import Matrix


class LabelNoise(ABC):
    """Clean labels in, noisy labels and a record of what was done out.

    Args:
        rate: share of labels to change, in [0, 1]; what "change" means is the kind's convention.
        seed: of the draw, independent of the training seed.
        exact: exact counts per class in place of independent draws (see :func:`lnl.noise.corrupt`).

    Attributes:
        files: names of the samples, where they have names: whoever has the data sets them before the draw.
        data_dir: the folder of datasets, set likewise.
        drawn: false if the labels are somebody's, so that a difference from others is no noise that was added.
        reads_files: its parameters that name a file whose content, not whose place, is part of a run's identity.
        uses_images: true if the draw reads the images, which then have to be in memory.
    """

    kind: ClassVar[str]
    convention: ClassVar[str]
    drawn: ClassVar[bool] = True
    reads_files: ClassVar[tuple[str, ...]] = ("path",)
    uses_images: ClassVar[bool] = False
    files: Sequence[str] | None = None
    data_dir: Path = Path()

    def __init__(self, rate: float = 0.0, seed: int = 0, exact: bool = False) -> None:
        self.rate, self.seed, self.exact = transition.check_rate(rate), seed, exact

    def __call__(self, clean: Labels, images: NDArray[np.uint8], classes: Sequence[str]) -> NoisyLabels:
        """Draws the noisy labels of ``clean[N]``; ``images[N, H, W, C]`` matters to noise that ``uses_images``."""
        clean = clean.copy()  # the record's own
        noisy, matrix = self.draw(clean, images, classes)
        return NoisyLabels(noisy, clean, matrix, self.kind, self.convention, self.rate, self.seed, self.exact)

    @abstractmethod
    def draw(self, clean: Labels, images: NDArray[np.uint8], classes: Sequence[str]) -> tuple[Labels, Matrix]:
        """Noisy labels and the transition matrix they were drawn by."""


class ClassConditionalNoise(LabelNoise):
    """Noise that depends on the true class alone; a kind of it is a transition matrix."""

    def draw(self, clean: Labels, images: NDArray[np.uint8], classes: Sequence[str]) -> tuple[Labels, Matrix]:
        matrix = self.matrix(classes)
        return corrupt(clean, matrix, self.seed, self.exact), matrix

    @abstractmethod
    def matrix(self, classes: Sequence[str]) -> Matrix:
        """``T[K, K]`` for these classes."""


class NoNoise(ClassConditionalNoise):
    """Labels as they are."""

    kind, convention, drawn = "none", "labels as they are", False

    def __init__(self) -> None:
        super().__init__()

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
