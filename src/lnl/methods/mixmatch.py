"""The step of MixMatch, which several methods share."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.methods.mix import Mixup

Network = Callable[[Tensor], Tensor]


def mean_prediction(networks: Iterable[Network], views: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean probabilities and mean logits, ``[B, K]`` each, over networks and views."""
    logits = torch.stack([network(view).float() for network in networks for view in views])
    return logits.softmax(dim=2).mean(dim=0), logits.mean(dim=0)


def mixmatch(
    network: Network,
    mixup: Mixup,
    labelled: tuple[Sequence[Tensor], Tensor],
    unlabelled: tuple[Sequence[Tensor], Tensor],
    class_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The losses of MixMatch (arXiv:1905.02249): of labelled samples, of unlabelled ones, and of unequal shares.

    All views are mixed together; a mixed image is of the kind that it is for the larger part. The losses are cross
    entropy :math:`-\sum_k w_k y_k \log p_k`, the squared error of probabilities, in the mean over samples and classes,
    and KL(equal shares, mean prediction) over both kinds.

    Args:
        network: images -> logits ``[B, K]``.
        mixup: mixes images and targets.
        labelled, unlabelled: the views of a batch, and the target of each sample in all of them, ``[B, K]``.
        class_weights: w, ``[K]``; None for 1.
    """
    (views, targets), (other_views, guesses) = labelled, unlabelled
    images = torch.cat([*views, *other_views])
    wanted = torch.cat([targets] * len(views) + [guesses] * len(other_views))
    mixed = mixup(Batch(images, wanted, torch.arange(len(images))), targets.shape[1])
    log_p, count = network(mixed.images).float().log_softmax(dim=1), len(views) * len(targets)
    weighted = mixed.labels if class_weights is None else mixed.labels * class_weights
    supervised = -(weighted * log_p)[:count].sum(dim=1).mean()
    consistency = (log_p.exp() - mixed.labels)[count:].square().mean()
    balance = -(log_p.exp().mean(dim=0) * targets.shape[1]).log().mean()
    return supervised, consistency, balance
