"""Which runs stand in one row: never two that differ in more than their seeds."""

import pandas as pd
import pytest

from lnl.errors import UserError
from lnl.reporting.arrange import arrange
from lnl.reporting.results import read_runs
from tests.reporting.written import write_run

ROWS = ["method", "loss"]


def last(root):
    runs = read_runs([root])
    return runs[runs["protocol"] == "last"]


def rows(runs, by=ROWS, columns="rate", names=None):
    return list(arrange(runs, by, columns, names)["row"].cat.categories)


def test_a_row_is_named_by_what_is_needed(tmp_path):
    for method, loss in (("apl", "apl_nce_rce"), ("dynamic_weight", "ce"), ("baseline", "gce"), ("baseline", "ce")):
        write_run(tmp_path, "study", method=method, loss=loss)
    assert rows(last(tmp_path)) == ["ce", "apl_nce_rce", "dynamic_weight + ce", "gce"]


def test_runs_that_differ_in_a_value_get_rows_of_their_own(tmp_path):
    for threshold in (0.8, 0.4):
        for seed in (0, 1):
            config = {"seed": seed, "noise": {"seed": seed}, "method": {"threshold": threshold, "low_weight": 0.5}}
            write_run(tmp_path, "study", method="dynamic_weight", seed=seed, config=config)
    write_run(tmp_path, "study")
    assert rows(last(tmp_path)) == ["ce", "dynamic_weight + ce, threshold=0.4", "dynamic_weight + ce, threshold=0.8"]
    assert rows(last(tmp_path), ["method.threshold"]) == ["not given", "0.4", "0.8"]  # plain cross entropy first


def test_a_difference_between_seeds_alone_is_seen_too(tmp_path):
    """No two of these runs have the same seed; a mean over them would still be of two things."""
    for seed, lr in ((0, 0.1), (1, 0.01)):
        write_run(tmp_path, "study", seed=seed, config={"optimizer": {"lr": lr}})
    assert rows(last(tmp_path)) == ["ce, lr=0.01", "ce, lr=0.1"]


def test_augmentations_are_called_by_their_options(tmp_path):
    crop, cutout = {"_target_": "lnl.augment.CropFlip", "flip": True}, {"_target_": "lnl.augment.Cutout"}
    for padding in (1, 4):
        config = {"augment": {"crop_flip": crop | {"padding": padding}}}
        write_run(tmp_path, "study", augment="crop_flip", config=config)
    config = {"augment": {"crop_flip": crop | {"padding": 4}, "cutout": cutout}}
    write_run(tmp_path, "study", augment="strong", config=config)
    write_run(tmp_path, "study", augment="none", config={"augment": {}})
    write_run(tmp_path, "study", config={"data": {"augment": "crop"}})  # of lnl 0.1
    assert rows(last(tmp_path)) == [
        "ce, augment=crop",
        "ce, augment=crop_flip, padding=1",
        "ce, augment=crop_flip, padding=4",
        "ce, augment=none",
        "ce, augment=strong, padding=4",
    ]


def test_of_keys_that_say_the_same_one_is_shown(tmp_path):
    for loss, gamma in (("focal", 0.5), ("gce", None)):
        config = {"loss": {"gamma": gamma} if gamma else {"q": 0.7}}
        write_run(tmp_path, "study", loss=loss, config=config)
    assert rows(last(tmp_path), ["method"]) == ["baseline, loss=focal", "baseline, loss=gce"]


def test_equal_ends_of_keys_are_written_out(tmp_path):
    for i, j in ((0.1, 1), (0.1, 2), (0.2, 1)):
        write_run(tmp_path, "study", config={"a": {"rate": i}, "b": {"rate": j}})
    assert rows(last(tmp_path)) == ["ce, a.rate=0.1, b.rate=1", "ce, a.rate=0.1, b.rate=2", "ce, a.rate=0.2, b.rate=1"]


def test_the_same_configuration_trained_anew_is_not_averaged(tmp_path):
    for sweep, accuracy in (("first", 0.5), ("second", 0.6)):
        write_run(tmp_path, sweep, accuracy)
    assert rows(last(tmp_path)) == ["ce, sweep=first", "ce, sweep=second"]


def test_tables_are_by_what_was_trained_on_unless_it_is_a_row_or_column(tmp_path):
    for noise, model in (("symmetric", "cnn"), ("asymmetric", "cnn"), ("symmetric", "mlp_1x512")):
        write_run(tmp_path, "study", noise=noise, model=model)
    write_run(tmp_path, "study", corruption="gaussian", noise="none", rate=None)
    runs = last(tmp_path)
    assert set(arrange(runs, ROWS, "rate")["setting"]) == {
        "cifar10, symmetric noise, cnn",
        "cifar10, asymmetric noise, cnn",
        "cifar10, symmetric noise, mlp_1x512",
        "cifar10, gaussian, no noise, cnn",
    }
    assert set(arrange(runs, ["model"], "noise")["setting"]) == {"cifar10", "cifar10, gaussian"}


def test_an_unknown_rate_has_a_column(tmp_path):
    """And the tables beside it still have numbers."""
    write_run(tmp_path, "study", noise="file", rate=None)
    write_run(tmp_path, "study", rate=0.3)
    assert set(arrange(last(tmp_path), ROWS, "rate")["column"]) == {"not given", 0.3}


def test_rows_can_be_named_and_their_order_is_that_of_the_names(tmp_path):
    for loss in ("ce", "gce", "mae"):
        write_run(tmp_path, "study", loss=loss)
    runs = last(tmp_path)
    assert rows(runs, names={"mae": "MAE", "ce": "Cross entropy"}) == ["MAE", "Cross entropy", "gce"]
    with pytest.raises(UserError, match=r"no row 'maee'; did you mean 'mae'\?"):
        rows(runs, names={"maee": "MAE"})
    with pytest.raises(UserError, match="two rows cannot have the same name"):
        rows(runs, names={"mae": "ce"})


@pytest.mark.parametrize("key", ["rows", "columns"])
def test_a_misspelt_column_is_named_with_the_nearest(tmp_path, key):
    write_run(tmp_path, "study", config={"method": {"threshold": 0.4}})
    given = {"rows": ["method"], "columns": "rate"} | {key: ["method.treshold"] if key == "rows" else "method.treshold"}
    with pytest.raises(UserError, match=rf"{key}=method.treshold: .* did you mean 'method.threshold'\?"):
        arrange(last(tmp_path), **given)


def test_every_run_is_in_exactly_one_cell(tmp_path):
    for seed in range(3):
        for lr in (0.1, 0.2):
            write_run(tmp_path, "study", seed=seed, config={"optimizer": {"lr": lr}})
    arranged = arrange(last(tmp_path), ROWS, "rate")
    assert len(arranged) == 6
    assert not arranged.duplicated(["setting", "row", "column", "seed"]).any()
    assert isinstance(arranged["row"].dtype, pd.CategoricalDtype)
