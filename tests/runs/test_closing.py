"""What the closing block says of a run that has learned nothing."""

import pytest

from lnl.runs.closing import learned_nothing


def result(val, test=None, largest_class=0.25, val_size=100):
    """``val`` is an accuracy, ``test`` a confusion matrix."""
    last = {"val": {"accuracy": val}}
    if test is not None:
        hits = sum(row[i] for i, row in enumerate(test))
        last["test"] = {"accuracy": hits / sum(map(sum, test)), "confusion_matrix": test}
    return {"protocol": {"last": last}, "data": {"val": val_size, "largest_class": largest_class}, "epochs": 10}


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
    said = learned_nothing(given)
    assert said == [] if chance is None else f"would be right for {chance:.1%}" in said[0]
    assert chance is None or "trainer.max_epochs=40" in said[1]


# A quarter in the largest class. Of 3 labels 0.75 + 1.64 * 0.75 = 1.98 may be right by chance, half-way to perfect are
# 1.875; of 4 it is 2.42 and 2.5.
@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_few_labels_cannot_tell_whether_anything_is_learned(accuracy):
    assert "cannot be told from 3 held-out labels" in learned_nothing(result(accuracy, val_size=3))[0]
    assert "cannot" not in "".join(learned_nothing(result(accuracy, val_size=4)))
    # One class has nearly all labels: 90 of 96 may be by chance, as half-way to perfect would be.
    assert "cannot be told from 96" in learned_nothing(result(accuracy, largest_class=0.9, val_size=96))[0]
    assert "cannot" not in "".join(learned_nothing(result(accuracy, largest_class=0.9, val_size=97)))


def test_results_before_the_share_was_recorded_are_not_judged():
    assert learned_nothing({"protocol": {"last": {}}, "data": {"val": 10}}) == []
