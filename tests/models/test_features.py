"""Which linear layers are those that predict, among all that a method and its networks may have."""

import copy

import pytest
import torch
from torch import nn

from lnl.data import Batch
from lnl.models.features import features_of, predicting_layers

IMAGES = torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(1))


class Network(nn.Module):
    """Has a gate that runs, and one that does not, both made after the layer that predicts."""

    def __init__(self, scale=1, keyword=False):
        super().__init__()
        self.scale, self.keyword = scale, keyword
        self.head = nn.Linear(12, 5)
        self.gate, self.unused = nn.Linear(12, 12), nn.Linear(5, 5)

    def forward(self, images):
        features = images.flatten(1) * self.gate(images.flatten(1)).sigmoid()
        return self.scale * (self.head(input=features) if self.keyword else self.head(features))


class AuxiliaryHead(Network):
    def forward(self, images):
        logits = super().forward(images).unsqueeze(0)
        self.unused(logits)
        return logits.squeeze(0)


class Method(nn.Module):
    device = torch.device("cpu")

    def __init__(self, *networks, **heads):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.projection, self.heads = nn.Linear(5, 2), nn.ModuleDict(heads)

    def forward(self, images):
        logits = torch.stack([network(images) for network in self.networks]).mean(dim=0)
        self.projection(logits)
        for head in self.heads.values():
            logits = head(logits)
        return logits


def pooled():
    """A head of convolutions."""
    return nn.Sequential(nn.Conv2d(3, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def averaged(network):
    return torch.optim.swa_utils.AveragedModel(network)


first, second, keyword, auxiliary, scaled = Network(), Network(), Network(keyword=True), AuxiliaryHead(), Network(2)
inside, normed = averaged(Network()), nn.BatchNorm1d(5)
chain = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 5), nn.Flatten())
transition = nn.Linear(5, 5)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (Method(first), [first.head]),
        (Method(first, second), [first.head, second.head]),
        (Method(first, first), [first.head]),
        (Method(keyword), [keyword.head]),
        (Method(auxiliary), [auxiliary.head]),
        (Method(chain), [chain[3]]),
        (Method(inside), [inside.module.head]),
        (Method(first, norm=normed), [first.head]),
        (Method(first, transition=transition), [transition]),
        (Method(pooled()), []),
        (Method(first, pooled()), [first.head]),
        (Method(scaled), []),
    ],
)
def test_the_layers_that_predict(method, expected):
    modes = [module.train(number % 2 == 0).training for number, module in enumerate(method.modules())]
    before = copy.deepcopy(method.state_dict())
    assert predicting_layers(method, IMAGES) == expected
    assert [module.training for module in method.modules()] == modes
    torch.testing.assert_close(method.state_dict(), before, rtol=0, atol=0)  # batch norm has seen nothing


@pytest.mark.parametrize("network", [first, keyword])
def test_features_are_what_these_layers_are_given(network):
    """Of two networks the mean of both cosines counts."""
    loader = [Batch(part, torch.zeros(2), torch.arange(2)) for part in IMAGES.split(2)]
    flat = IMAGES.flatten(1)
    parts = [nn.functional.normalize(flat * net.gate(flat).sigmoid(), dim=1) for net in (network, second)]
    one = features_of(Method(network), [network.head], loader)
    torch.testing.assert_close(one, parts[0])
    both = features_of(Method(network, second), [network.head, second.head], loader)
    torch.testing.assert_close(both @ both.T, (parts[0] @ parts[0].T + parts[1] @ parts[1].T) / 2)
