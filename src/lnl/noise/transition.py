"""Transition matrices ``T[i, j]``, the probability that a sample of true class i is labelled j, and draws from them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from lnl.labels import Integers, Matrix
from lnl.labels.classes import class_numbers, no_class
from lnl.labels.labels import apportion, check_labels

ClassMap = Mapping[str | int, str | int] | str | None

CIFAR100_SUPERCLASSES = """
beaver dolphin otter seal whale | aquarium_fish flatfish ray shark trout | orchid poppy rose sunflower tulip
bottle bowl can cup plate | apple mushroom orange pear sweet_pepper | clock keyboard lamp telephone television
bed chair couch table wardrobe | bee beetle butterfly caterpillar cockroach | bear leopard lion tiger wolf
bridge castle house road skyscraper | cloud forest mountain plain sea | camel cattle chimpanzee elephant kangaroo
fox porcupine possum raccoon skunk | crab lobster snail spider worm | baby boy girl man woman
crocodile dinosaur lizard snake turtle | hamster mouse rabbit shrew squirrel
maple_tree oak_tree palm_tree pine_tree willow_tree | bicycle bus motorcycle pickup_truck train
lawn_mower rocket streetcar tank tractor
"""


def check_rate(rate: float) -> float:
    if not 0 <= rate <= 1:
        raise ValueError(f"noise.rate must be between 0 and 1, got {rate}")
    return float(rate)


def symmetric(num_classes: int, rate: float) -> Matrix:
    """Symmetric noise, exclusive: a wrong label is any other class; ``1 - r`` on the diagonal, ``r / (K - 1)`` off it.

    The share of wrong labels is ``rate``. Used by APL, SCE and Co-teaching; the other convention is :func:`uniform`.
    """
    off_diagonal = check_rate(rate) / (num_classes - 1)
    return np.full((num_classes, num_classes), off_diagonal) + (1 - rate - off_diagonal) * np.eye(num_classes)


def uniform(num_classes: int, rate: float) -> Matrix:
    """Uniform noise, inclusive: a redrawn label may be the true one again, ``(1 - r) I + r / K``.

    The share of wrong labels is ``rate * (K - 1) / K``: "90 %" on ten classes is 81 %. Used by DivideMix, ELR and
    arXiv:1611.03530.
    """
    return (1 - check_rate(rate)) * np.eye(num_classes) + np.full((num_classes, num_classes), rate / num_classes)


def pairflip(num_classes: int, rate: float) -> Matrix:
    """Pair flipping: class i becomes ``i + 1 mod K`` with probability ``rate`` (Co-teaching, arXiv:1804.06872)."""
    return asymmetric({i: (i + 1) % num_classes for i in range(num_classes)}, num_classes, rate)


def asymmetric(mapping: Mapping[int, int], num_classes: int, rate: float) -> Matrix:
    """Class-dependent noise: class i becomes ``mapping[i]`` with probability ``rate``; unmapped classes stay.

    Raises:
        ValueError: if ``mapping`` names a class outside ``[0, num_classes)``, or ``rate`` is outside [0, 1].
    """
    check_rate(rate)
    if outside := {*mapping, *mapping.values()} - set(range(num_classes)):
        raise ValueError(f"the noise map names class {min(outside)}, but classes go from 0 to {num_classes - 1}")
    matrix = np.eye(num_classes)
    for source, target in mapping.items():
        matrix[source, source] -= rate
        matrix[source, target] += rate
    return matrix


def class_index(name: str | int, classes: Sequence[str]) -> int:
    """The number of a class given by name or number; ValueError if there is no such class."""
    number = class_numbers([str(name)], classes).get(str(name))
    if number is None:
        raise ValueError(f"noise.mapping: {no_class(str(name), classes)}")
    return number


def resolve(mapping: ClassMap, classes: Sequence[str], seed: int) -> dict[int, int]:
    """Which class number is mistaken for which.

    Args:
        mapping: names or numbers ``{from: to}``; ``blocks``: the next of five consecutive classes, circular, as the
            literature does on CIFAR-100; ``superclass``: the next class of the same CIFAR-100 superclass, circular;
            ``random`` or null: each class goes to one other class, drawn with ``seed``.
        classes: names.
        seed: of ``random``.

    Raises:
        ValueError: for an unknown class, or a kind of map that does not fit the number of classes.
    """
    if mapping is None or mapping == "random":
        steps = np.random.default_rng([seed, 0xC1A55]).integers(1, len(classes), size=len(classes))
        return {i: int((i + step) % len(classes)) for i, step in enumerate(steps)}
    if mapping == "blocks":
        if len(classes) % 5:
            raise ValueError(f"noise.mapping=blocks needs a number of classes divisible by 5, got {len(classes)}")
        return {i: i // 5 * 5 + (i + 1) % 5 for i in range(len(classes))}
    if mapping == "superclass":
        names = [group.split() for group in CIFAR100_SUPERCLASSES.strip().replace("\n", "|").split("|")]
        groups = [[class_index(name, classes) for name in group] for group in names]
        return {source: target for group in groups for source, target in zip(group, group[1:] + group[:1], strict=True)}
    if isinstance(mapping, str):
        raise ValueError(f"noise.mapping must be a map of classes, blocks, superclass or random, got '{mapping}'")
    return {class_index(source, classes): class_index(target, classes) for source, target in mapping.items()}


def corrupt(labels: ArrayLike, T: ArrayLike, seed: int, exact: bool = False) -> Integers:
    """Noisy labels, drawn from clean ``labels`` by the row-stochastic matrix ``T``, each once from its clean value.

    Args:
        labels: clean labels, integers in ``[0, K)`` of any shape.
        T: ``[K, K]``, ``T[i, j] = P(noisy j | clean i)``.
        seed: of the draw.
        exact: if false, each sample is drawn independently. If true, exactly ``round((1 - T[i, i]) * n_i)`` of the
            ``n_i`` samples of class i change, shared among the other classes in proportion to ``T[i]``.

    Returns:
        int64 array of the shape of ``labels``.

    Raises:
        ValueError: if a label lies outside ``[0, K)`` or ``T`` is not row-stochastic.
    """
    clean, matrix = np.asarray(labels), np.asarray(T, dtype=np.float64)
    num_classes = len(matrix)
    if matrix.shape != (num_classes, num_classes) or (matrix < -1e-12).any() or not np.allclose(matrix.sum(axis=1), 1):
        raise ValueError(f"T must be square with rows that are probabilities, got shape {matrix.shape}")
    check_labels(clean, num_classes)
    flat = clean.astype(np.int64).ravel()
    rng = np.random.default_rng(seed)
    if not exact:
        return draw_rows(matrix[flat], rng).reshape(clean.shape)
    noisy = flat.copy()
    for label, row in enumerate(matrix):
        members = rng.permutation(np.flatnonzero(flat == label))
        targets = np.delete(np.arange(num_classes), label)
        counts = apportion(row[targets], len(members), rng)
        noisy[members[: counts.sum()]] = np.repeat(targets, counts)
    return noisy.reshape(clean.shape)


def draw_rows(probabilities: Matrix, rng: np.random.Generator) -> Integers:
    """One class per row of ``probabilities[N, K]``, each drawn independently."""
    cumulative = probabilities.cumsum(axis=1)
    threshold = rng.random((len(probabilities), 1)) * cumulative[:, -1:]
    return (threshold >= cumulative).sum(axis=1, dtype=np.int64)
