"""Instance noise: rates and wrong labels as the paper's algorithm has them, seen through one-sample classes."""

import numpy as np
import pytest

from lnl.noise import InstanceNoise
from tests.noise.drawn import record_of

K = 10
CLASSES = [str(i) for i in range(K)]


def draw(clean, images, **options):
    return record_of(InstanceNoise(**options), clean, images, CLASSES)


@pytest.fixture(scope="module")
def data():
    """Unbalanced classes of random images."""
    rng = np.random.default_rng(0)
    clean = rng.choice(K, size=5000, p=np.arange(1, K + 1) / 55)
    return clean, rng.integers(0, 256, (5000, 4, 4, 3), dtype=np.uint8)


def lone_samples(rate, pixel, num_classes=400):
    """The transition matrix where every class has one sample of one pixel: row i is the distribution of sample i."""
    images = np.full((num_classes, 1, 1, 1), pixel, dtype=np.uint8)
    clean = np.arange(num_classes)
    return record_of(InstanceNoise(rate, seed=5), clean, images, [str(i) for i in range(num_classes)]).transition


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.7])
def test_labels_are_wrong_at_about_the_rate_and_by_the_recorded_matrix(data, rate):
    record = draw(*data, rate=rate, seed=1)
    np.testing.assert_allclose(record.transition.sum(axis=1), 1)
    assert record.transition.min() >= 0
    # At .2 the normal is cut two deviations below its mean, which moves that by .0055.
    assert record.actual_rate() == pytest.approx(rate, abs=0.006 + 5 * np.sqrt(rate * (1 - rate) / 5000))
    for label in range(K):
        members = record.truth == label
        expected = members.sum() * record.transition[label]
        got = np.bincount(record.labels[members], minlength=K)
        # The samples of a class differ, which only makes the counts vary less than binomial ones.
        assert (np.abs(got - expected) <= 5 * np.sqrt(expected * (1 - record.transition[label])) + 1e-6).all()


@pytest.mark.parametrize("exact", [False, True])
def test_the_seed_decides_the_draw(data, exact):
    first = draw(*data, rate=0.4, seed=1, exact=exact)
    np.testing.assert_array_equal(draw(*data, rate=0.4, seed=1, exact=exact).labels, first.labels)
    assert (draw(*data, rate=0.4, seed=2, exact=exact).labels != first.labels).mean() > 0.2


@pytest.mark.parametrize("rate", [0.0, 0.13, 0.5, 1.0])
def test_exact_changes_the_rounded_count_of_each_class(data, rate):
    record = draw(*data, rate=rate, seed=1, exact=True)
    for label in range(K):
        members = record.truth == label
        assert abs(np.count_nonzero(record.labels[members] != label) - rate * members.sum()) <= 0.5 + 1e-6


def test_exact_leaves_out_a_class_without_samples():
    record = draw(np.zeros(10, dtype=int), np.zeros((10, 2, 2, 1), dtype=np.uint8), rate=0.5, exact=True)
    assert record.actual_rate() == 0.5
    np.testing.assert_allclose(record.transition.sum(axis=1), 1)


def test_how_a_label_is_wrong_depends_on_the_image():
    # Two images a class, sharing no pixel: their scores are independent.
    side = np.arange(4000) % 2
    images = np.zeros((4000, 16, 16, 1), dtype=np.uint8)
    images[side == 0, :8] = images[side == 1, 8:] = 255
    record = draw(np.arange(4000) // 2 % K, images, rate=0.5)

    def commonest(which):
        wrong = which & (record.labels != record.truth)
        return [np.bincount(record.labels[wrong & (record.truth == label)]).argmax() for label in range(K)]

    differ = np.count_nonzero(np.array(commonest(side == 0)) != commonest(side == 1))
    # Independent choices among nine classes agree in one class of nine; blind to the image, in all ten.
    assert differ >= 5


def test_flip_rates_are_normal_around_the_rate():
    rates = 1 - lone_samples(0.5, pixel=0).diagonal()
    assert rates.mean() == pytest.approx(0.5, abs=5 * 0.1 / np.sqrt(400))
    assert rates.std() == pytest.approx(0.1, rel=5 / np.sqrt(800))


@pytest.mark.parametrize("rate", [0.0, 0.05, 1.0])
def test_flip_rates_are_cut_to_probabilities_not_clipped(rate):
    rates = 1 - lone_samples(rate, pixel=0).diagonal()
    assert rates.min() > 0
    assert rates.max() < 1


def test_a_black_image_is_mistaken_for_all_other_classes_alike():
    matrix = lone_samples(0.5, pixel=0)
    rates = 1 - matrix.diagonal()
    for label, row in enumerate(matrix):
        np.testing.assert_allclose(np.delete(row, label), rates[label] / 399)


def test_scores_of_a_white_pixel_are_standard_normal_and_of_the_class():
    matrix = lone_samples(0.5, pixel=255)
    others = np.array([np.delete(np.log(row), label) for label, row in enumerate(matrix)])
    scores = others - others.mean(axis=1, keepdims=True)
    assert scores.std() == pytest.approx(1, rel=5 / np.sqrt(2 * scores.size))
    # One W for all classes would make all rows alike; from place 2 on, the first two hold the same classes.
    assert abs(np.corrcoef(scores[0, 2:], scores[1, 2:])[0, 1]) < 5 / np.sqrt(398)
