"""ProMix: the set of samples to learn from grows with confidence, and its bias is taken out of the logits."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import rank_in_class, sharpen, soft
from lnl.methods.mix import mixup_among
from lnl.methods.noise_aware import FromNoise, NoiseAware, Table, check_table
from lnl.methods.two_networks import TwoNetworks
from lnl.models.features import last_linear, with_features


class ProMix(NoiseAware, TwoNetworks):
    r"""ProMix (arXiv:2207.10276): two networks, each with a second head h' on the features of its head h.

    After a warm-up, a network's reliable samples are, of each given class, the :math:`\lceil \rho n / K \rceil` with
    the smallest losses, chosen before each epoch; those with :math:`p_y > \tau`; and in the last epochs those for which
    both networks predict the same class with more than :math:`\tau`, up to ``guess_share`` of a batch, which take that
    class for label. On them both heads have

    .. math:: \ell(x_w, y) + w\, (\ell(x_s, y) + \ell(\mathrm{mixup}(x_w, y))), \qquad
        \ell(x, y) = \mathrm{CE}(z(x) + \alpha \log \pi, y)

    and h' has :math:`\lambda_u (\ell(x_w, q) + w\, \ell(x_s, q))` on the others, q being h's sharpened prediction.
    Where h gives a label, :math:`\alpha \log \pi` is taken off its logits. :math:`\pi` is the running mean of
    predictions, one for reliable samples and one for others. w and :math:`\lambda_u` rise over ``ramp_epochs`` and
    twice as many. The prediction is that of h.

    The authors choose :math:`\rho` and a penalty in the warm-up by the true noise, and their training batches carry the
    right labels, which no loss of theirs uses: here the noise is estimated, and there is no penalty. They set
    :math:`\lambda_u` to 0 once it has risen; here it stays. Not here: FMix, a further mixed batch. Both heads share the
    mixed images; those of other samples are computed too, and do not count.

    Args:
        rho: in (0, 1]: a number, or the value of ``rho_by_rate`` for the noise, ``estimate`` or ``true``
            (:class:`NoiseAware`). ``rho_by_rate`` has pairs of a rate of inclusive symmetric noise and rho.
        tau: :math:`\tau` in [0, 1].
        debias, momentum: :math:`\alpha`, at least 0, and of :math:`\pi`, in [0, 1).
        temperature, mixup_alpha: of sharpening, of mixup, above 0.
        lambda_u: at least 0.
        warmup_epochs, ramp_epochs: at least 0, and above 0.
        guess_epochs, guess_share: how many of the last epochs guess labels, at least 0; in [0, 1].
    """

    noise_options = ("rho",)
    views = ("weak", "strong")
    any_loss = False
    several_devices = False  # the running means are of one process
    selected: Tensor
    shares: Tensor

    def __init__(
        self,
        *,
        rho: FromNoise = "estimate",
        rho_by_rate: Table = ((0.2, 0.7), (0.5, 0.5)),
        tau: float = 0.99,
        debias: float = 0.8,
        momentum: float = 0.9999,
        temperature: float = 0.5,
        mixup_alpha: float = 4.0,
        lambda_u: float = 0.1,
        warmup_epochs: int = 10,
        ramp_epochs: int = 50,
        guess_epochs: int = 250,
        guess_share: float = 0.9,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_table("(0, 1]", rho=(rho, rho_by_rate))
        check_range("[0, 1]", tau=tau, guess_share=guess_share)
        check_range("[0, 1)", momentum=momentum)
        check_range("[0, inf)", debias=debias, lambda_u=lambda_u)
        check_range("[0, inf)", warmup_epochs=warmup_epochs, guess_epochs=guess_epochs)
        check_range("(0, inf)", temperature=temperature, mixup_alpha=mixup_alpha, ramp_epochs=ramp_epochs)
        self.rho, self.rho_by_rate, self.tau, self.debias, self.momentum = rho, rho_by_rate, tau, debias, momentum
        self.temperature, self.mixup_alpha, self.lambda_u = temperature, mixup_alpha, lambda_u
        self.warmup_epochs, self.ramp_epochs = warmup_epochs, ramp_epochs
        self.guess_epochs, self.guess_share = guess_epochs, guess_share
        size = last_linear(self.model)[1].in_features
        self.second_heads = nn.ModuleList(nn.Linear(size, self.num_classes) for _ in self.networks)
        self.register_buffer("selected", torch.zeros(self.num_samples, 2, dtype=torch.bool))  # by each network
        # pi of each network, for reliable samples and for others
        self.register_buffer("shares", torch.full((2, 2, self.num_classes), 1 / self.num_classes))

    def training_set(self, epoch: int) -> None:
        if epoch < self.warmup_epochs:
            return
        index, losses = self.over_training_set(
            lambda batch: torch.stack([self.loss(net(batch.images), batch.labels) for net in self.networks], dim=1)
        )
        quota = self.by_rate(self.rho, self.rho_by_rate) * len(index) / self.num_classes
        labels = self.samples.given.to(index.device)[index]
        self.selected[index] = torch.stack([rank_in_class(of_one, labels) < quota for of_one in losses.T], dim=1)

    def training_loss(self, batch: Batch) -> Tensor:
        if self.current_epoch < self.warmup_epochs:
            return self.warm_up_loss(batch)
        seen = [self.heads(number, batch.views[0]) for number in (0, 1)]
        logits = torch.stack([first.detach().float() for first, _ in seen])
        self.observe(batch.index, logits.mean(dim=0))
        return self.loss_of(0, batch, seen[0], logits) + self.loss_of(1, batch, seen[1], logits)

    def heads(self, number: int, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[B, K]`` of h and h' of a network."""
        logits, features = with_features(self.networks[number], images)
        return logits, self.second_heads[number](features)

    def loss_of(self, number: int, batch: Batch, seen: tuple[Tensor, Tensor], logits: Tensor) -> Tensor:
        """What network ``number`` descends on; ``logits`` ``[2, B, K]`` are those of h of both networks."""
        bias, p = self.debias * self.shares[number].log(), logits.softmax(dim=2)
        given = soft(batch.labels, self.num_classes)
        reliable = self.selected[batch.index, number] | ((given * p[number]).sum(dim=1) > self.tau)
        guess = F.one_hot((logits[number] - bias[0]).argmax(dim=1), self.num_classes).float()
        targets = given.where(reliable[:, None], guess)
        if self.current_epoch >= (self.trainer.max_epochs or 0) - self.guess_epochs:
            reliable = reliable | self.agreed(reliable, p)
        soft_guess = sharpen((logits[number] - bias[1]).softmax(dim=1), self.temperature)

        def mean_loss(logits: Tensor, wanted: Tensor, mask: Tensor, part: int) -> Tensor:
            losses = F.cross_entropy(logits.float() + bias[part], wanted, reduction="none")
            return (losses * mask).sum() / mask.sum().clamp(min=1)

        ramp, slow = (min(self.current_epoch / (n * self.ramp_epochs), 1.0) for n in (1, 2))
        weak, strong = batch.views
        mixed, mixed_targets = mixup_among(weak, targets, reliable, self.mixup_alpha)
        strong_seen, mixed_seen = self.heads(number, strong), self.heads(number, mixed)
        terms = ((seen, targets, 1.0), (strong_seen, targets, ramp), (mixed_seen, mixed_targets, ramp))
        losses = [w * mean_loss(head, wanted, reliable, 0) for heads, wanted, w in terms for head in heads]
        for (_, head), w in ((seen, 1.0), (strong_seen, ramp)):
            losses.append(slow * self.lambda_u * w * mean_loss(head, soft_guess, ~reliable, 1))
        self.log_term(f"reliable_{number + 1}", reliable.float().mean(), batch)
        for part, mask in enumerate((reliable, ~reliable)):
            mean = (p[number] * mask[:, None]).sum(dim=0) / mask.sum().clamp(min=1)
            self.shares[number, part].lerp_(mean, (1 - self.momentum) * mask.any())
        return torch.stack(losses).sum()

    def agreed(self, reliable: Tensor, p: Tensor) -> Tensor:
        """Which further samples are reliable because both networks are sure of the same class, bool ``[B]``."""
        confidence, predicted = p.max(dim=2)
        sure = (predicted[0] == predicted[1]) & (confidence > self.tau).all(dim=0) & ~reliable
        place = confidence.mean(dim=0).where(sure, -1).argsort(descending=True).argsort()
        return sure & (place < int(self.guess_share * len(sure)) - reliable.sum())
