"""The head and the neighbours that judge labels, against fits that leave samples out one by one."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score

from lnl.auditing.probe import directions, leave_one_out, nearest, neighbour_shares, probe

CLASSES = 3


def clusters(count=90, features=12, seed=0, spread=0.6):
    """Rows around a centre of each class, of length 1, and their classes."""
    rng = np.random.default_rng(seed)
    true = np.arange(count) % CLASSES
    rows = rng.standard_normal((CLASSES, features))[true] + spread * rng.standard_normal((count, features))
    return directions(rows), true


def left_out(rows, labels, penalty, weights, groups):
    """Each group's scores by scikit-learn's ridge regression on all others."""
    weights = weights / weights.mean()
    centred = rows - weights @ rows / len(rows)
    alpha = penalty * len(rows) * (weights * (centred**2).sum(axis=1)).mean()
    scores = np.empty((len(rows), CLASSES))
    for group in np.unique(groups):
        out = groups == group
        ridge = Ridge(alpha).fit(rows[~out].astype(float), np.eye(CLASSES)[labels[~out]], weights[~out])
        scores[out] = ridge.predict(rows[out].astype(float))
    return scores


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_leaving_out_has_the_scores_of_fits_without_the_sample_and_its_copies(weighted, grouped):
    rows, labels = clusters()
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.1, 2, len(rows)) if weighted else None
    groups = np.minimum(np.arange(len(rows)), 80) // 2 if grouped else None
    (scores,) = leave_one_out(rows, labels, CLASSES, [0.01], weights, groups)
    alone = np.arange(len(rows)) if groups is None else groups
    expected = left_out(rows, labels, 0.01, np.ones(len(rows)) if weights is None else weights, alone)
    np.testing.assert_allclose(scores, expected, atol=2e-4)


def test_neighbours_are_the_nearest_others_without_copies():
    rows, labels = clusters(count=60)
    groups = np.arange(60) // 2
    weights = np.random.default_rng(2).uniform(0.1, 1, 60)
    shares = neighbour_shares(*nearest(rows, 7, groups), labels, CLASSES, weights)
    for sample in range(60):
        others = np.flatnonzero(groups != groups[sample])
        near = others[np.argsort(-(rows[others] @ rows[sample]))[:7]]
        expected = np.bincount(labels[near], weights[near], CLASSES)
        np.testing.assert_allclose(shares[sample], expected / expected.sum(), atol=1e-6)


def test_wrong_labels_are_doubted_most():
    rows, true = clusters(count=300)
    labels = true.copy()
    labels[:45] = (true[:45] + 1) % CLASSES
    found = probe(rows, labels, CLASSES)
    doubt = found.judged.wrong(labels)
    assert average_precision_score(labels != true, doubt) > 0.97
    assert abs(found.estimate.wrong(labels).mean() - 0.15) < 0.03


def test_a_copy_with_the_same_wrong_label_is_no_excuse():
    rows, true = clusters(count=90)
    rows, labels = np.vstack([rows, rows[:1]]), np.append(true, 1)
    labels[0] = 1  # of class 0, as its copy
    apart = probe(rows, labels, CLASSES, groups=np.append(np.arange(90), 0))
    assert apart.judged.wrong(labels)[[0, 90]].min() > 0.9
