"""Active-passive loss: one loss that pulls the label up, one that pushes the others down."""

from torch import Tensor, nn


class ActivePassiveLoss(nn.Module):
    r"""Active passive loss, :math:`\alpha L_\text{active} + \beta L_\text{passive}` (arXiv:2006.13554).

    Args:
        active: a loss that looks at the label's probability alone (NCE, NFL, NGCE).
        passive: a loss that also lowers the other classes (MAE, RCE).
        alpha: weight of the active loss. The authors' alpha, beta: 1, 1 on CIFAR-10; 1, 10 on MNIST; on CIFAR-100
            10, 0.1 with RCE and 10, 1 with MAE.
        beta: weight of the passive loss.

    Shape: logits ``[B, K]``, labels ``[B]`` int64 in ``[0, K)``; returns ``[B]``.
    """

    def __init__(self, active: nn.Module, passive: nn.Module, alpha: float = 1.0, beta: float = 1.0) -> None:
        super().__init__()
        self.active, self.passive = active, passive
        self.alpha, self.beta = alpha, beta

    def terms(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted active and passive loss, ``[B]`` each."""
        return self.alpha * self.active(logits, labels), self.beta * self.passive(logits, labels)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        active, passive = self.terms(logits, labels)
        return active + passive
