"""Which samples a method trains on in an epoch."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from lnl.errors import UserError
from lnl.labels import Integers


def training_set(trainer: Any, epoch: int, seed: int, allowed: Integers) -> Tensor | None:
    """What the method's ``training_set(epoch)`` returns, the same in all processes: int64 ``[n]``; None for all.

    ``seed`` and ``epoch`` decide the state of the global generators during the call.

    Raises:
        UserError: if it returns anything but ``allowed`` numbers of samples.
    """
    method = trainer.lightning_module
    if epoch >= trainer.max_epochs or not hasattr(method, "training_set"):
        return None  # the run was stopped between its last epoch and its result, or the method is not one of lnl
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
