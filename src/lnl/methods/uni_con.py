"""UniCon: as many samples of each class are labelled, and the images of the others are contrasted."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import contrastive_loss, rank_in_class, sharpen, soft
from lnl.methods.mix import Mixup
from lnl.methods.mixmatch import mean_prediction, mixmatch
from lnl.methods.two_networks import TwoNetworks
from lnl.models.features import last_linear, with_features


class UniCon(TwoNetworks):
    r"""UniCon (arXiv:2203.14542): two networks divide the samples alike in all classes, and learn semi-supervised.

    After a warm-up, before each epoch, :math:`d_i` is the Jensen-Shannon divergence in bits, in [0, 1], of label i and
    the mean of both networks' predictions. With R the share of samples below the cutoff, which is the mean :math:`\bar
    d`, or :math:`\bar d - (\bar d - d_\text{min}) / \tau` if that is above :math:`d_\mu`, the :math:`R n / K` samples
    of smallest d of each given class are labelled, by :math:`w_i y_i + (1 - w_i) p_i`, where :math:`w_i` is 1 for
    :math:`d_i \ln 2 < 0.5` and else :math:`1 - d_i \ln 2`. The others have both networks' prediction. Predictions are
    means over two weak views, and sharpened. Two strong views of each sample are mixed by mixup for

    .. math:: L_x + \lambda_u L_u + L_\text{reg} + \lambda_c L_c

    (:func:`~lnl.methods.mixmatch.mixmatch`); :math:`L_c` contrasts the projected features of the others' strong views
    (:func:`~lnl.methods.functional.contrastive_loss`). A step trains both networks, each on batches of its own; the
    first one's labelled samples make the epoch. All samples replace an empty part.

    The authors divide once for each network, train one after the other, and choose the penalty by the true noise. Their
    code takes the natural logarithm, so that d is at most 0.69 and never above :math:`d_\mu`: its formula with
    :math:`\tau`, where a name is misspelt, is never reached. w, the projectors and the number of unlabelled samples in
    a step, :math:`1 / 2R` times the labelled ones (here at most 4 times as many), are their code's.

    Args:
        warmup_epochs: at least 0.
        confidence_penalty: adds the negative entropy to the warm-up's loss, for asymmetric noise.
        d_mu, tau: :math:`d_\mu` in [0, 1], and :math:`\tau`, at least 1.
        temperature, alpha: of sharpening and of mixup, above 0.
        lambda_u, ramp_epochs: weight of unlabelled samples, at least 0, and epochs until it is reached, above 0.
        lambda_c, contrast_temperature: weight of the contrast, at least 0, and its temperature, above 0.
    """

    views = ("weak", "weak", "strong", "strong")
    any_loss = False
    several_devices = False  # the projectors have no gradient in the warm-up
    right: Tensor

    def __init__(
        self,
        *,
        warmup_epochs: int = 10,
        confidence_penalty: bool = False,
        d_mu: float = 0.7,
        tau: float = 5.0,
        temperature: float = 0.5,
        alpha: float = 4.0,
        lambda_u: float = 30.0,
        ramp_epochs: int = 16,
        lambda_c: float = 0.025,
        contrast_temperature: float = 0.05,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[0, inf)", warmup_epochs=warmup_epochs, lambda_u=lambda_u, lambda_c=lambda_c)
        check_range("[0, 1]", d_mu=d_mu)
        check_range("[1, inf)", tau=tau)
        check_range("(0, inf)", temperature=temperature, ramp_epochs=ramp_epochs)
        check_range("(0, inf)", contrast_temperature=contrast_temperature)
        self.warmup_epochs, self.confidence_penalty, self.d_mu, self.tau = warmup_epochs, confidence_penalty, d_mu, tau
        self.temperature, self.lambda_u, self.ramp_epochs = temperature, lambda_u, ramp_epochs
        self.lambda_c, self.contrast_temperature, self.mixup = lambda_c, contrast_temperature, Mixup(alpha)
        size = last_linear(self.model)[1].in_features
        self.projectors = nn.ModuleList(nn.Sequential(nn.Linear(size, 128), nn.BatchNorm1d(128)) for _ in self.networks)
        self.register_buffer("right", torch.zeros(self.num_samples))  # w

    def training_set(self, epoch: int) -> Tensor | None:
        if epoch < self.warmup_epochs:
            return None
        index, p = self.over_training_set(lambda batch: mean_prediction(self.networks, [batch.images])[0])
        labels = self.samples.given.to(index.device)[index]
        labelled = self.divide(index, p.gather(1, labels[:, None])[:, 0], labels)
        parts = [index[mask] if mask.any() else index for mask in (labelled, ~labelled)]
        size: int = self.trainer.datamodule.batch_size  # type: ignore[attr-defined]
        others = max(2, round(size * min(len(index) / (2 * len(parts[0])), 4)))
        for stream, (part, count) in enumerate(((parts[1], others), (parts[0], size), (parts[1], others))):
            self.endless(part, stream, count, self.views)
        return parts[0]

    def divide(self, index: Tensor, p: Tensor, labels: Tensor) -> Tensor:
        """Whether samples are labelled, bool ``[n]``, by the probabilities ``p`` of their labels; it stores w."""
        nats = math.log(2) + (torch.xlogy(p, p) - torch.xlogy(1 + p, 1 + p)) / 2  # of a one-hot label
        d = nats / math.log(2)
        self.right[index] = torch.where(nats < 0.5, 1, 1 - nats)
        mean = d.mean()
        cutoff = torch.where(mean > self.d_mu, mean - (mean - d.min()) / self.tau, mean)
        return rank_in_class(d, labels) < ((d < cutoff).sum() / self.num_classes).floor()

    def training_loss(self, batch: Batch) -> Tensor:
        if self.current_epoch < self.warmup_epochs:
            return self.warm_up_loss(batch, self.confidence_penalty)
        unlabelled, labelled_2, unlabelled_2 = (next(self.streams[stream]) for stream in range(3))
        return self.semi_supervised_loss(0, batch, unlabelled) + self.semi_supervised_loss(1, labelled_2, unlabelled_2)

    def semi_supervised_loss(self, number: int, labelled: Batch, unlabelled: Batch) -> Tensor:
        """What network ``number`` descends on."""
        network = self.networks[number]
        with torch.no_grad(), self.other_evaluates(number):
            right, given = self.right[labelled.index, None], soft(labelled.labels, self.num_classes)
            predicted, logits = mean_prediction([network], labelled.views[:2])
            self.observe(labelled.index, logits)
            guessed, logits = mean_prediction(self.networks, unlabelled.views[:2])
            self.observe(unlabelled.index, logits)
            refined = sharpen(right * given + (1 - right) * predicted, self.temperature)
            guessed = sharpen(guessed, self.temperature)
        supervised, consistency, balance = mixmatch(
            network, self.mixup, (labelled.views[2:], refined), (unlabelled.views[2:], guessed)
        )
        projected = [self.projectors[number](with_features(network, view)[1]) for view in unlabelled.views[2:]]
        contrast = contrastive_loss(projected[0], projected[1], self.contrast_temperature)
        self.log_term("contrast", contrast, unlabelled)
        ramp = min((self.progress - self.warmup_epochs) / self.ramp_epochs, 1.0)
        return supervised + ramp * self.lambda_u * consistency + balance + self.lambda_c * contrast
