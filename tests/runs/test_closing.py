"""What the closing block says of a run that has learned nothing."""

import pytest

from lnl.runs.closing import learned_nothing


def result(val, test=None, largest_class=0.25, val_size=100):
    """``val`` is an accuracy, ``test`` a confusion matrix."""
    last = {"val": {"accuracy": val}}
    if test is not None:
        hits = sum(row[i] for i, row in enumerate(test))
        last["test"] = {"accuracy": hits / sum(map(sum, test)), "confusion_matrix": test}
    return {"protocol": {"last": last}, "data": {"val": val_size, "largest_class": largest_class}}


@pytest.mark.parametrize(
    ("given", "chance"),
    [
        # 100 labels, a quarter in the largest class: 25 + 1.64 * sqrt(100 * 3 / 16) = 32.1 may be right by chance.
        (result(0.32), 0.25),
        (result(0.33), None),
        # Of 100 test labels 60 are in one class, which is named for all: 25 + 60 of 200 by chance, the limit is 96.5.
        (result(0.35, [[60, 0], [40, 0]]), 0.425),
        (result(0.36, [[60, 0], [40, 0]]), 0.425),
        (result(0.37, [[60, 0], [40, 0]]), None),
        # A test set that was learned counts for a validation set that is nearly all wrong.
        (result(0.10, [[45, 5], [5, 45]]), None),
    ],
)
def test_nothing_is_learned_by_naming_the_largest_class(given, chance):
    assert learned_nothing(given) == (None if chance is None else pytest.approx(chance))


def test_results_before_the_share_was_recorded_are_not_judged():
    assert learned_nothing({"protocol": {"last": {}}, "data": {"val": 10}}) is None
