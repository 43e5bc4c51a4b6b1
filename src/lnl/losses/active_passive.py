"""Active-passive loss: one loss that pulls the label up, one that pushes the others down."""

from torch import Tensor

from lnl.losses.base import Loss


class ActivePassiveLoss(Loss):
    r"""Active passive loss, :math:`\alpha L_\text{active} + \beta L_\text{passive}` (arXiv:2006.13554).

    Args:
        active: a loss that is 0 for all classes but the label (NCE, NFL, NGCE).
        passive: a loss that also lowers the other classes (MAE, RCE).
        alpha: weight of the active loss. The authors' alpha, beta: 1, 1 on CIFAR-10; 1, 10 on MNIST; on CIFAR-100
            10, 0.1 with RCE and 10, 1 with MAE.
        beta: weight of the passive loss.

    Shape: as of :class:`Loss`; returns ``[B]``.
    """

    def __init__(self, active: Loss, passive: Loss, alpha: float = 1.0, beta: float = 1.0) -> None:
        super().__init__()
        self.active, self.passive = active, passive
        self.alpha, self.beta = alpha, beta

    def terms(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted active and passive loss, ``[B]`` each."""
        return self.alpha * self.active(logits, target), self.beta * self.passive(logits, target)

    def of_every_label(self, logits: Tensor) -> Tensor:
        return self.alpha * self.active.of_every_label(logits) + self.beta * self.passive.of_every_label(logits)
