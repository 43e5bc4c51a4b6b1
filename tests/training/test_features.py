"""Features in place of images: computed once, the same as the network's own, and those of a file."""

import json

import numpy as np
import pytest
import torch

from lnl.augment import CropFlip
from lnl.data import NoisyDataModule
from lnl.datasets.digits import Digits
from lnl.labels.tables import read_csv
from lnl.models import TimmModel
from lnl.training.features import use_features

CPU = torch.device("cpu")
MODEL = ["model=timm", "model.name=test_resnet", "model.freeze=true", "data.image_size=32"]


@pytest.fixture
def digits(tmp_path):
    """Makes the digits, at 32 pixels with three channels, cached in ``tmp_path``."""

    def make(**options) -> NoisyDataModule:
        form = {"image_size": 32, "channels": 3, "subset": 60, "test_subset": 10, "cache_dir": tmp_path}
        data = NoisyDataModule(Digits(), **form | options)
        data.setup()
        return data

    return make


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TimmModel("test_resnet", 10, freeze=True).eval()


def own(network, images):
    with torch.inference_mode():
        return network.features(images).half().float()


def test_features_are_those_of_the_network_computed_once(digits, network, monkeypatch):
    data = digits()
    expected = {split: own(network, next(iter(data.loader(split, CPU))).images) for split in ("train", "test")}
    use_features(network, data, CPU)
    for split, features in expected.items():
        batch = next(iter(data.loader(split, CPU)))
        torch.testing.assert_close(batch.images, features, rtol=2e-3, atol=2e-3)
        assert batch.index.tolist() == data.splits[split].tolist()
    assert data.sample_shape == (network.num_features,)
    monkeypatch.setattr(network, "features", None)  # nothing computes them again
    again = digits()
    use_features(network, again, CPU)
    torch.testing.assert_close(again.features["train"].rows, data.features["train"].rows, rtol=0, atol=0)


def test_features_of_other_data_do_not_push_out_those_of_this(digits, network, tmp_path):
    for subset in range(50, 60):  # each has features of its own
        use_features(network, digits(subset=subset), CPU)
    assert len(list(tmp_path.glob("features-train-*.npy"))) == 10


def test_other_weights_pixels_or_augmentation_have_features_of_their_own(digits, network, tmp_path):
    other = TimmModel("test_resnet", 10, freeze=True)
    cases = [(network, {}, ()), (other, {}, ()), (network, {"mean": [0.1] * 3}, ()), (network, {}, [CropFlip(0, True)])]
    for number, (model, options, view) in enumerate(cases, 1):
        use_features(model, digits(**options), CPU, view)
        assert len(list(tmp_path.glob("features-train-*.npy"))) == number


def test_a_flipped_view_is_one_of_two_at_random(digits, network):
    data = digits(augment=[CropFlip(0, True)])
    images = next(iter(data.loader("train", CPU))).images
    both = torch.stack([own(network, images), own(network, images.flip(3))])
    use_features(network, data, CPU, data.views["weak"])
    place = {number: row for row, number in enumerate(data.splits["train"].tolist())}
    seen = set()
    for epoch in range(4):
        for batch in data.training_loader(CPU, epoch):
            for number, features in zip(batch.index.tolist(), batch.images, strict=True):
                apart = (both[:, place[number]] - features).abs().amax(dim=1)
                assert apart.min() < 0.02
                seen.add((number, int(apart.argmin())))
    assert len(seen) > 1.7 * len(place)
    torch.testing.assert_close(next(iter(data.loader("train", CPU))).images, both[0], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("method", ["baseline", "elr"])
def test_a_frozen_network_trains_on_features_as_on_images(train, method):
    command = ["data=digits", *MODEL, f"method={method}", "data.subset=200", "trainer.max_epochs=2", "optimizer=adam"]
    train(*command)
    outcome = train(*command, "model.freeze=until:fc")  # all layers too, but the network runs in every step
    results = [json.loads((folder / "result.json").read_text()) for folder in outcome.folders]
    assert {result["features"] for result in results} == {"backbone", "pixels"}
    of_features, of_images = (read_csv(folder / "predictions.csv").filter(like="p_") for folder in outcome.folders)
    np.testing.assert_allclose(of_features.astype(float), of_images.astype(float), atol=0.01)


def test_features_of_pixels_train_any_method_and_carry_their_name(train):
    outcome = train("data=digits", "features=fourier", "method=linear_probe", "noise=symmetric", "noise.rate=0.4")
    assert outcome.result["features"] == "fourier"
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > 0.9


def test_features_of_a_file_are_trained_on_and_checked(train, tmp_path):
    rows = np.random.default_rng(0).standard_normal((1797, 8)).astype(np.float32)
    np.save(tmp_path / "clip.npy", rows)
    outcome = train("data=digits", f"features={tmp_path}/clip.npy", "model=mlp", "trainer.max_epochs=1")
    assert outcome.result["config"]["features"]["size"] == 8
    np.save(tmp_path / "short.npy", rows[:100])
    assert (
        "must be [1797, F]: 1,438 of the training set and then 359"
        in train("data=digits", f"features={tmp_path}/short.npy").err
    )
    np.save(tmp_path / "large.npy", 1e6 * rows)
    assert "within float16" in train("data=digits", f"features={tmp_path}/large.npy").err
    assert "there is no file" in train("data=digits", f"features={tmp_path}/none.npy").err
    assert json.dumps(outcome.result)  # plain values
