"""Networks for small images: shapes, sizes and the exact composition."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lnl.models import CNN8, MLP, PreActResNet18, SmallCNN, TorchvisionModel, resnet_small_images
from lnl.models.resnet import PreActBlock

MODELS = {
    "cnn": SmallCNN,
    "cnn8": CNN8,
    "mlp_1x512": MLP,
    "mlp_3x512": lambda *sizes: MLP(*sizes, depth=3),
    "resnet18": lambda num_classes, channels, _: resnet_small_images("resnet18", num_classes, channels),
    "preact_resnet18": lambda num_classes, channels, _: PreActResNet18(num_classes, channels),
    "mobilenet_v2": lambda num_classes, channels, _: TorchvisionModel("mobilenet_v2", num_classes, channels),
}


@pytest.mark.parametrize("image_size", [8, 28, 32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_gives_each_image_its_own_logits(name, channels, image_size):
    model = MODELS[name](7, channels, image_size).double()
    images = torch.randn(3, channels, image_size, image_size, dtype=torch.float64)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 1  # with its first statistics, a deep network gives next to nothing
    with torch.no_grad():
        model.train()(images)
        logits = model.eval()(images)
        alone = torch.cat([model(image[None]) for image in images])
    assert logits.shape == (3, 7)
    torch.testing.assert_close(logits, alone)
    assert (logits[0] - logits[1]).abs().max() > 0.01 * logits.abs().max()


def conv(fan_in, fan_out, side=3, bias=False):
    return fan_in * fan_out * side**2 + bias * fan_out


def linear(fan_in, fan_out):
    return (fan_in + 1) * fan_out


def norm(channels):
    return 2 * channels


def cnn_count(k, c, s):
    left = s // 2 // 2 // 2
    return (
        conv(c, 8, bias=True)
        + conv(8, 32, bias=True)
        + conv(32, 64, bias=True)
        + linear(64 * left**2, 128)
        + linear(128, k)
    )


def cnn8_count(k, c, s):
    left = s // 2 // 2 // 2
    pairs = [(c, 64), (64, 64), (64, 128), (128, 128), (128, 196), (196, 196)]
    convolutions = sum(conv(*pair, bias=True) + norm(pair[1]) for pair in pairs)
    return convolutions + linear(196 * left**2, 256) + norm(256) + linear(256, k)


def preact_count(k, c):
    def block(fan_in, width, shortcut):
        return norm(fan_in) + conv(fan_in, width) + norm(width) + conv(width, width) + shortcut * conv(fan_in, width, 1)

    same = sum(block(width, width, False) for width in (64, 64, 128, 256, 512))
    wider = sum(block(width, 2 * width, True) for width in (64, 128, 256))
    return conv(c, 64) + same + wider + norm(512) + linear(512, k)


COUNTS = {
    "cnn": cnn_count,
    "cnn8": cnn8_count,
    "mlp_1x512": lambda k, c, s: linear(c * s**2, 512) + linear(512, k),
    "mlp_3x512": lambda k, c, s: linear(c * s**2, 512) + 2 * linear(512, 512) + linear(512, k),
    "preact_resnet18": lambda k, c, s: preact_count(k, c),
    # Known of the literature for 10 classes and 3 channels; the stem and the last layer follow the data.
    "resnet18": lambda k, c, s: 11_173_962 + (c - 3) * 64 * 9 + (k - 10) * 513,
}


@pytest.mark.parametrize("sizes", [(10, 3, 32), (10, 1, 28), (100, 3, 32), (10, 1, 8)])
@pytest.mark.parametrize("name", COUNTS)
def test_the_number_of_parameters_is_that_of_the_layers(name, sizes):
    model = MODELS[name](*sizes)
    assert sum(parameter.numel() for parameter in model.parameters()) == COUNTS[name](*sizes)


def test_the_first_stage_of_the_small_cnn_is_32x32x8():
    seen = []
    model = SmallCNN(10)
    pooling = next(layer for layer in model.modules() if isinstance(layer, nn.MaxPool2d))
    pooling.register_forward_pre_hook(lambda layer, inputs: seen.append(tuple(inputs[0].shape)))
    model(torch.zeros(2, 3, 32, 32))
    assert seen == [(2, 8, 32, 32)]


def test_the_small_cnn_has_xavier_weights_and_no_bias_in_its_linear_layers():
    layers = [layer for layer in SmallCNN(10).modules() if isinstance(layer, nn.Linear)]
    assert len(layers) == 2
    for layer in layers:
        bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)  # uniform
        assert not layer.bias.any()


@pytest.mark.parametrize("kind", [SmallCNN, CNN8])
def test_images_too_small_for_the_poolings_are_refused(kind):
    assert kind(10, 1, 8)
    with pytest.raises(ValueError, match=r"7x7 are too small: 3 poolings need 8"):
        kind(10, 1, 7)


def naive_preact(x, block, stride):
    def activate(values, bn):
        mean, variance = values.mean((0, 2, 3), keepdim=True), values.var((0, 2, 3), correction=0, keepdim=True)
        return F.relu(bn.weight[:, None, None] * (values - mean) / (variance + 1e-5).sqrt() + bn.bias[:, None, None])

    active = activate(x, block.bn1)
    middle = F.conv2d(active, block.conv1.weight, stride=stride, padding=1)
    residual = F.conv2d(activate(middle, block.bn2), block.conv2.weight, padding=1)
    same_shape = residual.shape == x.shape
    return residual + (x if same_shape else F.conv2d(active, block.shortcut.weight, stride=stride))


@pytest.mark.parametrize(("fan_in", "channels", "stride"), [(8, 8, 1), (8, 16, 1), (8, 16, 2), (8, 8, 2)])
def test_a_preact_block_is_its_composition(fan_in, channels, stride):
    block = PreActBlock(fan_in, channels, stride).double()
    for parameter in block.parameters():  # also those of batch norm, which start as ones and zeros
        nn.init.normal_(parameter, 0.1, 0.5)
    x = torch.randn(4, fan_in, 6, 6, dtype=torch.float64)
    before = x.clone()
    torch.testing.assert_close(block(x), naive_preact(before, block, stride))
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_small_image_resnets_keep_the_resolution_up_to_the_second_stage():
    seen = {}
    model = resnet_small_images("resnet18", 10)
    for name in ("layer1", "layer4"):
        layer = getattr(model, name)
        layer.register_forward_hook(lambda layer, inputs, output, name=name: seen.update({name: output.shape[1:]}))
    model(torch.zeros(2, 3, 32, 32))
    assert seen == {"layer1": (64, 32, 32), "layer4": (512, 4, 4)}
