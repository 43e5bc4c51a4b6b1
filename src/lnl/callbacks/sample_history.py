"""What an audit of the labels needs of a run, beside its last epoch's probabilities."""

import logging
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from lnl.errors import UserError, check_range
from lnl.models.features import features_of, predicting_layers
from lnl.runs.folder import RunFolder

log = logging.getLogger(__name__)


class SampleHistory(Callback):
    """Keeps what the model made of every sample, over all epochs, and writes ``sample_history.npz`` at the end.

    Nothing is computed for it but the last: the rest is what training and validation steps return anyway, summed where
    it is, and part of the checkpoint, so that a resumed run has the same.

    - ``train_index[m]``, ``training_margin[m]``: of training samples the area under the margin (arXiv:2001.10528), the
      mean over the epochs of the given class's logit less the largest other one, in the step that trains on the
      sample.
    - ``wrong_events[m]``: of training samples, the share of the epochs in which the prediction of that step was not the
      given class.
    - ``index[n]``, ``epoch_probabilities[n, K]``: of validation samples, the mean over the epochs.
    - ``neighbours[n, K]``: of each validation sample's nearest training samples, by the cosine of what the linear layer
      is given that the logits come from (:func:`lnl.models.features.predicting_layers`), the share that has each
      label. Absent where there is no such layer; the log says so before training.

    Args:
        neighbours: how many.
    """

    changes_numbers: ClassVar[bool] = False
    in_identity: ClassVar[bool] = True  # a run without it lacks the file that an audit wants

    def __init__(self, neighbours: int = 50) -> None:
        check_range("[1, inf)", neighbours=neighbours)
        self.neighbours = neighbours
        self.sums: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        return {name: tensor.cpu() for name, tensor in self.sums.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.sums = dict(state_dict)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.world_size > 1:
            raise UserError("callbacks.sample_history works on one device: set trainer.devices=1.")
        self.method = pl_module
        pl_module.listeners.append(self._see)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        samples, classes, device = pl_module.num_samples, pl_module.num_classes, pl_module.device
        val = torch.from_numpy(trainer.datamodule.splits["val"])  # type: ignore[attr-defined]
        empty = {
            "training_margin": torch.zeros(samples),
            "wrong_events": torch.zeros(samples),
            "seen": torch.zeros(samples),
            "probabilities": torch.zeros(len(val), classes),
            "epochs": torch.zeros(()),
        }
        self.sums = {name: tensor.to(device) for name, tensor in (self.sums or empty).items()}
        self.val = val.to(device)
        self.given = torch.from_numpy(trainer.datamodule.given).to(device)  # type: ignore[attr-defined]
        if not self._layers(trainer, pl_module):
            log.warning(
                "neighbours are left out of sample_history.npz: the logits of %s are not the output of a linear layer",
                type(pl_module).__name__,
            )

    @staticmethod
    def _layers(trainer: pl.Trainer, pl_module: Any) -> list[nn.Linear]:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        images = torch.rand((2, *data.sample_shape), generator=torch.Generator().manual_seed(0)).to(pl_module.device)
        with trainer.precision_plugin.forward_context():
            return predicting_layers(pl_module, images)

    @torch.no_grad()
    def _see(self, index: Tensor, logits: Tensor) -> None:
        if self.method.trainer.sanity_checking:
            return
        logits = logits.float()
        if self.method.training:
            margins = margin(logits, self.given[index])
            self.sums["training_margin"].index_add_(0, index, margins)
            self.sums["wrong_events"].index_add_(0, index, (margins < 0).float())
            self.sums["seen"].index_add_(0, index, torch.ones_like(margins))
        else:
            place = torch.searchsorted(self.val, index)  # a split's numbers are sorted
            self.sums["probabilities"].index_add_(0, place, logits.softmax(dim=1))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            self.sums["epochs"] += 1

    def on_fit_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Here and not when training ends, which a run that was killed after its last epoch does not do again."""
        pl_module.listeners.remove(self._see)
        if not self.sums or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        data, sums = trainer.datamodule, {name: tensor.cpu().numpy() for name, tensor in self.sums.items()}  # type: ignore[attr-defined]
        seen = np.flatnonzero(sums["seen"])
        arrays = {
            "train_index": seen,
            "training_margin": sums["training_margin"][seen] / sums["seen"][seen],
            "wrong_events": sums["wrong_events"][seen] / sums["seen"][seen],
            "index": data.splits["val"],
            "epoch_probabilities": sums["probabilities"] / sums["epochs"],
        }
        pl_module.to(trainer.strategy.root_device).eval()
        if layers := self._layers(trainer, pl_module):
            loaders = [data.loader(split, pl_module.device) for split in ("train", "val")]
            with torch.inference_mode(), trainer.precision_plugin.forward_context():
                known, asked = (features_of(pl_module, layers, loader) for loader in loaders)
            labels = torch.from_numpy(data.given[data.splits["train"]]).to(pl_module.device)
            arrays["neighbours"] = label_shares(known, labels, asked, self.neighbours, data.num_classes).cpu().numpy()
        np.savez_compressed(RunFolder(trainer.default_root_dir).sample_history, **arrays)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The label's logit less the largest other one, ``[B]``."""
    own = logits.gather(1, labels[:, None])
    return (own - logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1, keepdim=True))[:, 0]


def label_shares(known: Tensor, labels: Tensor, asked: Tensor, neighbours: int, num_classes: int) -> Tensor:
    """Of the ``neighbours`` nearest ``known[m, F]`` to each of ``asked[n, F]``, the share of each label, ``[n, K]``."""
    count = min(neighbours, len(known))
    shares = []
    for part in asked.split(1024):  # so that similarities take little memory
        nearest = (part @ known.T).topk(count, dim=1).indices
        shares.append(nn.functional.one_hot(labels[nearest], num_classes).float().mean(dim=1))
    return torch.cat(shares)
