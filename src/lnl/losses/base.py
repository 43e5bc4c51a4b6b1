"""The base of all losses: a value for every label, from which that of the target is taken."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from lnl.losses.functional import pick


class Loss(nn.Module, ABC):
    r"""A loss :math:`\ell(z, k)` of logits z for every label k. A loss is a subclass with :meth:`of_every_label`.

    For soft labels q it is their mean, :math:`\sum_k q_k \ell(z, k)`.

    Shape: logits ``[B, K]``; target int64 ``[B]`` in ``[0, K)`` or probabilities ``[B, K]``; returns ``[B]``.
    """

    @abstractmethod
    def of_every_label(self, logits: Tensor) -> Tensor:
        """The loss that each label would give, ``[B, K] -> [B, K]``."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return of_target(self.of_every_label(logits), target)


def of_target(values: Tensor, target: Tensor) -> Tensor:
    """The target's loss ``[B]`` among those of every label ``[B, K]``; for soft targets the mean."""
    return pick(values, target) if target.ndim == 1 else (target * values).sum(dim=1)
