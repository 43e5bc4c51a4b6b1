"""JoCoR: two networks that learn to agree, from what both find easy."""

from typing import Any

from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.losses.functional import log_probabilities
from lnl.methods.functional import mean_over
from lnl.methods.small_loss import SmallLoss


class JoCoR(SmallLoss):
    r"""JoCoR (arXiv:2003.02752): two networks with one loss, which is smaller where they agree,

    .. math:: (1 - \lambda) (\ell_1 + \ell_2) + \lambda (KL(p_1 \| p_2) + KL(p_2 \| p_1)).

    Both networks are trained on the part of a batch that has the smallest of these joint losses, in their mean. Two
    networks rarely agree about a wrong label before they memorise it.

    The prediction is the mean of their logits; the paper evaluates them apart. The paper's :math:`\ell` is cross
    entropy, here it is ``loss``. The authors halve ``forget_rate`` for asymmetric noise, which concerns half of the
    classes: that is the share of wrong labels, so that there is nothing to halve here. The other options are those of
    :class:`SmallLoss`.

    Args:
        weight: :math:`\lambda` in [0, 1). It depends on the network and the noise: the authors' code has 0.1, for their
            network on CIFAR-10 they advise 0.9, at 80 % noise 0.65, on CIFAR-100 0.85.
    """

    def __init__(self, *, weight: float = 0.1, **base: Any) -> None:
        super().__init__(**base)
        check_range("[0, 1)", weight=weight)
        self.weight = weight

    def training_loss(self, batch: Batch) -> Tensor:
        one, other = (network(batch.images) for network in self.networks)
        self.observe(batch.index, (one + other) / 2)
        log_p, log_q = log_probabilities(one), log_probabilities(other)
        disagreement = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=1)  # KL(p||q) + KL(q||p)
        supervised = self.loss(one, batch.labels) + self.loss(other, batch.labels)
        losses = (1 - self.weight) * supervised + self.weight * disagreement
        chosen = self.smallest(losses)
        self.log_term("kept", chosen.float().mean(), batch)
        self.log_term("disagreement", disagreement.mean(), batch)
        return mean_over(losses, chosen)
