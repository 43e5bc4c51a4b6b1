"""Methods made by hand, and samples for them."""

from collections.abc import Callable

import torch
from torch import nn

from lnl.data.samples import Samples
from lnl.losses import CrossEntropy


def samples(count, num_classes, given=(), trusted=(), right=()):
    """Samples that may all be trained on."""
    labels = torch.tensor(given, dtype=torch.int64) if len(given) else torch.full((count,), -1)
    known = (torch.tensor(numbers, dtype=torch.int64) for numbers in (trusted, right))
    return Samples(count, num_classes, torch.arange(count), labels, *known)


def make(method, count, num_classes, model=torch.nn.Identity, **options):
    """A method with cross entropy and an optimizer that there is no need for."""
    options.setdefault("samples", samples(count, num_classes))
    return method(model=model, loss=CrossEntropy(), optimizer=lambda groups: None, **options)


class Says(nn.Module):
    """A network whose logits stand in the image, one row of them for each network."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, images):
        return images[:, self.number]


def make_two(method, count, num_classes, **options):
    """A method with two networks that say what stands in the image."""
    numbers = iter([0, 1])
    return make(method, count, num_classes, lambda: Says(next(numbers)), **options)


def assert_gradients(module: nn.Module, gradients: list[torch.Tensor], function: Callable[[], float], atol: float):
    """Raises unless the gradients of a module's parameters are the finite differences of ``function``."""
    for parameter, gradient in zip(module.parameters(), gradients, strict=True):
        flat = parameter.data.view(-1)
        for place in range(len(flat)):
            flat[place] += 1e-5
            above = function()
            flat[place] -= 2e-5
            below = function()
            flat[place] += 1e-5
            torch.testing.assert_close(gradient.view(-1)[place].item(), (above - below) / 2e-5, rtol=1e-4, atol=atol)
