"""Progressive early stopping: the later a layer, the shorter it is trained on noisy labels."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import soft
from lnl.methods.stages import Stage, StagedMethod
from lnl.models.features import last_linear


def blocks(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """What a network and the sequences in it consist of, in order; also of what a pretrained one calls its backbone."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential) or name == "backbone":
            yield from blocks(child, f"{path}{name}.")
        else:
            yield f"{path}{name}", child


def later_parts(network: nn.Module) -> tuple[list[str], list[str]]:
    """Names of a network's modules from where it last halves the image, and of its last linear layer.

    Pooling behind the last convolution does not count. Where no image is halved, as in an MLP, the first of them are
    the last two modules with parameters.
    """

    def halves(module: nn.Module) -> bool:
        moving = (part for part in module.modules() if isinstance(part, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d))
        return any(max(part.stride if isinstance(part.stride, tuple) else (part.stride,)) > 1 for part in moving)

    inside = list(blocks(network))
    convolves = [any(isinstance(part, nn.Conv2d) for part in block.modules()) for _, block in inside]
    places = (place for place, (_, block) in enumerate(inside) if halves(block) and any(convolves[place:]))
    first = max(places, default=None)
    tail = [name for name, block in inside[first:] if next(block.parameters(), None) is not None]
    return tail if first is not None else tail[-2:], [last_linear(network)[0]]


class ProgressiveEarlyStopping(StagedMethod):
    r"""PES (arXiv:2106.15853): the network is trained for :math:`T_1` epochs; then its later part is made new and
    trained for :math:`T_2` epochs with the earlier one frozen, then its last layer for :math:`T_3`.

    Later layers memorise wrong labels sooner, so that they stop earlier. From then on the whole network is trained on
    the samples it is confident about, those it predicts the given label of, chosen before each epoch. Classes c of
    :math:`n_c` such samples weigh :math:`w_c = \bar n / n_c`; the loss is :math:`\sum_i w_i \ell_i / \sum_i w_i`.

    The later part begins where the network last halves the image before a convolution: block 4 of a ResNet, as in the
    paper. Of a pretrained network it is pretrained again. Here confidence is that on the image as it is, there the mean
    over two augmented views. In the authors' code the optimizer does not hold the new layers, which are therefore not
    trained any further; here they are. The last stage has a learning rate schedule of its own, whose first :math:`T_1`
    epochs are left out; the first stage has the whole schedule's start.

    Args:
        part_epochs: :math:`T_1, T_2, T_3`, at least 1 each, or :math:`T_1, T_2`, where only the last layer is made new.
        refine_lr: learning rate of Adam, which trains the later parts, above 0.
    """

    class_weights: Tensor
    most = float("inf")  # a weight

    def __init__(self, *, part_epochs: Sequence[int] = (25, 7, 5), refine_lr: float = 1e-4, **base: Any) -> None:
        super().__init__(**base)
        if len(part_epochs) not in (2, 3):
            raise ValueError(f"part_epochs must be two or three numbers, got {list(part_epochs)}")
        check_range("[1, inf)", **{"each of part_epochs": min(part_epochs)})
        check_range("(0, inf)", refine_lr=refine_lr)
        self.part_epochs, self.refine_lr = list(part_epochs), refine_lr
        self.register_buffer("class_weights", torch.ones(self.num_classes))

    def stages(self, epochs: int) -> list[Stage]:
        first, *others = self.part_epochs
        parts = later_parts(self.model)[-len(others) :]
        adam = partial(torch.optim.Adam, lr=self.refine_lr)
        later = [Stage(n, part, part, optimizer=adam) for n, part in zip(others, parts, strict=True)]
        return [Stage(first, schedule=epochs), *later, Stage(epochs - sum(self.part_epochs))]

    def training_set(self, epoch: int) -> Tensor:
        chosen = super().training_set(epoch)
        if not self.is_last:
            return chosen
        index, agrees = self.over_training_set(lambda batch: self.model(batch.images).argmax(dim=1) == batch.labels)
        return self.divide(index, agrees.bool())

    def divide(self, index: Tensor, confident: Tensor) -> Tensor:
        """The samples of an epoch: the confident ones, or all if there are none."""
        kept = index[confident] if confident.any() else index
        counts = self.samples.given.to(kept.device)[kept].bincount(minlength=self.num_classes)
        weights = counts.sum() / (counts > 0).sum() / counts
        self.class_weights.copy_(weights.where(counts > 0, 0).clamp(max=self.most))
        return kept

    def training_loss(self, batch: Batch) -> Tensor:
        losses = self.loss(self(batch.images), batch.labels)
        weights = soft(batch.labels, self.num_classes) @ self.class_weights
        return (weights * losses).sum() / weights.sum()
