"""Class maps for asymmetric noise: which class is mistaken for which."""

from collections.abc import Mapping, Sequence

import numpy as np

from lnl.labels.classes import class_numbers, no_class

ClassMap = Mapping[str | int, str | int] | str | None

_CIFAR100_SUPERCLASSES = """
beaver dolphin otter seal whale | aquarium_fish flatfish ray shark trout | orchid poppy rose sunflower tulip
bottle bowl can cup plate | apple mushroom orange pear sweet_pepper | clock keyboard lamp telephone television
bed chair couch table wardrobe | bee beetle butterfly caterpillar cockroach | bear leopard lion tiger wolf
bridge castle house road skyscraper | cloud forest mountain plain sea | camel cattle chimpanzee elephant kangaroo
fox porcupine possum raccoon skunk | crab lobster snail spider worm | baby boy girl man woman
crocodile dinosaur lizard snake turtle | hamster mouse rabbit shrew squirrel
maple_tree oak_tree palm_tree pine_tree willow_tree | bicycle bus motorcycle pickup_truck train
lawn_mower rocket streetcar tank tractor
"""
CIFAR100_SUPERCLASSES = [
    group.split() for line in _CIFAR100_SUPERCLASSES.split("\n") for group in line.split("|") if group.strip()
]


def class_index(name: str | int, classes: Sequence[str]) -> int:
    """The number of a class given by name or number.

    Raises:
        ValueError: if there is no such class.
    """
    number = class_numbers([str(name)], classes).get(str(name))
    if number is None:
        raise ValueError(f"noise.mapping: {no_class(str(name), classes)}")
    return number


def resolve(mapping: ClassMap, classes: Sequence[str], seed: int) -> dict[int, int]:
    """Class numbers from and to, for every way to give a map.

    Args:
        mapping: names or numbers ``{from: to}``; ``blocks``: the next of five consecutive classes, circular, as the
            literature does on CIFAR-100; ``superclass``: the next class of the same CIFAR-100 superclass, circular;
            ``random`` or null: each class goes to one other class, drawn by ``seed``.
        classes: the names of the classes.
        seed: used by ``random`` alone.

    Raises:
        ValueError: if the map names a class that is not there, or its kind does not fit the number of classes.
    """
    if mapping is None or mapping == "random":
        steps = np.random.default_rng([seed, 0xC1A55]).integers(1, len(classes), size=len(classes))
        return {i: int((i + step) % len(classes)) for i, step in enumerate(steps)}
    if mapping == "blocks":
        if len(classes) % 5:
            raise ValueError(f"noise.mapping=blocks needs a number of classes divisible by 5, got {len(classes)}")
        return {i: i // 5 * 5 + (i + 1) % 5 for i in range(len(classes))}
    if mapping == "superclass":
        groups = [[class_index(name, classes) for name in group] for group in CIFAR100_SUPERCLASSES]
        return {source: target for group in groups for source, target in zip(group, group[1:] + group[:1], strict=True)}
    if isinstance(mapping, str):
        raise ValueError(f"noise.mapping must be a map of classes, blocks, superclass or random, got '{mapping}'")
    return {class_index(source, classes): class_index(target, classes) for source, target in mapping.items()}
