"""Which samples a method trains on in an epoch."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from lnl.errors import UserError
from lnl.labels import Integers


def training_set(trainer: Any, epoch: int, seed: int, allowed: Integers) -> Tensor | None:
    """The answer of the method's ``training_set(epoch)``, the same in all processes.

    It is asked with global generators that ``seed`` and ``epoch`` decide.

    Args:
        trainer: of the method.
        epoch: that comes next. After the last one the method is not asked.
        seed: of the run.
        allowed: numbers of the samples that may be trained on.

    Returns:
        int64 ``[n]``, n > 0; None for all samples.

    Raises:
        UserError: if the answer is something else.
    """
    method = trainer.lightning_module
    if epoch >= trainer.max_epochs or not hasattr(method, "training_set"):
        return None  # a run that was stopped between its last epoch and its result; or no method of lnl
    (state,) = np.random.SeedSequence([seed, epoch, *b"training_set"]).generate_state(1)
    pl.seed_everything(int(state), verbose=False)
    answer = method.training_set(epoch)
    if answer is None:
        return None
    chosen: Tensor = trainer.strategy.broadcast(torch.as_tensor(answer).cpu())
    name = f"{type(method).__name__}.training_set({epoch})"
    if chosen.dtype != torch.int64 or chosen.ndim != 1 or not len(chosen):
        raise UserError(
            f"{name} must return the numbers of at least one sample, int64 [n], got {chosen.dtype} {list(chosen.shape)}"
        )
    if len(others := np.setdiff1d(chosen, allowed)):
        raise UserError(f"{name} names sample {others[0]}, which is not in the training split (batch.index has those)")
    return chosen
