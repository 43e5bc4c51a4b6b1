"""Meta-Weight-Net: its virtual step against one computed apart, and whole runs on digits."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lnl.data import Batch
from lnl.methods import MetaWeightNet
from lnl.methods.meta_learning import step_sizes
from tests.conftest import weights
from tests.methods.made import assert_gradients, make


def batches():
    generator = torch.Generator().manual_seed(0)
    noisy, trusted = (torch.randn(count, 5, generator=generator) for count in (6, 4))
    labels = torch.randint(3, (6,), generator=generator)
    return (
        Batch(noisy, labels, torch.arange(6)),
        Batch(trusted, torch.randint(3, (4,), generator=generator), torch.arange(6, 10)),
    )


@pytest.mark.parametrize(("present", "given"), [(0.7, None), (1e-3, 0.7)])
def test_the_gradient_of_the_weigher_goes_through_the_virtual_step(present, given):
    """By finite differences, in float64: the trusted loss after one step of descent on the weighted loss."""
    torch.manual_seed(0)
    method = make(MetaWeightNet, 10, 3, lambda: nn.Linear(5, 3), hidden=4, virtual_lr=given).double()
    rate = 0.7
    method._trainer = SimpleNamespace(optimizers=[torch.optim.SGD(method.model.parameters(), lr=present)])
    noisy, trusted = (Batch(b.images.double(), b.labels, b.index) for b in batches())
    before = {name: value.clone() for name, value in method.model.state_dict().items()}
    steps = []
    method.inner["weigher"].step = lambda: steps.append([p.grad.clone() for p in method.weigher.parameters()])
    method.train_weigher(noisy, trusted)

    weight, bias = method.model.weight.detach(), method.model.bias.detach()

    def meta_loss():
        w, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
        losses = F.cross_entropy(F.linear(noisy.images, w, b), noisy.labels, reduction="none")
        v = method.weigher(losses.detach()[:, None])[:, 0].detach()
        dw, db = torch.autograd.grad((v * losses).mean(), (w, b))
        return F.cross_entropy(F.linear(trusted.images, w - rate * dw, b - rate * db), trusted.labels).item()

    assert_gradients(method.weigher, steps.pop(), meta_loss, atol=1e-8)
    assert not steps
    torch.testing.assert_close(method.model.state_dict(), before, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in method.model.parameters())


@pytest.mark.parametrize("amsgrad", [False, True])
def test_the_virtual_step_is_as_long_as_that_of_adam(amsgrad):
    """By hand after three steps; a parameter without any has the learning rate itself."""
    gradients = torch.tensor([[0.1, -2.0], [3.0, 0.0], [-0.5, 0.2]], dtype=torch.float64)
    moved, other = (nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(2))
    groups = [{"params": [moved]}, {"params": [other], "lr": 0.5}]
    adam = torch.optim.Adam(groups, lr=0.01, betas=(0.9, 0.8), amsgrad=amsgrad)
    mean, largest = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for gradient in gradients:
        moved.grad = gradient
        adam.step()
        mean = 0.8 * mean + 0.2 * gradient**2
        largest = torch.maximum(largest, mean)
    root = ((largest if amsgrad else mean) / (1 - 0.8**3)).sqrt()
    found = step_sizes(adam)
    torch.testing.assert_close(found[moved], 0.01 / (root + 1e-8))
    assert found[other] == 0.5


@pytest.mark.parametrize("method", ["mw_net", "l2rw", "mlc"])
def test_a_virtual_step_leaves_out_a_frozen_backbone(digits, method):
    backbone = ("model=timm", "model.name=test_resnet", "model.weights=null", "model.freeze=true", "data.image_size=32")
    outcome = digits(f"method={method}", "data.trusted=20", "data.subset=100", *backbone)
    assert outcome.code == 0, outcome.err


def test_too_few_trusted_samples_are_named(digits):
    outcome = digits("method=mlc", "data.trusted=3")
    assert outcome.code == 1
    assert "MetaLabelCorrection needs at least 4 trusted samples to train on, and has" in outcome.err


def test_a_run_trains_the_weigher_apart_from_the_network(digits):
    outcome = digits("method=mw_net", "data.trusted=100", "noise.rate=0.4", "trainer.max_epochs=3", "method.lr=0.01")
    assert outcome.code == 0, outcome.err
    checkpoint = torch.load(outcome.folder / "checkpoints/last.ckpt", weights_only=True)
    (group,) = checkpoint["optimizer_states"][0]["param_groups"]
    networks = [name for name in weights(outcome.folder) if name.startswith("model.")]
    trained = [name for name in networks if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert len(group["params"]) == len(trained)
    steps = {state["step"].item() for state in checkpoint["inner"]["weigher"]["state"].values()}
    assert steps == {checkpoint["global_step"]}
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["train/memorised"].notna().all()
    assert table["train/mean_weight"].nunique() == 3
    visited = table["train/visited"].iloc[0]
    assert visited == pytest.approx(1 - 100 / outcome.result["data"]["train"])  # trusted samples are not trained on


def test_a_virtual_rate_outside_is_refused():
    with pytest.raises(ValueError, match="virtual_lr must be above 0"):
        make(MetaWeightNet, 10, 3, lambda: nn.Linear(5, 3), virtual_lr=0.0)


def test_it_needs_trusted_samples(digits):
    outcome = digits("method=mw_net")
    assert "this method needs samples with trusted labels" in outcome.err


@pytest.mark.slow
def test_it_needs_one_device(digits):
    outcome = digits("method=mw_net", "data.trusted=100", "trainer.devices=2", "trainer.accelerator=cpu")
    assert "MetaWeightNet trains on one device" in outcome.err
