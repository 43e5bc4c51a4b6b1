"""ELR+: two networks that hold each other to what they believed early."""

import copy
import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.early_learning import early_learning_regularizer, probabilities, remember
from lnl.methods.functional import soft
from lnl.methods.mix import Mixup
from lnl.methods.two_networks import TwoNetworks


class ELRPlus(TwoNetworks):
    r"""ELR+ (arXiv:2007.00151): ELR with two networks, averages of their weights, and mixup.

    Each network has the loss of :class:`EarlyLearningRegularization`, on images, labels and targets that are mixed
    alike. Its target :math:`t_i` is a running mean of what the *other* network's average predicts for the image before
    it is mixed. After each step the averages move, :math:`\bar\theta \leftarrow \gamma_t \bar\theta + (1 - \gamma_t)
    \theta`, with :math:`\gamma_t = \gamma \exp(-5 (1 - t / T)^2)` for T = ``ramp_epochs``, then :math:`\gamma`. Only
    parameters are averaged: in batch norm an average takes the statistics of its batch, as networks in training do. The
    prediction is the mean logits of the two networks, as in the authors' code.

    A step trains both networks on the same batch, with a draw of mixup for each; the authors train them in turn, an
    epoch each. Averages start from the networks, theirs from other random weights. On CIFAR-100 their code also
    multiplies labels by the targets and lets :math:`\lambda` grow with :math:`\gamma_t`: not here. Training metrics are
    of the two averages, which see the images unmixed.

    Args:
        beta: of the targets, in [0, 1).
        weight: :math:`\lambda`, at least 0.
        alpha: of mixup, above 0.
        gamma: of the averages, in [0, 1).
        ramp_epochs: T, above 0. The authors' are 40,000 steps, 102 of 200 epochs.
    """

    targets: Tensor

    def __init__(
        self,
        *,
        beta: float = 0.7,
        weight: float = 3.0,
        alpha: float = 1.0,
        gamma: float = 0.997,
        ramp_epochs: int = 102,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[0, 1)", beta=beta, gamma=gamma)
        check_range("[0, inf)", weight=weight)
        check_range("(0, inf)", ramp_epochs=ramp_epochs)
        self.beta, self.weight, self.gamma, self.ramp_epochs = beta, weight, gamma, ramp_epochs
        self.mixup = Mixup(alpha)
        self.model_average, self.second_average = (copy.deepcopy(net).requires_grad_(False) for net in self.networks)
        self.register_buffer("targets", torch.zeros(self.num_samples, 2, self.num_classes))  # for each of the networks

    def training_loss(self, batch: Batch) -> Tensor:
        self.update_averages()
        with torch.no_grad():
            one, other = self.model_average(batch.images), self.second_average(batch.images)
        self.observe(batch.index, (one + other) / 2)
        return self.loss_of(0, batch, believed=other) + self.loss_of(1, batch, believed=one)

    def loss_of(self, number: int, batch: Batch, believed: Tensor) -> Tensor:
        """What network ``number`` descends on, given the logits ``[B, K]`` of the other one's average."""
        targets = remember(self.targets[:, number], batch.index, probabilities(believed), self.beta)
        both = torch.cat([soft(batch.labels, self.num_classes), targets], dim=1)
        mixed = self.mixup(replace(batch, labels=both), self.num_classes)
        labels, targets = mixed.labels.chunk(2, dim=1)
        logits = self.networks[number](mixed.images)
        regularizer = early_learning_regularizer(targets, probabilities(logits))
        self.log_term(f"regularizer_{number + 1}", regularizer, batch)
        return self.loss(logits, labels).mean() + self.weight * regularizer

    @torch.no_grad()
    def update_averages(self) -> None:
        """Moves the averages towards the networks, as the last step has left them."""
        gamma = self.gamma * math.exp(-5 * (1 - min(self.progress / self.ramp_epochs, 1)) ** 2)
        for average, network in zip((self.model_average, self.second_average), self.networks, strict=True):
            get_ema_multi_avg_fn(gamma)(list(average.parameters()), list(network.parameters()), 0)
