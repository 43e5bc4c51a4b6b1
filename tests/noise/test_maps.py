"""Class maps: those of the literature, and the mistakes a user can make in one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lnl.noise import AsymmetricNoise
from lnl.noise.transition import resolve
from tests.conftest import DATA_DIR, needs

CONF = Path(__file__).parents[2] / "conf/data"
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
# The superclass of each of them, as published with the dataset.
_COARSE = """
4 1 14 8 0 6 7 7 18 3 3 14 9 18 7 11 3 9 7 11 6 11 5 10 7 6 13 15 3 15 0 11 1 10 12 14 16 9 11 5 5 19 8 8 15 13 14 17 18
10 16 4 17 4 2 0 17 4 18 17 10 3 2 12 12 16 12 1 9 19 2 10 0 1 16 12 9 13 15 13 16 19 2 4 6 19 5 5 8 19 18 1 2 15 6 0 17
8 14 13
"""
CIFAR10, CIFAR100, DIGITS = _CIFAR10.split(), _CIFAR100.split(), list("0123456789")
COARSE = np.array(_COARSE.split(), dtype=int)


def stays_inside(mapping):
    return sum(COARSE[source] == COARSE[target] for source, target in mapping.items())


@pytest.mark.parametrize(
    ("option", "classes", "literature"),
    [
        ("cifar10", CIFAR10, {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}),
        ("mnist", DIGITS, {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}),
    ],
)
def test_the_configured_map_is_that_of_the_literature(option, classes, literature):
    configured = OmegaConf.load(CONF / f"{option}.yaml").class_map
    assert resolve(configured, classes, seed=0) == literature
    changed = np.argwhere(AsymmetricNoise(configured, rate=0.3).matrix(classes) == 0.3)
    assert dict(changed.tolist()) == literature


def test_cifar100_blocks_are_five_consecutive_classes_in_a_circle():
    mapping = resolve("blocks", CIFAR100, seed=0)
    assert mapping == {i: i + 1 if i % 5 < 4 else i - 4 for i in range(100)}
    assert stays_inside(mapping) == 6


def test_cifar100_superclass_moves_every_class_in_a_circle_inside_its_superclass():
    mapping = resolve("superclass", CIFAR100, seed=0)
    assert stays_inside(mapping) == 100
    for start in range(100):
        circle = [start]
        while mapping[circle[-1]] != start and len(circle) < 6:
            circle.append(mapping[circle[-1]])
        assert len(circle) == 5


@needs("cifar-n")
def test_superclasses_are_those_of_the_cifar100_labels():
    with np.load(DATA_DIR / "cifar-n/cifar100n.npz") as labels:
        np.testing.assert_array_equal(COARSE[labels["clean_label"]], labels["clean_coarse_label"])


@settings(max_examples=50)
@given(k=st.integers(2, 40), seed=st.integers(0, 2**32))
def test_a_random_map_sends_each_class_to_another_one(k, seed):
    mapping = resolve("random", [f"c{i}" for i in range(k)], seed)
    assert list(mapping) == list(range(k))
    assert all(0 <= target < k and target != source for source, target in mapping.items())


def test_a_random_map_depends_on_the_seed_alone():
    mapping = resolve("random", CIFAR10, seed=1)
    assert mapping == resolve(None, DIGITS, seed=1)
    for rate in (0.2, 0.7):
        changed = np.argwhere(np.isclose(AsymmetricNoise(rate=rate, seed=1).matrix(CIFAR10), rate))
        assert dict(changed.tolist()) == mapping
    others = [resolve("random", CIFAR10, seed) for seed in range(2, 300)]
    assert mapping not in others
    for source in range(10):
        assert {other[source] for other in others} == set(range(10)) - {source}


@pytest.mark.parametrize("mapping", [{"cat": "dog", "dog": "bird"}, {3: 5, 5: 2}, {"3": "dog", "dog": 2}])
def test_classes_go_by_name_or_number(mapping):
    assert resolve(mapping, CIFAR10, seed=0) == {3: 5, 5: 2}


@pytest.mark.parametrize("mapping", [{"lorry": "cat"}, {"cat": "lorry"}, {10: 0}, {0: 10}, {-1: 0}])
def test_a_missing_class_is_named_beside_those_there_are(mapping):
    with pytest.raises(ValueError, match=r"'(lorry|10|-1)' is no class.*airplane, .*truck"):
        resolve(mapping, CIFAR10, seed=0)


@pytest.mark.parametrize(
    ("mapping", "classes", "complaint"),
    [
        ("blocks", DIGITS[:7], "divisible by 5, got 7"),
        ("superclass", CIFAR10, "'beaver'.*airplane"),
        ("rnadom", CIFAR10, "blocks, superclass or random, got 'rnadom'"),
    ],
)
def test_a_kind_of_map_that_does_not_fit_raises(mapping, classes, complaint):
    with pytest.raises(ValueError, match=complaint):
        resolve(mapping, classes, seed=0)
