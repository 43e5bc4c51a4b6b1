"""Networks for small images: shapes, sizes and the exact composition."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lnl.models import (
    CNN8,
    MLP,
    AlexNetSmall,
    DropoutCNN,
    InceptionSmall,
    PreActResNet18,
    ResNet9,
    SmallCNN,
    TorchvisionModel,
    WideResNet,
    resnet_small_images,
)
from lnl.models.resnet import PreActBlock
from lnl.models.rethinking import SideBySide

MODELS = {
    "cnn": SmallCNN,
    "cnn, no batch norm": lambda *sizes: SmallCNN(*sizes, batch_norm=False),
    "cnn8": CNN8,
    "resnet9": lambda num_classes, channels, _: ResNet9(num_classes, channels, width=16),
    "mlp_1x512": MLP,
    "mlp_3x512": lambda *sizes: MLP(*sizes, depth=3),
    "resnet18": lambda num_classes, channels, _: resnet_small_images("resnet18", num_classes, channels),
    "preact_resnet18": lambda num_classes, channels, _: PreActResNet18(num_classes, channels),
    "mobilenet_v2": lambda num_classes, channels, _: TorchvisionModel("mobilenet_v2", num_classes, channels),
    "alexnet_small": AlexNetSmall,
    "inception_small": lambda num_classes, channels, _: InceptionSmall(num_classes, channels),
    "inception_small, no batch norm": lambda num_classes, channels, _: InceptionSmall(num_classes, channels, False),
    "wide_resnet28_1": lambda num_classes, channels, _: WideResNet(num_classes, channels, k=1),
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


def resnet9_count(k, c, w):
    pairs = [(c, w), (w, 2 * w), (2 * w, 4 * w), (4 * w, 8 * w), *2 * [(2 * w, 2 * w)], *2 * [(8 * w, 8 * w)]]
    return sum(conv(*pair) + norm(pair[1]) for pair in pairs) + linear(8 * w, k)


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


def inception_count(k, c):
    def narrow_and_wide(fan_in, narrow, wide):
        return conv(fan_in, narrow, 1, bias=True) + conv(fan_in, wide, bias=True)

    pairs = [(96, 32, 32), (64, 32, 48), (160, 112, 48), (160, 96, 64), (160, 80, 80), (160, 48, 96)]
    pairs += [(240, 176, 160), (336, 176, 160)]
    downsampling = conv(80, 80, bias=True) + conv(144, 96, bias=True)
    return conv(c, 96, bias=True) + sum(narrow_and_wide(*pair) for pair in pairs) + downsampling + linear(336, k)


def alexnet_count(k, c, s):
    convolutions = conv(c, 64, 5, bias=True) + conv(64, 64, 5, bias=True)
    return convolutions + linear(64 * (s // 4) ** 2, 384) + linear(384, 192) + linear(192, k)


COUNTS = {
    "alexnet_small": alexnet_count,
    "inception_small": lambda k, c, s: inception_count(k, c),
    "inception_small, no batch norm": lambda k, c, s: inception_count(k, c),
    "cnn": lambda *sizes: cnn_count(*sizes) + sum(map(norm, (8, 32, 64, 128))),
    "cnn, no batch norm": cnn_count,
    "resnet9": lambda k, c, s: resnet9_count(k, c, 16),
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


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("inception_small", 1_649_402),
        ("inception_small, no batch norm", 1_649_402),
        ("alexnet_small", 1_387_786),
        ("mlp_3x512", 1_735_178),
        ("mlp_1x512", 1_209_866),
    ],
)
def test_the_networks_of_rethinking_generalization_have_its_number_of_parameters(name, count):
    """Table 1 of arXiv:1611.03530."""
    assert sum(parameter.numel() for parameter in MODELS[name](10, 3, 28).parameters()) == count


@pytest.mark.parametrize(("depth", "k", "millions"), [(40, 1, 0.6), (40, 4, 8.9), (16, 8, 11.0), (28, 10, 36.5)])
def test_wide_resnets_have_the_number_of_parameters_of_their_paper(depth, k, millions):
    """Table 4 of arXiv:1605.07146."""
    with torch.device("meta"):
        model = WideResNet(10, depth=depth, k=k)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize(("depth", "k"), [(27, 1), (4, 1), (28, 0)])
def test_a_wide_resnet_that_cannot_be_is_refused(depth, k):
    with pytest.raises(ValueError, match=rf"depth={depth}, k={k}"):
        WideResNet(10, depth=depth, k=k)


def sizes_seen(model, kind, image_size):
    seen = []
    for layer in model.modules():
        if isinstance(layer, kind):
            layer.register_forward_hook(lambda layer, inputs, output: seen.append(tuple(output.shape[1:])))
    model(torch.zeros(2, 3, image_size, image_size))
    return seen


@pytest.mark.parametrize(("image_size", "sides"), [(28, (14, 7)), (32, (16, 8))])
def test_small_inception_and_alexnet_halve_the_side_twice(image_size, sides):
    half, quarter = sides
    joined = sizes_seen(InceptionSmall(10), SideBySide, image_size)
    whole = [(64, image_size, image_size), (80, image_size, image_size)]
    halved = [(channels, half, half) for channels in (160, 160, 160, 160, 144)]
    assert joined == [*whole, *halved, *((channels, quarter, quarter) for channels in (240, 336, 336))]
    pooled = sizes_seen(AlexNetSmall(10, 3, image_size), nn.MaxPool2d, image_size)
    assert pooled == [(64, half, half), (64, quarter, quarter)]


def test_alexnet_s_response_normalisation_is_that_of_tensorflow_s_tutorial():
    """x / (1 + .001 / 9 * sum of x^2 over 4 channels to each side) ^ .75"""
    layer = next(layer for layer in AlexNetSmall(10).modules() if isinstance(layer, nn.LocalResponseNorm))
    x = 30 * torch.randn(2, 64, 3, 3, dtype=torch.float64)
    squares = [(x[:, max(0, c - 4) : c + 5] ** 2).sum(1) for c in range(64)]
    torch.testing.assert_close(layer(x), x / (1 + 0.001 / 9 * torch.stack(squares, 1)) ** 0.75)


def test_inception_without_batch_norm_has_none_and_with_it_has_no_bias_or_scale_to_learn():
    assert not [layer for layer in InceptionSmall(10, batch_norm=False).modules() if isinstance(layer, nn.BatchNorm2d)]
    names = [name for name, _ in InceptionSmall(10).named_parameters() if not name.startswith("classifier")]
    assert sum(name.endswith("1.bias") for name in names) == sum(name.endswith("0.weight") for name in names) == 19
    assert len(names) == 38


@pytest.mark.parametrize("kind", [SmallCNN, MLP, AlexNetSmall, InceptionSmall, WideResNet])
def test_dropout_is_at_work_in_training_alone(kind):
    options = {"depth": 10, "k": 1} if kind is WideResNet else {}
    model, plain = (kind(10, 3, **options, dropout=rate) for rate in (0.5, 0.0))
    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(plain.parameters()), model.parameters())
    images = torch.randn(8, 3, 32, 32)
    torch.testing.assert_close(model.eval()(images), plain.eval()(images))
    assert not torch.equal(model.train()(images), model(images))
    torch.testing.assert_close(plain.train()(images), plain(images))


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
    with pytest.raises(ValueError, match=r"7x7 are too small: .* 8x8"):
        kind(10, 1, 7)


def test_the_course_project_s_network_has_its_layers():
    """Keras counts 896, 9,248, 18,496, 51,400, 20,100 and 1,010 weights for them on 32x32x3."""
    layers = [layer for layer in DropoutCNN(10).modules() if not list(layer.children())]
    counts = [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]
    assert [count for count in counts if count] == [896, 9_248, 18_496, 51_400, 20_100, 1_010]
    assert [layer.p for layer in DropoutCNN(10).modules() if isinstance(layer, nn.Dropout)] == [0.2, 0.2, 0.2, 0.5]
    assert DropoutCNN(7, 1, 22)(torch.zeros(2, 1, 22, 22)).shape == (2, 7)
    with pytest.raises(ValueError, match="21x21 are too small"):
        DropoutCNN(7, 1, 21)


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
