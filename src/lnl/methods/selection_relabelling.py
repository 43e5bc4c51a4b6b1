"""SSR: sample selection by neighbours, relabelling by confidence."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.functional import class_balanced, neighbour_votes
from lnl.methods.mix import Mixup
from lnl.models.features import last_linear, with_features


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two linear layers with batch norm between them."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class SelectionRelabelling(NoisyLabelMethod):
    r"""SSR+ (arXiv:2111.11288): a network relabels what it is sure of, its features say which labels to learn from.

    Before each epoch a sample takes the predicted label if its probability is above :math:`\theta_r`, else the given
    one, :math:`y^r`. The ``k`` nearest samples by cosine of features vote, a label counting by the inverse of its share
    of all; sample i is selected if :math:`q_{y^r_i} / \max_c q_c \ge \theta_s`. The loss is cross entropy of selected
    samples, two strong views each, mixed by mixup and with classes in equal parts; and over all samples
    :math:`-\lambda_{fc} \cos(h(f(x_s)), f(x_w))`, for features of a strong and, without gradient, of a weak view.

    There is no warm-up, as in the authors' code. Here features and predictions are of the image as it is, there of a
    weak view. An epoch passes over all samples. All samples replace an empty selection.

    Args:
        theta_s, theta_r: thresholds of selection and of relabelling, in [0, 1].
        k: neighbours, at least 1, the sample itself among them.
        lambda_fc: weight of the features' consistency, at least 0; 0 is SSR without the plus.
        alpha: of mixup, above 0.
    """

    views = ("weak", "strong")
    any_loss = False
    relabelled: Tensor

    def __init__(
        self,
        *,
        theta_s: float = 1.0,
        theta_r: float = 0.9,
        k: int = 200,
        lambda_fc: float = 1.0,
        alpha: float = 4.0,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[0, 1]", theta_s=theta_s, theta_r=theta_r)
        check_range("[1, inf)", k=k)
        check_range("[0, inf)", lambda_fc=lambda_fc)
        self.theta_s, self.theta_r, self.k, self.lambda_fc, self.mixup = theta_s, theta_r, k, lambda_fc, Mixup(alpha)
        if lambda_fc:
            size = last_linear(self.model)[1].in_features
            self.projector, self.predictor = perceptron(size, 256, 128), perceptron(128, 256, 128)
        self.register_buffer("relabelled", self.samples.given.clone())

    def training_set(self, epoch: int) -> None:
        index, seen = self.over_training_set(lambda batch: torch.cat(with_features(self.model, batch.images), dim=1))
        confidence, predicted = seen[:, : self.num_classes].float().softmax(dim=1).max(dim=1)
        given = self.samples.given.to(index.device)[index]
        labels = predicted.where(confidence > self.theta_r, given)
        self.relabelled[index] = labels
        selected = self.select(seen[:, self.num_classes :], labels)
        chosen = index[selected] if selected.any() else index
        self.endless(class_balanced(chosen, self.relabelled[chosen]), 0, views=("strong", "strong"))

    def select(self, features: Tensor, labels: Tensor) -> Tensor:
        """Whether the neighbours agree with a sample's label, bool ``[n]``."""
        votes = neighbour_votes(features, labels, self.num_classes, self.k)
        votes = votes / labels.bincount(minlength=self.num_classes).clamp(min=1)
        return votes.gather(1, labels[:, None])[:, 0] >= self.theta_s * votes.amax(dim=1)

    def training_loss(self, batch: Batch) -> Tensor:
        weak, strong = batch.views
        with torch.no_grad():
            logits, features = with_features(self.model, weak)
        self.observe(batch.index, logits)
        selected = next(self.streams[0])
        images, labels = torch.cat(selected.views), self.relabelled[selected.index].repeat(2)
        mixed = self.mixup(Batch(images, labels, selected.index.repeat(2)), self.num_classes)
        supervised = F.cross_entropy(self.model(mixed.images).float(), mixed.labels)
        if not self.lambda_fc:
            return supervised
        seen = self.predictor(self.projector(with_features(self.model, strong)[1]))
        with torch.no_grad():
            target = self.projector(features)
        consistency = -F.cosine_similarity(seen.float(), target.float(), dim=1).mean()
        self.log_term("consistency", consistency, batch)
        return supervised + self.lambda_fc * consistency
