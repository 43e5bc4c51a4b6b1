"""A value of another form than its code is annotated with is refused by its key."""

import math

import pytest
from omegaconf import OmegaConf

from lnl.errors import UserError
from lnl.values import check_values

GCE = {"_target_": "lnl.losses.GeneralizedCrossEntropy"}
WRONG = [
    ("lnl.data.Digits", "batch_size", 2.5, "a whole number or auto, got 2.5"),
    ("lnl.data.Digits", "batch_size", math.inf, "a finite number or auto, got inf"),
    ("lnl.data.Digits", "batch_size", True, "a number or auto, got true"),
    ("lnl.data.Digits", "batch_size", "64", "a number or auto, got '64'"),
    ("lnl.data.Digits", "val_fraction", None, "a number, got null"),
    ("lnl.data.Digits", "split_seed", -1, "at least 0 and below 2^32, got -1"),
    ("lnl.data.Digits", "image_size", [32, 32], "a number, got [32, 32]"),
    ("lnl.data.Digits", "mean", 0.5, "a list, such as [0.5], got 0.5"),
    ("lnl.data.Digits", "fit", "crop", "resize, center_crop or center_square, got 'crop'"),
    ("lnl.data.FolderData", "classes", "cat", "a list, such as [cat,dog], got 'cat'"),
    ("lnl.data.FolderData", "classes", {"cat": 1}, "a list, such as [cat,dog], got {'cat': 1}"),
    ("lnl.data.TableData", "encoding", None, "text, got null"),
    ("lnl.data.TableData", "encoding", 8.0, "text, got 8.0: in quotes it is text, \"part.encoding='8.0'\""),
    ("lnl.data.TableData", "path", ["labels.csv"], "text or a path, got ['labels.csv']"),
    ("lnl.data.TableData", "columns", "label", "a mapping, such as {name: value}, got 'label'"),
    ("lnl.noise.SymmetricNoise", "rate", [0.1], "a number, got [0.1]"),
    ("lnl.noise.SymmetricNoise", "rate", math.nan, "a number, got nan"),
    ("lnl.noise.SymmetricNoise", "exact", 1, "true or false, got 1"),
    ("lnl.models.SmallCNN", "hidden", 12.5, "a whole number, got 12.5"),
    ("lnl.losses.ActivePassiveLoss", "active", None, "something with a _target_, got null"),
    ("torch.optim.SGD", "lr", "abc", "a number, got 'abc'"),
    ("torch.optim.Adam", "betas", [0.9], "a list of 2, got [0.9]"),
    ("torch.optim.lr_scheduler.MultiStepLR", "milestones", 4, "a list, such as [4], got 4"),
    ("pytorch_lightning.Trainer", "max_epochs", 2.5, "a whole number, got 2.5"),
    ("pytorch_lightning.Trainer", "deterministic", "abc", "true, false or warn, got 'abc'"),
    ("lnl.tracking.trackers.wandb_tracker", "tags", "mine", "a list, such as [cat,dog], got 'mine'"),
]


@pytest.mark.parametrize(("target", "key", "value", "message"), WRONG)
def test_a_value_of_another_form_is_refused(target, key, value, message):
    with pytest.raises(UserError) as refused:
        check_values("part", OmegaConf.create({"_target_": target, key: value}))
    assert str(refused.value) == f"part.{key} must be {message}"


def test_the_key_is_named_as_far_inside_as_it_is():
    nodes = {
        "loss.active.q must be a number, got 'abc'": {
            "loss": {"_target_": "lnl.losses.ActivePassiveLoss", "active": {**GCE, "q": "abc"}}
        },
        "data.columns.label must be text, got ['a', 'b']": {
            "data": {"_target_": "lnl.data.TableData", "columns": {"label": ["a", "b"]}}
        },
        "data.std[1] must be a number, got 'b'": {"data": {"_target_": "lnl.data.Digits", "std": [0.1, "b"]}},
        "seed must be a whole number, got 1.5": {"seed": 1.5},
        "force must be true or false, got 'maybe'": {"force": "maybe"},
    }
    for message, node in nodes.items():
        with pytest.raises(UserError) as refused:
            check_values("", OmegaConf.create(node))
        assert str(refused.value) == message


def test_what_fits_is_left_as_it_is_but_for_whole_numbers():
    trainer = {
        "_target_": "pytorch_lightning.Trainer",
        "max_epochs": 3.0,
        "limit_train_batches": 1.0,
        "devices": "auto",
    }
    folder = {
        "_target_": "lnl.data.FolderData",
        "path": 2024,
        "classes": ["cat", 7],
        "class_map": {0: 1},
        "subset": None,
    }
    optimizer = {"_target_": "torch.optim.SGD", "lr": 1, "weight_decay": 1e-4, "foreach": None}
    cfg = OmegaConf.create({"seed": 1e3, "trainer": trainer, "data": folder, "optimizer": optimizer})
    check_values("", cfg)
    whole = {"seed": 1000, "trainer": trainer | {"max_epochs": 3}, "data": folder, "optimizer": optimizer}
    assert repr(OmegaConf.to_container(cfg)) == repr(whole)  # 3 == 3.0


def test_null_that_the_data_may_replace_is_not_refused_before_it_is_read():
    node = OmegaConf.create(
        {"classes": None, "model": {"_target_": "lnl.models.SmallCNN", "num_classes": "${classes}"}}
    )
    check_values("", node, known=False)
    with pytest.raises(UserError, match="num_classes must be a number, got null"):
        check_values("", node)
