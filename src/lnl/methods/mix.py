"""Changes of the images and labels of a batch, beside any method."""

import math
import random
from abc import ABC, abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import soft


class LabelSmoothing:
    r"""Label smoothing (arXiv:1512.00567): labels become :math:`(1 - \epsilon) y + \epsilon / K`.

    Args:
        epsilon: in [0, 1).
    """

    def __init__(self, epsilon: float) -> None:
        check_range("[0, 1)", **{"loss.label_smoothing": epsilon})
        self.epsilon = epsilon

    def __call__(self, batch: Batch, num_classes: int) -> Batch:
        labels = soft(batch.labels, num_classes)  # AUM has one class more
        return replace(batch, labels=(1 - self.epsilon) * labels + self.epsilon / labels.shape[1])


class Mix(ABC):
    r"""Mixes each sample i of a batch with another one j: labels become :math:`\lambda y_i + (1 - \lambda) y_j`.

    :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)`, one for a batch, and j by a random permutation. The larger of
    :math:`\lambda` and :math:`1 - \lambda` is taken: the pairs are the same, and sample i, under whose number a mixed
    image is counted in metrics, has the larger part of it.

    Args:
        alpha: above 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        check_range("(0, inf)", alpha=alpha)
        self.alpha = alpha

    def __call__(self, batch: Batch, num_classes: int) -> Batch:
        views, labels = batch.views or (batch.images,), soft(batch.labels, num_classes)
        order = torch.randperm(len(batch), device=labels.device)
        share = random.betavariate(self.alpha, self.alpha)
        views, share = self.combine(views, order, max(share, 1 - share))
        return replace(batch, images=views[0], views=views, labels=share * labels + (1 - share) * labels[order])

    @abstractmethod
    def combine(self, views: tuple[Tensor, ...], order: Tensor, share: float) -> tuple[tuple[Tensor, ...], float]:
        """Each view ``[B, C, H, W]`` with its images in another order, and the share that an image has in the end."""


class Mixup(Mix):
    r"""mixup (arXiv:1710.09412): the image is :math:`\lambda x_i + (1 - \lambda) x_j`. See :class:`Mix`."""

    def combine(self, views: tuple[Tensor, ...], order: Tensor, share: float) -> tuple[tuple[Tensor, ...], float]:
        return tuple(share * view + (1 - share) * view[order] for view in views), share


def mixup_among(images: Tensor, targets: Tensor, chosen: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """mixup of each sample with one of those ``chosen``, bool ``[B]``, which follow each other in a circle at random.

    Nothing waits for how many there are. Images are ``[B, C, H, W]``, targets ``[B, K]``.
    """
    order = (torch.rand(len(images), device=images.device) + chosen).argsort(descending=True)  # the chosen ones first
    following = (torch.arange(len(order), device=order.device) + 1) % chosen.sum().clamp(min=1)
    partner = torch.empty_like(order).index_copy_(0, order, order[following])
    share = random.betavariate(alpha, alpha)
    share = max(share, 1 - share)
    return share * images + (1 - share) * images[partner], share * targets + (1 - share) * targets[partner]


class CutMix(Mix):
    r"""CutMix (arXiv:1905.04899): a rectangle of image i is image j's. See :class:`Mix`.

    Its sides are :math:`\sqrt{1 - \lambda}` of the image's and its centre is anywhere in the image, so that a part
    of it may lie outside; :math:`\lambda` is then the share of pixels that is left of image i.
    """

    def combine(self, views: tuple[Tensor, ...], order: Tensor, share: float) -> tuple[tuple[Tensor, ...], float]:
        height, width = views[0].shape[2:]
        inside = []
        for length, centre in zip((height, width), (random.random(), random.random()), strict=True):
            half, middle = round(math.sqrt(1 - share) * length) / 2, int(centre * length)
            inside.append(slice(max(0, int(middle - half)), min(length, int(middle + half))))
        rows, columns = inside
        cut = []
        for view in views:
            view = view.clone()
            view[:, :, rows, columns] = view[order][:, :, rows, columns]
            cut.append(view)
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        return tuple(cut), 1 - area / (height * width)
