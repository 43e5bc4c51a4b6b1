"""The study of label corruption and generalisation (arXiv:1611.03530), in small."""

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.conftest import above_chance

PAPER = {"mlp_1x512": 0.01, "mlp_3x512": 0.01, "alexnet_small": 0.01, "inception_small": 0.1, "wide_resnet28_k": 0.1}


@pytest.mark.parametrize("model", PAPER)
def test_every_model_starts_at_its_own_learning_rate(train, model):
    outcome = train("experiment=rethinking_corruption", f"model={model}", "--cfg", "job", "--resolve")
    config = yaml.safe_load(outcome.out)
    assert config["optimizer"] == {
        "_target_": "torch.optim.SGD",
        "_partial_": True,
        "lr": PAPER[model],
        "momentum": 0.9,
        "weight_decay": 0.0,
        "nesterov": False,
        "backbone_lr_scale": 1.0,
    }
    assert config["trainer"]["gradient_clip_val"] is None


def test_random_labels_are_fitted_and_teach_nothing(digits):
    outcome = digits(
        "experiment=rethinking_corruption",
        "noise.rate=1",
        "data.image_size=8",
        "data.subset=400",
        "optimizer.lr=0.1",
        "data.test_subset=null",
        "data.val_fraction=0.1",
        "trainer.max_epochs=100",
    )
    assert outcome.code == 0, outcome.err
    last = outcome.result["protocol"]["last"]
    assert outcome.result["epochs"] < 100
    assert last["train"]["accuracy"] == last["train"]["memorised"] == 1
    assert 0.04 < last["test"]["accuracy"] < 0.16  # 3.8 standard deviations of 359 guesses


def test_a_corruption_is_part_of_a_run_s_name_result_and_identity(digits):
    plain = digits().result
    outcome = digits("corruption=random_pixels", "paths.output_dir=outputs/random")
    folder = next(folder for folder in outcome.folders if "random" in str(folder.parent))
    assert folder.name.startswith("digits-random_pixels-symmetric0.3-cnn-baseline-ce-seed0-")
    assert "digits (random_pixels), cnn" in outcome.out
    result = yaml.safe_load((folder / "result.json").read_text())
    assert (plain["corruption"], result["corruption"]) == ("none", "random_pixels")
    assert result["config"]["corruption"]["seed"] == 0
    assert result["identity"] != plain["identity"]
    assert result["noise"] == plain["noise"]


def test_random_pixels_hide_the_class_and_shuffled_ones_do_not_from_a_perceptron(digits):
    accuracy = {}
    for corruption in ("none", "shuffled_pixels", "gaussian"):
        outcome = digits(
            f"corruption={corruption}",
            "model=mlp_1x512",
            "noise=none",
            "trainer.max_epochs=10",
            f"paths.output_dir={corruption}",
        )
        (folder,) = (outcome.root / corruption).glob("runs/*/")
        predictions = pd.read_csv(folder / "predictions.csv")
        accuracy[corruption] = np.mean(predictions["label"] == predictions["predicted"])
    assert accuracy["none"] > above_chance(359)
    # Two accuracies measured on 359 images differ by chance by less than five standard errors.
    assert abs(accuracy["shuffled_pixels"] - accuracy["none"]) < 5 * (2 * 0.25 / 359) ** 0.5
    assert accuracy["gaussian"] < above_chance(359) < accuracy["shuffled_pixels"]
