"""DivideMix: labels that are likely wrong are dropped, their images are kept."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import sharpen, small_loss_probability, soft
from lnl.methods.mix import Mixup
from lnl.methods.mixmatch import mean_prediction, mixmatch
from lnl.methods.noise_aware import FromNoise, NoiseAware, Table, check_table
from lnl.methods.two_networks import TwoNetworks

LAMBDA_U = ((0.2, 0.0), (0.5, 25.0), (0.8, 25.0), (0.9, 50.0))  # the authors', on CIFAR-10


class DivideMix(NoiseAware, TwoNetworks):
    r"""DivideMix (arXiv:2002.07394): each network divides the samples for the other one, which learns semi-supervised.

    After a warm-up, each epoch fits two Gaussians to each network's losses: :math:`w_i` is the probability that loss i
    is of the lower one. Samples with :math:`w_i` above ``threshold`` are labelled for the other network, by
    :math:`w_i y_i + (1 - w_i) p_i` (co-refinement), the others unlabelled, by both networks' prediction (co-guessing).
    Predictions are means over two views; targets are sharpened, and all are mixed by mixup. The loss is
    :math:`L_x + \lambda_u L_u + L_\text{reg}`: cross entropy, squared error, and KL(equal shares, mean prediction).
    A step trains both networks; the first one's labelled samples make the epoch. All samples replace an empty part.

    The authors choose three things by the true noise. :math:`\lambda_u` is from their table, by the estimated noise.
    The confidence penalty is a switch, because the warm-up is over before there is an estimate. Not here: losses that
    are means over five epochs, at 90 %.

    Args:
        warmup_epochs: at least 0. The authors' are 10 of 300 on CIFAR-10, 30 on CIFAR-100.
        confidence_penalty: adds the negative entropy to the warm-up's loss, for asymmetric noise.
        threshold, temperature, alpha: of w in [0, 1), of sharpening above 0, of mixup above 0.
        lambda_u: weight of unlabelled samples, at least 0: a number, or the value that ``lambda_u_by_rate`` has for the
            noise, ``estimate`` for the estimated or ``true`` for the true one (:class:`NoiseAware`).
        lambda_u_by_rate: pairs of a rate of inclusive symmetric noise and a weight; the nearest rate counts. 40 %
            asymmetric noise of CIFAR-10, 20 % wrong labels, is then 20 %: the authors have the same weight for both.
        ramp_epochs: until the weight is reached, above 0.
    """

    noise_options = ("lambda_u",)
    views = ("weak", "weak")
    any_loss = False
    right: Tensor

    def __init__(
        self,
        *,
        warmup_epochs: int = 10,
        confidence_penalty: bool = False,
        threshold: float = 0.5,
        temperature: float = 0.5,
        alpha: float = 4.0,
        lambda_u: FromNoise = "estimate",
        lambda_u_by_rate: Table = LAMBDA_U,
        ramp_epochs: int = 16,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[0, inf)", warmup_epochs=warmup_epochs)
        check_table("[0, inf)", lambda_u=(lambda_u, lambda_u_by_rate))
        check_range("(0, inf)", temperature=temperature, ramp_epochs=ramp_epochs)
        check_range("[0, 1)", threshold=threshold)
        self.warmup_epochs, self.confidence_penalty, self.threshold = warmup_epochs, confidence_penalty, threshold
        self.temperature, self.ramp_epochs = temperature, ramp_epochs
        self.lambda_u, self.lambda_u_by_rate = lambda_u, lambda_u_by_rate
        self.mixup = Mixup(alpha)
        self.register_buffer("right", torch.zeros(self.num_samples, 2))  # w, for each of the networks

    def training_set(self, epoch: int) -> Tensor | None:
        if epoch < self.warmup_epochs:
            return None
        index, losses = self.over_training_set(
            lambda batch: torch.stack([self.loss(net(batch.images), batch.labels) for net in self.networks], dim=1)
        )
        self.right[index] = torch.stack([small_loss_probability(of_other) for of_other in losses.flip(1).T], dim=1)
        labelled = self.right[index] > self.threshold
        parts = [index[mask] if mask.any() else index for chosen in labelled.T for mask in (chosen, ~chosen)]
        for stream, part in enumerate(parts[1:]):
            self.endless(part, stream, views=self.views)
        return parts[0]

    def training_loss(self, batch: Batch) -> Tensor:
        if self.current_epoch < self.warmup_epochs:
            return self.warm_up_loss(batch, self.confidence_penalty)
        unlabelled, labelled_2, unlabelled_2 = (next(self.streams[stream]) for stream in range(3))
        return self.semi_supervised_loss(0, batch, unlabelled) + self.semi_supervised_loss(1, labelled_2, unlabelled_2)

    def semi_supervised_loss(self, number: int, labelled: Batch, unlabelled: Batch) -> Tensor:
        """What network ``number`` descends on, for batches that the other one has divided."""
        with torch.no_grad(), self.other_evaluates(number):
            right, given = self.right[labelled.index, number, None], soft(labelled.labels, self.num_classes)
            predicted = self.predict(labelled, self.networks[number : number + 1])
            refined = sharpen(right * given + (1 - right) * predicted, self.temperature)
            guessed = sharpen(self.predict(unlabelled, self.networks), self.temperature)
        supervised, consistency, balance = mixmatch(
            self.networks[number], self.mixup, (labelled.views, refined), (unlabelled.views, guessed)
        )
        ramp = min((self.progress - self.warmup_epochs) / self.ramp_epochs, 1.0)
        return supervised + ramp * self.by_rate(self.lambda_u, self.lambda_u_by_rate) * consistency + balance

    def predict(self, batch: Batch, networks: Sequence[nn.Module]) -> Tensor:
        """Mean probabilities ``[B, K]`` over networks and views."""
        probabilities, logits = mean_prediction(networks, batch.views)
        self.observe(batch.index, logits)
        return probabilities
