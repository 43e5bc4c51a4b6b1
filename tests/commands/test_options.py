"""Every option of every group trains one batch through the command line; a new option is tested without a new test."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torchvision

from lnl.config import CONF_DIR
from tests.datasets.own import write_arrays, write_folder, write_table
from tests.datasets.published_copies import COPIES
from tests.generated import write_cifar, write_cifar_n, write_course_labels, write_flowers, write_mnist

GROUPS = sorted(path.name for path in Path(CONF_DIR).iterdir() if path.is_dir())
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((Path(CONF_DIR) / group).glob("*.yaml"))]
# The settings that an experiment sweeps over, each with that experiment.
PARTS = {"apl": "apl_symmetric", "weak_supervision": "weak_supervision"}
OPTIONS += [
    (f"experiment={PARTS[path.parent.name]} experiment/{path.parent.name}@_global_", path.stem)
    for path in sorted((Path(CONF_DIR) / "experiment").glob("*/*.yaml"))
    if path.parent.name in PARTS
]
PUBLISHED = [f"published/{path.stem}" for path in sorted((Path(CONF_DIR) / "experiment/published").glob("*.yaml"))]
OPTIONS += [("experiment", option) for option in PUBLISHED]

# What some options cannot do without.
NEEDS = {
    "label_correction": ["data.trusted=100"],
    "mw_net": ["data.trusted=100"],
    "glc": ["data.trusted=100"],
    "l2rw": ["data.trusted=100"],
    "mlc": ["data.trusted=100"],
    "published/glc": ["data.trusted=100"],
    "published/l2rw": ["data.trusted=100", "model.k=1"],
    "published/mlc": ["data.trusted=100"],
    "published/mw_net": ["data.trusted=100"],
    "fit_once": ["model=histogram_logistic"],
    "noise=file": ["noise.path=labels.csv"],
    "features=file": ["features.path=features.npy"],
    "linear": ["features=file", "features.path=features.npy"],
    "mlp": ["features=file", "features.path=features.npy"],
    "knn": ["features=file", "features.path=features.npy"],
    "linear_probe": ["features=file", "features.path=features.npy"],
    "timm": ["model.name=test_resnet"],
    "torchvision": ["model.name=shufflenet_v2_x0_5"],
    "human": ["data=cifar10"],
    "folder": ["data.path=own"],
    "table": ["data.path=own/labels.csv"],
    "arrays": ["data.path=own.npz"],
    "huggingface": ["data.name=own"],
    "published/clothing1m": ["model.weights=null", "data.image_size=32"],
    "published/food101n": ["model.weights=null", "data.image_size=32"],
    "published/webvision": ["data.image_size=32"],
}


def test_the_groups_are_those_of_the_readme():
    expected = (
        "augment average callbacks corruption data experiment features hydra logger loss method mix model noise "
        "optimizer paths scheduler trainer"
    )
    assert expected.split() == GROUPS


# Like flowers_l1, by the same network on the same photos; and a network of 140 million parameters.
SLOW = ("flowers_control", "flowers_corrupted", "vgg19_bn", "published/animal10n")


@pytest.mark.parametrize(
    ("group", "option"), [pytest.param(*pair, marks=[pytest.mark.slow] * (pair[1] in SLOW)) for pair in OPTIONS]
)
def test_an_option_runs_one_batch(train, group, option, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    root = tmp_path / "data"
    cifar100 = option in ("cifar100", "published/cifar100n")
    if (name := option.removeprefix("published/")) in COPIES:
        COPIES[name](root, monkeypatch)
    elif "flowers" in option:
        write_flowers(root, monkeypatch)
    elif "mnist" in option:
        write_mnist(root, "FashionMNIST" if option == "fashion_mnist" else "MNIST")
    elif "experiment" in group or option in ("cifar10", "cifar100", "human"):
        write_cifar(root, monkeypatch, torchvision.datasets.CIFAR100 if cifar100 else torchvision.datasets.CIFAR10)
    if option == "huggingface":
        pytest.importorskip("datasets")
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub")
    if option in ("folder", "huggingface"):
        write_folder(tmp_path / "own")
    elif option == "table":
        write_table(tmp_path / "own")
    elif option == "arrays":
        write_arrays(
            tmp_path / "own.npz",
            images=np.random.default_rng(0).integers(0, 256, (60, 12, 12, 3), np.uint8),
            labels=np.arange(60) % 3,
        )
    data = [] if group == "data" or "experiment" in group or option == "human" else ["data=digits"]
    data += ["data.image_size=32"] if group == "model" else []
    data += NEEDS.get(option, NEEDS.get(f"{group}={option}", []))
    if "features.path=features.npy" in data:
        np.save(tmp_path / "features.npy", np.random.default_rng(0).standard_normal((1797, 8)))
    everything = [f"data.{split}=null" for split in ("subset", "val_subset", "test_subset")]  # there are few images
    if (group, option) == ("noise", "file"):
        (tmp_path / "labels.csv").write_text("label\n" + "3\n" * 1438)
    if option in ("human", "published/cifar100n"):
        write_cifar_n(root, 100 if cifar100 else 10)
    if "weak_supervision" in option + group:
        write_course_labels(root)
        everything.append("data.trusted_test=50")
    outcome = train(
        *f"{group}={option}".split(),
        *data,
        *everything,
        "data.batch_size=8",
        "data.eval_batch_size=16",
        f"paths.data_dir={root}",
        "trainer.fast_dev_run=true",
    )
    assert outcome.code == 0, outcome.err
    assert "test accuracy" in outcome.out
    assert not (outcome.folder / "result.json").exists()  # one batch is no result


OWN = """
import torch
from torch import nn


class Linear(nn.Module):
    def __init__(self, num_classes, in_channels, image_size):
        super().__init__()
        self.layer = nn.Linear(in_channels * image_size**2, num_classes)

    def forward(self, images):
        return self.layer(images.flatten(1))


class Descent(torch.optim.SGD):
    pass


def halved(optimizer):
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)


def bounded(logits, labels, bound):
    return nn.functional.cross_entropy(logits, labels, reduction="none").clamp(max=bound)
"""


def test_parts_of_ones_own_need_no_partial(digits, tmp_path, monkeypatch):
    """A model, an optimizer and a scheduler are made by lnl, and a function of logits and labels is a loss."""
    (tmp_path / "own_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    parts = {
        "model/own": "_target_: own_parts.Linear\nnum_classes: ${data.num_classes}\n"
        "in_channels: ${data.channels}\nimage_size: ${data.image_size}\n",
        "optimizer/own": "_target_: own_parts.Descent\nlr: 0.1\n",
        "scheduler/own": "_target_: own_parts.halved\n",
        "loss/own": "_target_: own_parts.bounded\nbound: 1.5\n",
    }
    for name, text in parts.items():
        path = tmp_path / f"mine/{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    chosen = ("model=own", "optimizer=own", "scheduler=own", "loss=own")
    outcome = digits(f"--config-dir={tmp_path / 'mine'}", *chosen, "data.subset=100")
    assert outcome.code == 0, outcome.err
    assert outcome.result["size"]["parameters"] == 8 * 8 * 10 + 10
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["lr"][0] == 2 * table["lr"][1]
    assert (table["train/loss"] <= 1.5).all()
