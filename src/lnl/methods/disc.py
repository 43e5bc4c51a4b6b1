"""DISC: each sample has thresholds of its own, by which its label is kept, doubted or corrected."""

import random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.losses import GeneralizedCrossEntropy
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.functional import soft
from lnl.methods.mix import Mixup

CLEAN, HARD, PURIFIED = 1, 2, 3  # 0 for a sample of no set


class DISC(NoisyLabelMethod):
    r"""Dynamic instance-specific selection and correction (Li et al., DISC, CVPR 2023, pages 24070-24079).

    Each sample has a threshold for each of two views, the running mean of the network's confidence:
    :math:`\tau \leftarrow m \tau + (1 - m) \max_k p_k`, from 1 / N on. Whenever an epoch comes to a sample, it is put
    into a set, by the thresholds before they move, which is the set that the next epoch takes it for:

    - clean, if the probability of its label is above the threshold in both views,
    - hard, if it is in one of them,
    - purified, if it is neither, and the largest mean probability of the views is above
      :math:`\min(\frac{\tau_w + \tau_s}{2} + \sigma,\ 0.9)`. The predicted class is its label then.

    The loss adds up cross entropy of the clean samples, :math:`\lambda_h` times generalised cross entropy (q = 0.7) of
    the hard ones, both as sums divided by the batch's size, and mixup of all three sets, in the mean over them; each
    over both views. A warm-up has cross entropy of all samples in both views.

    The authors set m and :math:`\lambda_h` by the true kind and rate of noise: 0.95 for asymmetric noise, 0.95 and 0.2
    from 60 % on, with Adam for SGD above. Here they are constants, by default those for other noise. Samples of no set
    pass through the network with the mixed ones, with the weight 0, so that no step waits for their number; they count
    in the statistics of batch norm.

    Args:
        warmup_epochs, momentum, sigma: at least 1, m in [0, 1), and in [0, 1].
        lambda_h, alpha: at least 0, and of mixup, above 0.
    """

    views = ("weak", "strong")
    any_loss = False
    tau: Tensor
    part: Tensor
    corrected: Tensor

    def __init__(
        self,
        *,
        warmup_epochs: int = 20,
        momentum: float = 0.99,
        sigma: float = 0.5,
        lambda_h: float = 1.0,
        alpha: float = 5.0,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[1, inf)", warmup_epochs=warmup_epochs)
        check_range("[0, 1)", momentum=momentum)
        check_range("[0, 1]", sigma=sigma)
        check_range("[0, inf)", lambda_h=lambda_h)
        self.warmup_epochs, self.momentum, self.sigma, self.lambda_h = warmup_epochs, momentum, sigma, lambda_h
        self.mixup, self.hard_loss = Mixup(alpha), GeneralizedCrossEntropy(q=0.7)
        self.register_buffer("tau", torch.full((self.num_samples, 2), 1 / self.num_samples))
        self.register_buffer("part", torch.zeros(self.num_samples, dtype=torch.int64))
        self.register_buffer("corrected", torch.zeros(self.num_samples, dtype=torch.int64))

    def training_loss(self, batch: Batch) -> Tensor:
        part, corrected = self.part[batch.index], self.corrected[batch.index]
        both = self(torch.cat(batch.views)).float().unflatten(0, (2, -1))
        self.observe(batch.index, both[0])
        given = soft(batch.labels, self.num_classes)
        self.divide(batch.index, given, both.detach().softmax(dim=2))
        clean = -(given * both.log_softmax(dim=2)).sum(dim=(0, 2))
        if self.current_epoch < self.warmup_epochs:
            return clean.mean()
        hard = self.hard_loss(both[0], given) + self.hard_loss(both[1], given)
        for name, number in (("clean", CLEAN), ("hard", HARD), ("purified", PURIFIED)):
            self.log_term(name, (part == number).float().mean(), batch)
        loss = ((part == CLEAN) * clean + self.lambda_h * (part == HARD) * hard).mean()
        labels = F.one_hot(corrected, self.num_classes).where((part == PURIFIED)[:, None], given)
        return loss + torch.stack([self.mixed_loss(view, labels, part > 0) for view in batch.views]).sum()

    def divide(self, index: Tensor, given: Tensor, p: Tensor) -> None:
        """Puts the samples ``index[B]`` into their sets, by both views' probabilities ``p[2, B, K]``."""
        tau, of_label = self.tau[index], (given * p).sum(dim=2).T
        votes = (of_label > tau).sum(dim=1)
        confidence, predicted = p.mean(dim=0).max(dim=1)
        purified = confidence > (tau.mean(dim=1) + self.sigma).clamp(max=0.9)
        selected = torch.where(votes == 2, CLEAN, HARD)
        self.part[index] = torch.where(votes > 0, selected, PURIFIED * purified)
        self.corrected[index] = predicted
        self.tau[index] = self.momentum * tau + (1 - self.momentum) * p.amax(dim=2).T

    def mixed_loss(self, images: Tensor, labels: Tensor, chosen: Tensor) -> Tensor:
        """Cross entropy of the images ``chosen[B]``, each mixed with a random one of them."""
        share = random.betavariate(self.mixup.alpha, self.mixup.alpha)
        order = shuffled_within(chosen)
        (mixed,), share = self.mixup.combine((images,), order, max(share, 1 - share))
        targets = share * labels + (1 - share) * labels[order]
        losses = -(targets * self.model(mixed).float().log_softmax(dim=1)).sum(dim=1)
        return (chosen * losses).sum() / chosen.sum().clamp(min=1)


def shuffled_within(chosen: Tensor) -> Tensor:
    """A random permutation of the places that ``chosen[B]`` marks, as ``[B]``; the others stay where they are."""
    everyone = torch.arange(len(chosen), device=chosen.device)
    first = torch.where(chosen, torch.rand(len(chosen), device=chosen.device), 2.0).argsort()  # the chosen, shuffled
    return torch.where(chosen, first[chosen.cumsum(dim=0) - 1], everyone)
