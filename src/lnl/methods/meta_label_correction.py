"""Meta Label Correction: labels corrected by a network that trusted samples train."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.functional import mean_rows, soft
from lnl.methods.meta_learning import MetaLearning
from lnl.models.features import last_linear, with_features


class Corrector(nn.Module):
    """g: features ``[B, F]`` and given labels to probabilities ``[B, K]`` of the right ones, by three layers."""

    def __init__(self, features: int, num_classes: int, label_dim: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_classes, label_dim)))
        sizes = (features + label_dim, hidden, hidden, num_classes)
        layers = [nn.Linear(*pair) for pair in pairwise(sizes)]
        for layer in layers:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.layers = nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.layers(torch.cat([features.to(self.embedding), mean_rows(labels, self.embedding)], dim=1))
        return logits.to(self.embedding).softmax(dim=1)


class MetaLabelCorrection(MetaLearning):
    r"""Meta Label Correction (arXiv:1911.03809): a network g corrects labels, :math:`\ell(p_i, g(h_i, \tilde y_i))`.

    It is given the features :math:`h_i`, the input of the model's last linear layer, without gradient, and returns
    probabilities. Each step trains the model on the corrected labels, and on the trusted labels of one half of a batch
    of trusted samples. g is trained so that this is good for the other half: the model's parameters are moved by the
    same step, a virtual one, and g descends on the loss of the trusted samples under the moved parameters, through that
    step. The paper's :math:`\ell` is cross entropy, here it is ``loss``.

    The authors' virtual step has the momentum and weight decay of SGD; theirs can also look several steps ahead, which
    their settings do not use. Noisy and trusted samples go through the model together, in the authors' code apart,
    which matters for batch norm. ``trusted_batch_size`` is that of :class:`MetaLearning`, here at least 4.

    Args:
        label_dim, hidden: of g, the size of its embedding of labels and of its two hidden layers, at least 1.
        lr: of Adam (AMSGrad), which trains g.
        virtual_lr: of the virtual step, above 0; null for the optimizer's own
            (:func:`~lnl.methods.meta_learning.step_sizes`).
    """

    least_trusted = 4  # of which a half is trained on

    def __init__(
        self,
        *,
        label_dim: int = 64,
        hidden: int = 128,
        lr: float = 3e-4,
        virtual_lr: float | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[1, inf)", label_dim=label_dim, hidden=hidden)
        check_range("(0, inf)", virtual_lr=virtual_lr)
        self.corrector = Corrector(last_linear(self.model)[1].in_features, self.num_classes, label_dim, hidden)
        self.inner["corrector"] = torch.optim.Adam(self.corrector.parameters(), lr=lr, amsgrad=True)
        self.virtual_lr = virtual_lr

    def training_loss(self, batch: Batch) -> Tensor:
        trusted = next(self.streams[0])
        half = (len(trusted) + 1) // 2
        logits, features = with_features(self.model, torch.cat([batch.images, trusted.images[half:]]))
        self.observe(torch.cat([batch.index, trusted.index[half:]]), logits)
        right = soft(trusted.labels[half:], self.num_classes)
        corrected = self.corrector(features[: len(batch)].detach(), batch.labels)
        moved = self.moved(self.loss(logits, torch.cat([corrected, right])).mean(), self.virtual_lr)
        self.train_corrector(moved, trusted.images[:half], trusted.labels[:half])
        agree = corrected.argmax(dim=1) == soft(batch.labels, self.num_classes).argmax(dim=1)
        self.log_term("label_kept", agree.float().mean(), batch)
        return self.loss(logits, torch.cat([corrected.detach(), right])).mean()

    def train_corrector(self, moved: dict[str, Tensor], images: Tensor, labels: Tensor) -> None:
        """One step of g on the loss of trusted samples under the moved parameters."""
        meta_loss = self.loss(self.virtual(moved, images), labels).mean()
        self.inner["corrector"].zero_grad()
        meta_loss.backward(inputs=list(self.corrector.parameters()))
        self.inner["corrector"].step()
