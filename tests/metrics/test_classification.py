"""Metrics against scikit-learn and naive loops."""

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given
from hypothesis import strategies as st

from lnl.metrics import classification_metrics, memorisation

NEVER_PREDICTED, ABSENT = 1, 3


def random_case(seed, count=200, num_classes=6, empty=True):
    """Logits that are right more often than not; where asked, one class is never predicted and one has no samples."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(num_classes, (count,), generator=generator)
    logits = torch.randn(count, num_classes, generator=generator)
    if empty:
        labels[labels == ABSENT] = 0
        logits[:, NEVER_PREDICTED] = -9
    logits[torch.arange(count), labels] += 1.5
    return logits, labels


def check_against_sklearn(logits, labels):
    ours = classification_metrics(logits, labels)
    y, predicted, classes = labels.numpy(), logits.argmax(dim=1).numpy(), list(range(logits.shape[1]))
    # Over all K classes: one without samples and predictions counts as 0, whichever labels happen to be drawn.
    options = {"labels": classes, "zero_division": 0}
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(y, predicted))
    assert ours["macro_f1"] == pytest.approx(sk.f1_score(y, predicted, average="macro", **options))
    np.testing.assert_allclose(ours["precision"], sk.precision_score(y, predicted, average=None, **options))
    np.testing.assert_allclose(ours["recall"], sk.recall_score(y, predicted, average=None, **options))
    assert ours["confusion_matrix"] == sk.confusion_matrix(y, predicted, labels=classes).tolist()
    return ours


def test_classes_never_predicted_or_absent_count_as_in_sklearn():
    ours = check_against_sklearn(*random_case(0))
    assert ours["precision"][NEVER_PREDICTED] == ours["recall"][NEVER_PREDICTED] == ours["recall"][ABSENT] == 0
    assert sum(ours["confusion_matrix"][NEVER_PREDICTED]) > 0  # so that the case is the one meant
    assert sum(row[ABSENT] for row in ours["confusion_matrix"]) > 0


@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), num_classes=st.integers(2, 8))
def test_metrics_of_few_samples_are_those_of_sklearn(seed, count, num_classes):
    check_against_sklearn(*random_case(seed, count, num_classes, empty=False))


def naive_ece(logits, labels, bins=15):
    """Of arXiv:1706.04599; a confidence of 1 belongs to the last bin."""
    probabilities = torch.softmax(logits.double(), dim=1)
    gaps = 0.0
    samples = [(p.max().item(), p.argmax().item() == y) for p, y in zip(probabilities, labels.tolist(), strict=True)]
    for number in range(bins):
        inside = [s for s in samples if min(int(s[0] * bins), bins - 1) == number]
        if inside:
            confidence, accuracy = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            gaps += len(inside) / len(samples) * abs(accuracy - confidence)
    return gaps


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_ece_is_that_of_a_loop_over_15_bins(scale):
    """Labels are drawn by the probabilities, so that some bins are too sure and others not sure enough."""
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(500, 6, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    ece = classification_metrics(logits, labels)["ece"]
    assert ece == pytest.approx(naive_ece(logits, labels), abs=1e-5)
    assert ece != pytest.approx(naive_ece(logits, labels, bins=14), abs=1e-4)  # so that the number of bins matters


def test_ece_of_certain_predictions_has_15_bins_too():
    """Ten right at 94 %, and of ten at 100 % two wrong: one bin, with an accuracy of 90 % at a confidence of 97 %."""
    logits, labels = torch.zeros(20, 3), torch.zeros(20, dtype=torch.long)
    logits[:10, 0], logits[10:, 0] = 3.5, 50.0
    labels[10:12] = 1
    assert classification_metrics(logits, labels)["ece"] == pytest.approx(naive_ece(logits, labels), abs=1e-5)


def test_memorisation_of_a_small_example():
    """Three right labels, two of them predicted; of four wrong labels one is memorised and two are seen through."""
    clean, given_, predicted = torch.tensor([[0, 1, 2, 0, 1, 2, 2], [0, 1, 2, 1, 2, 0, 1], [0, 1, 0, 1, 1, 2, 0]])
    assert memorisation(predicted, given_, clean) == pytest.approx(
        {"accuracy": 3 / 7, "accuracy_correct": 2 / 3, "accuracy_wrong": 2 / 4, "memorised": 1 / 4}
    )


def test_without_the_truth_there_is_accuracy_alone():
    assert memorisation(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 1]), None) == {"accuracy": 0.5}


def test_without_wrong_labels_nothing_is_said_of_them():
    labels = torch.tensor([0, 1, 0, 1])
    expected = {"accuracy": 0.75, "accuracy_correct": 0.75}
    assert memorisation(torch.tensor([0, 1, 0, 0]), labels, labels.clone()) == expected


def test_with_all_labels_wrong_nothing_is_said_of_right_ones():
    clean = torch.tensor([0, 1, 0, 1])
    expected = {"accuracy": 0.25, "accuracy_wrong": 0.75, "memorised": 0.25}
    assert memorisation(torch.tensor([0, 1, 0, 0]), 1 - clean, clean) == expected


def test_of_no_samples_nothing_is_said():
    empty = torch.tensor([], dtype=torch.long)
    assert memorisation(empty, empty, empty) == memorisation(empty, empty, None) == {}
