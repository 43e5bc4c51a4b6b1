"""Methods with options that depend on the noise, which they estimate."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.methods.base import NoisyLabelMethod
from lnl.methods.noise_record import NoiseRecord
from lnl.noise.estimate import estimate_transition

FromNoise = float | Literal["estimate", True]  # the annotation of such an option
Table = Sequence[Sequence[float]]  # rows of a noise rate and the option's value for it


def check_share(**options: FromNoise) -> None:
    """Raises ValueError unless each option is ``estimate``, true, or a share in [0, 1)."""
    check_range("[0, 1)", **{name: value for name, value in options.items() if not isinstance(value, str | bool)})


def check_table(interval: str, **options: tuple[FromNoise, Table]) -> None:
    """Raises ValueError unless each option is ``estimate``, true or in ``interval``, as its table's values must be."""
    for name, (value, table) in options.items():
        if not isinstance(value, str | bool):
            check_range(interval, **{name: value})
        elif not table or any(len(row) != 2 for row in table):
            raise ValueError(f"{name}_by_rate must be pairs of a rate and a value, got {table}")
        for rate, found in table:
            check_range("[0, 1]", **{f"a rate of {name}_by_rate": rate})
            check_range(interval, **{f"a value of {name}_by_rate": found})


class NoiseAware(NoisyLabelMethod):
    r"""A method with options that depend on the noise: a number, ``estimate``, or ``true``.

    ``estimate``: after each validation, :func:`lnl.noise.estimate.estimate_transition` estimates T from the logits and
    the given labels of the validation samples, which the network was not trained on. The estimate under which these
    labels are most likely so far counts. Before the first one the noise is taken for none. ``true`` is the noise that
    was drawn, which is known in experiments only: results and reports mark such a run as an oracle.

    Attributes:
        noise_options: names of these options, which are attributes.
        transition: ``[K, K]``, T as it is believed.
        noise_rate: the share of wrong labels, as it is believed.
        share: ``noise_rate`` as a number, for which no step has to wait.
    """

    noise_options: ClassVar[Sequence[str]]
    transition: Tensor
    noise_rate: Tensor
    likelihood: Tensor

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        self.register_buffer("transition", torch.eye(self.num_classes))
        self.register_buffer("noise_rate", torch.tensor(0.0))
        self.register_buffer("likelihood", torch.tensor(-torch.inf))  # of the validation labels, the mean logarithm
        self.share = 0.0
        self._validated: list[tuple[Batch, Tensor]] = []

    @property
    def oracles(self) -> list[str]:
        """The options that are ``true``."""
        return [name for name in self.noise_options if getattr(self, name) is True]

    @property
    def estimates(self) -> bool:
        """Whether an option is to be estimated."""
        return any(getattr(self, name) == "estimate" for name in self.noise_options)

    def tell(self, rate: float, transition: Tensor) -> None:
        """Tells the method the noise to believe in."""
        self.share = rate
        self.noise_rate.fill_(rate)
        self.transition.copy_(transition)

    def number(self, option: FromNoise) -> float:
        """The share that an option stands for."""
        return self.share if isinstance(option, str | bool) else option

    def by_rate(self, option: FromNoise, table: Table) -> float:
        """The option if it is a number, else the table's value for the nearest noise rate.

        Rates are those of papers with inclusive symmetric noise, whose 50 % are 45 % wrong labels among ten classes.
        """
        if not isinstance(option, str | bool):
            return option
        rate = self.share * self.num_classes / (self.num_classes - 1)
        return min(table, key=lambda row: abs(row[0] - rate))[1]

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.share = float(self.noise_rate)  # of a checkpoint

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        logits = super().validation_step(batch, batch_idx)
        if self.estimates and not self.trainer.sanity_checking:
            self._validated.append((batch, logits.float()))
        return logits

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if not self._validated:
            return
        known = torch.zeros(self.num_samples, self.num_classes + 1, device=self.device)  # of all processes
        for batch, logits in self._validated:
            known[batch.index] = torch.cat([logits, 1 + batch.labels[:, None].float()], dim=1)
        self._validated.clear()
        known = self.trainer.strategy.reduce(known, reduce_op="sum")
        known = known[known[:, -1] > 0].double().cpu()
        labels = known[:, -1].long().numpy() - 1
        found = estimate_transition(known[:, :-1].numpy(), labels)
        if found.log_likelihood > self.likelihood:
            self.likelihood.fill_(found.log_likelihood)
            self.tell(float(found.wrong(labels).mean()), torch.from_numpy(found.transition))

    def configure_callbacks(self) -> list[Callback]:
        asked = any(isinstance(getattr(self, name), str | bool) for name in self.noise_options)
        return [NoiseRecord()] if asked else []
