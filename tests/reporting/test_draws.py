"""What runs of a cell differ in, in words; and how many of their labels are wrong."""

import pandas as pd
import pytest

from lnl.reporting.draws import what_varies, with_labels, wrong_note
from lnl.reporting.results import read_runs
from tests.reporting.written import write_run


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([(0, "a", 0)], "1 run"),
        ([(0, "a", 0), (1, "a", 0)], "2 seeds"),
        ([(0, "a", 0), (1, "b", 0), (2, "c", 0)], "3 seeds"),
        ([(0, "a", 0), (0, "b", 0)], "2 draws of the wrong labels"),
        ([(0, "a", 0), (0, "a", 1)], "2 splits"),
        ([(0, "a", 0), (0, "b", 0), (1, "a", 0), (1, "b", 0)], "4 runs (2 seeds × 2 draws of the wrong labels)"),
        ([(0, "a", 0), (0, "b", 0), (1, "a", 0)], "3 runs (2 seeds, 2 draws of the wrong labels)"),
    ],
)
def test_what_runs_differ_in(runs, text):
    table = pd.DataFrame(runs, columns=["seed", "noise_sha256", "split_seed"]).assign(noise_seed=0)
    assert what_varies(with_labels(table)) == text


def test_the_share_of_wrong_labels_is_that_of_training(tmp_path):
    for rate in (0.3, 0.6):
        for seed in range(2):
            write_run(tmp_path, "study", rate=rate, seed=seed, train_rate=rate + 0.01 + 0.02 * seed)
    runs = read_runs([tmp_path])
    assert wrong_note(runs, "rate") == "Share of wrong training labels, in %: 32.0, 62.0."
    runs.loc[0, "train_rate"] = None  # as of a cross-validated run
    assert wrong_note(runs, "rate") == "Share of wrong labels, training and validation together, in %: 30.0, 60.0."
    runs.loc[0, "actual_rate"] = None
    assert wrong_note(runs, "rate") == ""
