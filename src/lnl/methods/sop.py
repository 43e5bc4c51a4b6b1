"""SOP: wrong labels are learned by variables of their own, so that the network need not learn them."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.functional import soft


class SOP(NoisyLabelMethod):
    r"""Sparse over-parameterisation (arXiv:2202.14026): the label is the prediction plus a sparse noise,
    :math:`s_i = u_i^2\, y_i - v_i^2 (1 - y_i)`.

    :math:`u_i` is a number, :math:`v_i` a vector with an entry for each class, and both squares are clamped to [0, 1].
    The loss is the sum of

    - cross entropy of :math:`\tilde p_i`: :math:`p_i + u_i^2 y_i - \mathrm{sg}(v_i^2 (1 - y_i))`, clamped to at least
      1e-4, divided by its sum, and clamped again. It trains the network and u.
    - :math:`\lVert e_i + s_i - y_i \rVert^2`, where :math:`e_i` is one-hot at the predicted class. It trains u and v.

    Both are means over the batch; sg stops the gradient. u and v start near 0 and grow where the network contradicts
    the label, and plain gradient descent keeps them sparse. A step changes only the rows of its samples, so that they
    are buffers, and their descent is that of ``torch.optim.SGD`` without momentum and weight decay. ``lr_u`` and
    ``lr_v`` stay as they are, whatever the schedule of the network.

    The paper trains u only by the cross entropy, and projects u and v on [-1, 1]; the above is the authors' code.
    Their ``lr_v``, and in their code ``lr_u``, depend on the kind of noise; the defaults are those for symmetric noise.

    Args:
        lr_u, lr_v: learning rates of u and v, at least 0. The gradient of a sample is that of the mean over the batch,
            of 128 samples in the paper.
    """

    any_loss = False
    u: Tensor
    v: Tensor

    def __init__(self, *, lr_u: float = 10.0, lr_v: float = 10.0, **base: Any) -> None:
        super().__init__(**base)
        check_range("[0, inf)", lr_u=lr_u, lr_v=lr_v)
        self.lr_u, self.lr_v = lr_u, lr_v
        self.register_buffer("u", 1e-8 * torch.randn(self.num_samples, 1))
        self.register_buffer("v", 1e-8 * torch.randn(self.num_samples, self.num_classes))

    def training_loss(self, batch: Batch) -> Tensor:
        return self.separate(batch, self(batch.images))

    def separate(self, batch: Batch, logits: Tensor, ratio_balance: float = 0.0) -> Tensor:
        """The loss of the network; u and v of the batch make their step."""
        y, p = soft(batch.labels, self.num_classes), logits.float().softmax(dim=1)
        u, v = self.u[batch.index].requires_grad_(), self.v[batch.index].requires_grad_()
        u_part, v_part = (u.square() * y).clamp(0, 1), (v.square() * (1 - y)).clamp(0, 1)
        prediction = (p + u_part - v_part.detach()).clamp(min=1e-4)
        prediction = (prediction / prediction.sum(dim=1, keepdim=True)).clamp(min=1e-4)
        predicted = F.one_hot(p.argmax(dim=1), self.num_classes)
        loss = -(y * prediction.log()).sum(dim=1).mean()
        loss = loss + (predicted + u_part - v_part - y).square().sum(dim=1).mean()
        if ratio_balance:
            loss = loss - ratio_balance * prediction.mean(dim=0).log().mean()
        du, dv = torch.autograd.grad(loss, (u, v), retain_graph=True)
        # The step's loss is the mean over all processes.
        self.u[batch.index] = u.detach() - batch.share * self.lr_u * du
        self.v[batch.index] = v.detach() - batch.share * self.lr_v * dv
        return loss


class SOPPlus(SOP):
    r"""SOP+ (arXiv:2202.14026): :class:`SOP` on the weak view, with two more terms.

    - :math:`\lambda_C\, \mathrm{KL}(\mathrm{sg}(p_\text{weak}) \,\|\, p_\text{strong})`, consistency of the two views,
    - :math:`\lambda_B\, \mathrm{KL}(1/K \,\|\, \bar p)`, balance, where :math:`\bar p` is the mean of
      :math:`\tilde p` over the batch. It is without its constant :math:`-\log K`.

    Args:
        ratio_consistency, ratio_balance: :math:`\lambda_C` and :math:`\lambda_B`, at least 0.
    """

    views = ("weak", "strong")

    def __init__(self, *, ratio_consistency: float = 0.9, ratio_balance: float = 0.1, **sop: Any) -> None:
        super().__init__(**sop)
        check_range("[0, inf)", ratio_consistency=ratio_consistency, ratio_balance=ratio_balance)
        self.ratio_consistency, self.ratio_balance = ratio_consistency, ratio_balance

    def training_loss(self, batch: Batch) -> Tensor:
        weak, strong = self(torch.cat(batch.views)).float().chunk(2)
        self.observe(batch.index, weak)
        target = weak.detach().softmax(dim=1)
        consistency = F.kl_div(strong.log_softmax(dim=1), target, reduction="batchmean")
        self.log_term("consistency", consistency, batch)
        return self.separate(batch, weak, self.ratio_balance) + self.ratio_consistency * consistency
