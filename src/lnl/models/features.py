"""The features that a method computes its logits from."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from lnl.errors import UserError


def last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    """The name and the module of a network's last linear layer, whose input is its features.

    Raises:
        UserError: if it has no linear layer.
    """
    layers = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise UserError(f"{type(network).__name__} has no linear layer whose input could be its features.")
    return layers[-1]


def with_features(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """A network's logits ``[B, K]`` and its features ``[B, F]``, the input of its last linear layer, in one pass.

    Raises:
        UserError: if it has no linear layer.
    """
    seen: list[Tensor] = []
    with last_linear(network)[1].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0])):
        logits = network(images)
    return logits, seen[-1].flatten(1)


@torch.no_grad()
def predicting_layers(method: nn.Module, images: Tensor) -> list[nn.Linear]:
    """The linear layers that return the logits of ``method(images)``, in the order that they ran; may be empty.

    If the method combines several networks, they are the layers that return the logits of one network. ``images`` are a
    few different ones, ``[B, C, H, W]``.
    """
    modes = [(module, module.training) for module in method.modules()]
    running: list[nn.Module] = []
    linear: list[tuple[nn.Linear, Tensor]] = []
    answers: list[Tensor] = []  # of modules that the method calls itself

    def begin(module: nn.Module, inputs: Any) -> None:
        running.append(module)

    def end(module: nn.Module, inputs: Any, output: Any) -> None:
        running.pop()
        if isinstance(output, Tensor):
            if isinstance(module, nn.Linear):
                linear.append((module, output))
            if not running:
                answers.append(output)

    with ExitStack() as stack:
        for module, mode in modes:
            stack.callback(setattr, module, "training", mode)
            if module is not method:
                stack.enter_context(module.register_forward_pre_hook(begin))
                stack.enter_context(module.register_forward_hook(end))
        logits = method.eval()(images)
    for wanted in ([logits], [answer for answer in answers if answer.shape == logits.shape]):
        found = [
            layer for layer, output in linear if any(torch.equal(output.float(), answer.float()) for answer in wanted)
        ]
        if found:
            return list(dict.fromkeys(found))
    return []


def features_of(method: Any, layers: Iterable[nn.Linear], loader: Iterable[Any]) -> Tensor:
    """The inputs of the ``layers`` when the method predicts, concatenated: ``[n, F]``, each row of length 1."""
    seen: list[Tensor] = []
    rows: list[Tensor] = []

    def see(layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        (given,) = (*inputs, *named.values())
        seen.append(nn.functional.normalize(given.float().flatten(1), dim=1))

    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(layer.register_forward_pre_hook(see, with_kwargs=True))
        for batch in loader:
            method(batch.to(method.device).images)
            rows.append(torch.cat(seen, dim=1))
            seen.clear()
    return nn.functional.normalize(torch.cat(rows), dim=1)
