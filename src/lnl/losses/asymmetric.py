r"""Asymmetric losses, which need right labels to be the most frequent ones of a class, not more (arXiv:2106.03110).

They fall so steeply at the top that a sample's loss is least when one class, the most frequent, has all probability.
"""

import torch
from torch import Tensor

from lnl.errors import check_range
from lnl.losses.base import Loss
from lnl.losses.functional import improbabilities, log_probabilities


class AsymmetricGeneralizedCrossEntropy(Loss):
    r"""Asymmetric generalized cross entropy (AGCE), :math:`\frac{(a + 1)^q - (a + p_y)^q}{q}` (arXiv:2106.03110).

    Args:
        a, q: above 0. The authors': 0.6, 0.6 on CIFAR; 4, 0.2 on MNIST.

    Shape: as of :class:`Loss`; returns ``[B]`` from 0.
    """

    def __init__(self, a: float = 0.6, q: float = 0.6) -> None:
        super().__init__()
        check_range("(0, inf)", a=a, q=q)
        self.a, self.q = a, q

    def of_every_label(self, logits: Tensor) -> Tensor:
        power = torch.expm1(self.q * torch.log1p(-improbabilities(logits) / (self.a + 1)))
        return -((self.a + 1) ** self.q) / self.q * power


class AsymmetricUnhingedLoss(Loss):
    r"""Asymmetric unhinged loss (AUL), :math:`\frac{(a - p_y)^q - (a - 1)^q}{q}` (arXiv:2106.03110).

    Args:
        a: above 1. The authors' a, q: 5.5, 3 on CIFAR; 3, 0.1 on MNIST.
        q: above 0.

    Shape: as of :class:`Loss`; returns ``[B]`` from 0.
    """

    def __init__(self, a: float = 5.5, q: float = 3.0) -> None:
        super().__init__()
        check_range("(1, inf)", a=a)
        check_range("(0, inf)", q=q)
        self.a, self.q = a, q

    def of_every_label(self, logits: Tensor) -> Tensor:
        power = torch.expm1(self.q * torch.log1p(improbabilities(logits) / (self.a - 1)))
        return (self.a - 1) ** self.q / self.q * power


class AsymmetricExponentialLoss(Loss):
    r"""Asymmetric exponential loss (AEL), :math:`e^{-p_y / a}` (arXiv:2106.03110).

    Args:
        a: above 0. The authors': 2.5 on CIFAR, 3.5 on MNIST.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[exp(-1/a), 1]``.
    """

    def __init__(self, a: float = 2.5) -> None:
        super().__init__()
        check_range("(0, inf)", a=a)
        self.a = a

    def of_every_label(self, logits: Tensor) -> Tensor:
        return torch.exp(-log_probabilities(logits).exp() / self.a)


class AsymmetricMeanSquaredError(Loss):
    r"""Asymmetric mean squared error (AMSE), :math:`\frac{1}{K} \sum_k (p_k - a [k = y])^2`, of joint asymmetric losses
    (Wang et al., Joint Asymmetric Loss for Learning with Noisy Labels, ICCV 2025).

    Args:
        a: above 0; 1 is the squared error, and the loss is asymmetric above. The authors': 30 on CIFAR-10, 20 on
            CIFAR-100.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[(1-a)^2/K, (1+a^2)/K]`` for a of at least 1.
    """

    def __init__(self, a: float = 30.0) -> None:
        super().__init__()
        check_range("(0, inf)", a=a)
        self.a = a

    def of_every_label(self, logits: Tensor) -> Tensor:
        p = log_probabilities(logits).exp()
        return (p.square().sum(dim=1, keepdim=True) - 2 * self.a * p + self.a**2) / logits.shape[1]


class VariationBoundedLoss(Loss):
    r"""Cross entropy with a bounded variation ratio, :math:`\log \frac{1 + a}{p_y + a}` (VBL, arXiv:2511.12143).

    The variation ratio, the largest slope over the smallest, is :math:`(1 + a) / a`. The less it is, the more wrong
    labels the loss stands: as a grows it becomes the absolute error. The constant :math:`\log(1 + a)` makes it 0 for a
    certain prediction.

    Args:
        a: above 0.

    Shape: as of :class:`Loss`; returns ``[B]`` in ``[0, log(1 + 1/a)]``.
    """

    def __init__(self, a: float = 0.1) -> None:
        super().__init__()
        check_range("(0, inf)", a=a)
        self.a = a

    def of_every_label(self, logits: Tensor) -> Tensor:
        return -torch.log1p(-improbabilities(logits) / (1 + self.a))
