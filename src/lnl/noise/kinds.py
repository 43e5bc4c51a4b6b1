"""The kinds of label noise, each an option of ``conf/noise``."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import truncnorm

from lnl.labels import Integers, Labels, Matrix, NoiseRecord, empirical_transition
from lnl.labels.labels import check_labels, round_half_up
from lnl.noise import transition
from lnl.noise.transition import ClassMap

RATE_DEVIATION = 0.1  # of the flip rates of InstanceNoise


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
        """The labels of a training set, right or not, with noise added to the given ones.

        ``images`` are uint8 ``[N, H, W, C]``. A noise may look for its file in ``data_dir``.
        """
        noisy, matrix = self.draw(labels, images)
        return self.recorded(labels, noisy, matrix)

    @abstractmethod
    def draw(self, labels: Labels, images: Any) -> tuple[Integers, Matrix | None]:
        """Noisy labels ``[N]`` and the transition matrix ``[K, K]`` of the draw; None if they were read from a file."""

    def check(self, labels: Labels | None) -> None:  # noqa: B027, most kinds read no file
        """Raises ValueError or UserError if no part of ``labels`` can have the noise; None if they are not known."""

    def recorded(self, labels: Labels, noisy: Integers, matrix: Matrix | None, kind: str | None = None) -> Labels:
        """The ``labels`` with ``noisy`` ones instead of the given ones, and their record."""
        truth, rate = labels.truth, None if matrix is None else self.rate
        if truth is None:  # drawn noise is compared with the labels that it was added to
            truth, matrix = (labels.given, matrix) if self.drawn else (None, None)
        elif labels.noise is not None or matrix is None:
            matrix = empirical_transition(truth, noisy, len(labels.classes))
        record = NoiseRecord(noisy, truth, matrix, kind or self.kind, self.convention, rate, self.seed, self.exact)
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


class InstanceNoise(LabelNoise):
    r"""Part-dependent instance noise, PMD (arXiv:2006.07836, algorithm 2).

    Each sample has its own flip rate :math:`q_i \sim \mathcal N(r, 0.1^2)` truncated to [0, 1]; each class has a matrix
    :math:`W_y \in \mathbb R^{d \times K}` of standard normal entries; and
    :math:`P_i = q_i\,\mathrm{softmax}(x_i W_y \text{ without } y) + (1 - q_i)\,\mathrm{onehot}(y)`,
    where x are the pixels scaled to [0, 1].

    Args:
        rate: centre r of the flip rates, in [0, 1]. Truncation moves their mean inwards: at 0 about 8 % of labels are
            wrong, at 1 about 92 %. The record has the ``actual_rate``.
        seed: of rates, W and draw.
        exact: ``round(r n_c)`` samples of class c change, drawn without replacement in proportion to q; the recorded
            transition matrix is scaled to those counts.

    Raises:
        ValueError: if a label is outside ``[0, K)``.
    """

    kind, convention, uses_images = "instance", "PMD, exclusive of the true class", True

    def draw(self, labels: Labels, images: NDArray[np.uint8]) -> tuple[Integers, Matrix]:
        clean, num_classes = labels.given, len(labels.classes)
        check_labels(clean, num_classes)
        rng = np.random.default_rng(self.seed)
        bounds = (0 - self.rate) / RATE_DEVIATION, (1 - self.rate) / RATE_DEVIATION
        flip_rate = truncnorm.rvs(*bounds, loc=self.rate, scale=RATE_DEVIATION, size=len(clean), random_state=rng)
        changes = rng.random(len(clean)) < flip_rate
        pixels = images.reshape(len(images), -1)
        wrong_class = np.empty((len(clean), num_classes))
        matrix = np.eye(num_classes)
        for label in range(num_classes):
            members = np.flatnonzero(clean == label)
            weights = rng.standard_normal((pixels.shape[1], num_classes), dtype=np.float32)
            if not len(members):
                continue
            scores = (pixels[members].astype(np.float32) / 255) @ weights
            scores[:, label] = -np.inf
            wrong_class[members] = softmax(scores.astype(np.float64), axis=1)
            share = flip_rate[members]
            if self.exact:
                count = round_half_up(self.rate * len(members))
                changes[members] = np.isin(members, rng.choice(members, count, replace=False, p=share / share.sum()))
                share = share * count / share.sum()
            matrix[label] = (share[:, None] * wrong_class[members]).mean(axis=0)
            matrix[label, label] = 1 - matrix[label].sum()
        return np.where(changes, transition.draw_rows(wrong_class, rng), clean), matrix
