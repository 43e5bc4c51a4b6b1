"""The evidence of features: of a frozen pretrained network, or of the user's own."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig

from lnl.auditing.duplicates import Pairs, near_duplicates
from lnl.auditing.evidence import Evidence
from lnl.auditing.kinds import are_photographs, faults, is_blank, kinds_of, oddness, table_of
from lnl.auditing.looks import Looks, look_at
from lnl.auditing.probe import Probed, directions, neighbour_count, probe
from lnl.config import build
from lnl.data import NoisyDataModule
from lnl.datasets.pictures import PictureError, picture_size
from lnl.errors import UserError
from lnl.labels import Integers
from lnl.models import PretrainedModel
from lnl.training.features import use_features


def evidence_of_features(cfg: DictConfig, data: NoisyDataModule) -> Evidence:
    """What features say of the labels of ``data``: computed by ``cfg.model``, unless they were read already.

    Of photographs it also says which are unusual (:mod:`lnl.auditing.kinds`). Near-duplicates are left out together, as
    copies are, so that one with the same wrong label does not speak for another.

    Raises:
        UserError: if the model is no frozen backbone.
    """
    if not data.features:
        network = build("model", cfg.model)
        if not isinstance(network, PretrainedModel):
            raise UserError(
                "the audit needs features: of model=efficientnet_lite0, timm or torchvision, or of random_fourier for "
                "small images; features=pixels trains other networks"
            )
        device = torch.device("cuda" if torch.cuda.is_available() and cfg.trainer.accelerator != "cpu" else "cpu")
        use_features(network.to(memory_format=torch.channels_last), data, device, data.views["weak"])
    index = np.setdiff1d(data.samples_of("train"), data.trusted.index)
    labels, rows = data.given[index], mean_directions(data, index)
    exact = np.arange(len(index)) if data.dataset.pictures is None else data.dataset.pictures[index]
    if not are_photographs(data.dataset.images.shape):
        found = probe(rows, labels, data.num_classes, exact)
        return _evidence(index, labels, found, None)
    looks = look_at(data.dataset.images, index, show=True)
    blank = is_blank(looks)
    looks.thumbnails[blank] = 0  # which are like nothing: all blank pictures look alike, and are no copies
    count = neighbour_count(len(labels), data.num_classes)
    pairs, groups, neighbours = near_duplicates(rows, looks.thumbnails, exact, count)
    found = probe(rows, labels, data.num_classes, groups, neighbours)
    return _evidence(index, labels, found, _kinds(data, index, looks, pairs, exact, found.distance))


def _evidence(index: Integers, labels: Integers, found: Probed, kinds: pd.DataFrame | None) -> Evidence:
    return Evidence(
        index,
        labels,
        found.judged.clean,
        neighbours=found.neighbours,
        posterior=found.judged.posterior,
        noise=found.estimate,
        kinds=kinds,
    )


def mean_directions(data: NoisyDataModule, index: Integers) -> NDArray[np.float32]:
    """The mean direction of the views of training samples in feature space, of length 1, float32 ``[n, F]``."""
    features = data.features["train"]
    views = features.rows[features.place[torch.from_numpy(index)]].float()
    return directions(torch.nn.functional.normalize(views, dim=2).mean(dim=1).numpy())


def _kinds(
    data: NoisyDataModule,
    index: Integers,
    looks: Looks,
    pairs: Pairs,
    exact: Integers,
    distance: NDArray[np.float32],
) -> pd.DataFrame:
    """The table of unusual pictures of the samples ``index``."""
    originals = data.dataset.originals

    def own_side(number: int) -> int:
        try:
            return min(data.dataset.images.shape[1:3] if originals is None else picture_size(originals[index[number]]))
        except (PictureError, OSError):
            return 0

    fault = faults(looks, own_side)
    found = kinds_of(looks, pairs, exact, oddness(distance), fault)
    return table_of(found, index, data.given[index], data.classes, data.labels.names)
