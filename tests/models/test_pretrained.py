"""torchvision's networks: frozen or not, and where their weights come from."""

from urllib.error import URLError

import pytest
import torch
import torchvision

from lnl.models import TorchvisionModel

NAME = "mobilenet_v2"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty folder for torch's downloads, and no network."""

    def urlopen(*args, **kwargs):
        raise URLError("no network here")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", urlopen)
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


def train_once(model):
    """One pass in training mode; which parameters got a gradient, and which buffers changed."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()(torch.randn(4, 3, 32, 32)).square().sum().backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    return trained, {name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])}


def test_frozen_trains_the_last_layer_alone():
    trained, changed = train_once(TorchvisionModel(NAME, 5, freeze=True))
    assert trained == {"head.weight", "head.bias"}
    assert changed == set()


def test_not_frozen_trains_everything():
    model = TorchvisionModel(NAME, 5)
    trained, changed = train_once(model)
    assert trained == {name for name, _ in model.named_parameters()}
    assert changed == {name for name, _ in model.named_buffers()}


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "vgg11", "efficientnet_b0", "shufflenet_v2_x0_5"])
def test_the_last_layer_is_found_whatever_its_name(name):
    with torch.device("meta"):
        model = TorchvisionModel(name, 5, freeze=True)
        assert model.eval()(torch.empty(2, 3, 64, 64)).shape == (2, 5)
    free = [parameter.shape for parameter in model.parameters() if parameter.requires_grad]
    assert [shape[0] for shape in free] == [5, 5]  # weight and bias


def test_grey_images_are_repeated_over_the_channels():
    model = TorchvisionModel(NAME, 5, in_channels=1).eval()
    grey = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(model(grey), model.head(model.backbone(torch.cat([grey, grey, grey], dim=1))))


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match="in_channels must be 1 or 3, got 2"):
        TorchvisionModel(NAME, 5, in_channels=2)


def test_weights_in_the_hub_folder_are_loaded_but_for_the_last_layer(hub):
    saved = torchvision.models.mobilenet_v2().state_dict()
    url = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1.url
    torch.save(saved, hub / url.rsplit("/", 1)[1])
    model = TorchvisionModel(NAME, 5, weights="IMAGENET1K_V1")
    loaded = model.backbone.state_dict()
    backbone = [name for name in saved if name.startswith("features")]
    assert len(backbone) == len(saved) - 2
    for name in backbone:
        torch.testing.assert_close(loaded[name], saved[name], rtol=0, atol=0)
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 5)


def test_an_unknown_weight_name_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match=r"no weights 'IMAGENET'.* IMAGENET1K_V1, IMAGENET1K_V2.* null"):
        TorchvisionModel(NAME, 5, weights="IMAGENET")


def test_weights_that_cannot_be_had_say_where_to_put_them(hub):
    with pytest.raises(ValueError, match=r"no network here.*model\.weights=null") as caught:
        TorchvisionModel(NAME, 5, weights="IMAGENET1K_V1")
    assert str(hub) in str(caught.value)
