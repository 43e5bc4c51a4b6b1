"""A trained run's model, from its folder and without its data."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from lnl.data.loader import normalised, pixel_scale
from lnl.data.preparation import Preparation
from lnl.data.samples import Samples
from lnl.errors import UserError, first_line
from lnl.files import read_arrays
from lnl.methods import NoisyLabelMethod
from lnl.runs.find import FinishedRun
from lnl.trained.trust import NETWORK, check_trust
from lnl.training import environment
from lnl.training.assembly import make_method
from lnl.training.checkpoints import load_checkpoint, load_weights
from lnl.training.processes import OneProcess

# How a run's images are prepared for its model. Other keys of `data` choose images and batches.
PREPARATION = tuple(field.name for field in fields(Preparation))


class ImageClassifier(nn.Module):
    """Normalisation, network and softmax in one module.

    Args:
        method: trained; only its network is kept if the method predicts by that.
        preparation: of the images that it was trained on.
        classes: K names, in the order of the probabilities.

    Shape: uint8 ``[N, S, S, C]`` at the model's size; returns float32 ``[N, K]``.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, method: NoisyLabelMethod, preparation: Preparation, classes: Sequence[str]) -> None:
        super().__init__()
        plain = type(method).forward is NoisyLabelMethod.forward
        self.network = method.model if plain else method
        self.preparation, self.classes = preparation, list(classes)
        scale, shift = pixel_scale(preparation.mean, preparation.std, preparation.size**2)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        pixels = normalised(images, self.scale, self.shift, self.preparation.normalize)
        return self.network(pixels).float().softmax(dim=1)

    @torch.inference_mode()
    def probabilities(self, images: NDArray[np.uint8], batch_size: int = 1000) -> NDArray[np.float32]:
        """float32 ``[N, K]`` for uint8 ``[N, S, S, C]``, a batch at a time, on the device that the module is on."""
        parts = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        done = [self(torch.from_numpy(part).to(self.scale.device)).cpu() for part in parts]
        return torch.cat(done).numpy() if done else np.empty((0, len(self.classes)), dtype=np.float32)


@dataclass(frozen=True)
class TrainedRun:
    """A run's classifier, with the weights of one epoch.

    Attributes:
        run: of the classifier.
        classifier: in evaluation mode, on the CPU.
        protocol, epoch: which epoch's weights; ``epoch`` from 0.
        config: plain values from which :func:`rebuild` makes the same classifier, without weights.
    """

    run: FinishedRun
    classifier: ImageClassifier
    protocol: str
    epoch: int
    config: dict[str, Any]


def load_trained(run: FinishedRun, protocol: str, trust: Any = None) -> TrainedRun:
    """The classifier that a run trained, for images of any kind.

    Args, Raises: as of :func:`load_method`; and UserError if the run's images were corrupted.
    """
    if (corruption := run.result.get("corruption", "none")) != "none":
        trained = f"{run.folder.path} was trained on images with corruption={corruption}"
        raise UserError(f"{trained}, which other images do not have; python -m lnl.evaluate takes its own test set.")
    method, epoch, config = load_method(run, protocol, trust)
    classifier = ImageClassifier(method, Preparation.of(config["data"]), run.classes)
    return TrainedRun(run, classifier, protocol, epoch, config)


def load_method(run: FinishedRun, protocol: str, trust: Any = None) -> tuple[NoisyLabelMethod, int, dict[str, Any]]:
    """The method that a run, which may be untrusted, has trained, with the run's configuration.

    Args:
        run, protocol: ``last``, ``noisy_val_best`` or ``clean_val_best``: the weights of which epoch.
        trust: further packages whose code may be built (:func:`lnl.trained.trust.check_trust`).

    Returns:
        The method, on the CPU; the epoch of its weights, from 0; and :attr:`TrainedRun.config`.

    Raises:
        UserError: if a file is missing or of another architecture, or the run names other code.
    """
    whole = run.result["config"]
    check_trust(whole, NETWORK, run.folder.path, trust)
    config = {part: whole.get(part) for part in NETWORK}
    if "weights" in config["model"]:  # training started from them; the checkpoint has all weights
        config["model"] = {**config["model"], "weights": None}
    # A method has state for each sample of its training set.
    samples = len(read_arrays(run.folder.noise, "noisy_labels")["noisy_labels"])
    config |= {"num_samples": samples, "classes": run.classes}
    prepared = {key: whole["data"][key] for key in PREPARATION if key in whole["data"]}  # a run may be older
    config["data"] = {"num_classes": len(run.classes), **prepared}
    path = run.folder.chosen(protocol)
    checkpoint = load_checkpoint(path)
    method = _rebuild_method(config)
    load_weights(method, checkpoint["state_dict"], path)
    return method, checkpoint["epoch"], config


def rebuild(config: dict[str, Any]) -> ImageClassifier:
    """The classifier of :attr:`TrainedRun.config`, without its weights."""
    return ImageClassifier(_rebuild_method(config), Preparation.of(config["data"]), config["classes"])


def _rebuild_method(config: dict[str, Any]) -> NoisyLabelMethod:
    cfg: DictConfig = OmegaConf.create(config)
    data = cfg.data
    shape = (data.channels, data.image_size, data.image_size)
    return make_method(cfg, Samples.unknown(cfg.num_samples, data.num_classes), shape).eval()


def quiet_trainer(run: FinishedRun, accelerator: str, precision: Any) -> pl.Trainer:
    """A Trainer for its device and precision; the run's own precision if ``precision`` is None."""
    unused = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    quiet: dict[str, Any] = dict.fromkeys(unused, False)
    try:
        precision = environment.resolve_precision(precision or run.result["environment"]["precision"], accelerator)
        return pl.Trainer(accelerator=accelerator, devices=1, precision=precision, plugins=OneProcess(), **quiet)
    except (MisconfigurationException, ValueError, ModuleNotFoundError) as error:  # the last: of a TPU
        raise UserError(f"trainer: {first_line(error)}") from error
