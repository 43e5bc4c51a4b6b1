"""The evidence of features: of a frozen pretrained network, or of the user's own."""

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig

from lnl.auditing.evidence import Evidence
from lnl.auditing.probe import directions, probe
from lnl.config import factory
from lnl.data import NoisyDataModule
from lnl.errors import UserError
from lnl.labels import Integers
from lnl.models import PretrainedModel
from lnl.training.assembly import make_network
from lnl.training.features import use_features


def evidence_of_features(cfg: DictConfig, data: NoisyDataModule) -> Evidence:
    """What features say of the labels of ``data``: computed by ``cfg.model``, unless they were read already.

    Raises:
        UserError: if the model is no frozen backbone.
    """
    if not data.features:
        network = make_network(factory("model", cfg.model))
        if not isinstance(network, PretrainedModel):
            raise UserError(
                "features=backbone needs a pretrained network: model=efficientnet_lite0, timm or torchvision"
            )
        device = torch.device("cuda" if torch.cuda.is_available() and cfg.trainer.accelerator != "cpu" else "cpu")
        use_features(network.to(memory_format=torch.channels_last), data, device, data.views["weak"])
    index = np.setdiff1d(data.samples_of("train"), data.trusted.index)
    labels = data.given[index]
    groups = None if data.dataset.pictures is None else data.dataset.pictures[index]
    found = probe(mean_directions(data, index), labels, data.num_classes, groups)
    return Evidence(
        index,
        labels,
        found.judged.clean,
        neighbours=found.neighbours,
        posterior=found.judged.posterior,
        noise=found.estimate,
    )


def mean_directions(data: NoisyDataModule, index: Integers) -> NDArray[np.float32]:
    """The mean direction of the views of training samples in feature space, of length 1, float32 ``[n, F]``."""
    features = data.features["train"]
    views = features.rows[features.place[torch.from_numpy(index)]].float()
    return directions(torch.nn.functional.normalize(views, dim=2).mean(dim=1).numpy())
