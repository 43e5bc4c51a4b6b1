"""The transition matrix T of the labels, [K, K]: its methods, from anchors, and from a file."""

import math
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.errors import UserError, first_line
from lnl.methods.noise_aware import NoiseAware
from lnl.methods.noise_record import NoiseRecord

FILES = (".npy", ".npz", ".csv")


class TransitionMethod(NoiseAware):
    r"""A method that works with a transition matrix, :math:`T_{ij} = P(\tilde y = j \mid y = i)`.

    What it believes T to be stands in ``transition``, at first the identity. The run folder has it beside the true one.
    """

    noise_options = ()

    def believe(self, transition: Tensor) -> None:
        r"""Takes a matrix for T, and for the noise rate what it makes of the given labels.

        The shares of true classes are those of the given ones times :math:`T^{-1}`, where they are above 0.
        """
        counts = torch.bincount(self.samples.given[self.samples.index], minlength=self.num_classes).double()
        prior = (counts @ torch.linalg.pinv(transition.double().cpu())).clamp(min=0)
        self.tell(float(1 - (prior * transition.diagonal().double().cpu()).sum() / prior.sum()), transition)

    def configure_callbacks(self) -> list[Callback]:
        return [NoiseRecord()]


def anchor_transition(p: Tensor, percentile: float) -> Tensor:
    """T ``[K, K]``, whose row i is the row of ``p[n, K]`` with the i-th probability at the percentile (in [0, 1])."""
    place = math.ceil(percentile * (len(p) - 1))
    return p[p.argsort(dim=0, stable=True)[place]]


def read_transition(path: str | Path, num_classes: int) -> NDArray[np.float64]:
    """T from a file, ``[K, K]`` with rows that add up to 1.

    Raises:
        UserError: if there is none.
    """
    path = Path(path).expanduser()
    try:
        if path.suffix == ".csv":
            matrix = np.loadtxt(path, delimiter=",", ndmin=2)
        else:
            read = np.load(path, allow_pickle=False)
            if isinstance(read, np.lib.npyio.NpzFile):
                with read:
                    (name,) = read.files if len(read.files) == 1 else ["believed"]
                    read = read[name]
            matrix = np.asarray(read, np.float64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"method.transition: {path} cannot be read as a matrix: {first_line(error)}") from error
    if matrix.shape != (num_classes, num_classes):
        wanted = f"{num_classes} rows and columns"
        raise UserError(f"method.transition: {path} must have {wanted}, and has the shape {list(matrix.shape)}")
    if (matrix < 0).any() or not np.allclose(matrix.sum(axis=1), 1, atol=1e-3):
        raise UserError(f"method.transition: each row of {path} must be at least 0 and add up to 1 (true class: row).")
    return matrix
