"""The data and the method of a run, made from its configuration and checked against each other."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor, nn

from lnl.config import build, build_all, build_loss, factory
from lnl.data import Batch, NoisyDataModule
from lnl.data.reading import read_once
from lnl.data.samples import Samples
from lnl.datasets.source import Source
from lnl.errors import UserError, check_range, first_line
from lnl.losses import CrossEntropy
from lnl.methods import LabelSmoothing, NoiseAware, NoisyLabelMethod
from lnl.training.checkpoints import load_checkpoint, load_weights
from lnl.training.features import read_features


def build_data(
    cfg: DictConfig, trusting: bool = False, contents: Mapping[str, Any] | None = None, source: Source | None = None
) -> NoisyDataModule:
    """The data, read, with its noise drawn. What ``cfg`` left to the data is set in it, as by :func:`settle`.

    Args:
        cfg: of a run. Of an untrusted run, pass only ``data``, ``noise`` and ``corruption``, after checking them.
        trusting: training sees the right labels of trusted samples (:func:`uses_trusted`).
        contents: fingerprints of the user's own data, if they are known (:mod:`lnl.datasets.contents`).
        source: replaces that of the configured dataset.
    """
    progress = "callbacks" not in cfg or cfg.callbacks.get("progress") is not None
    corruption: Any = OmegaConf.to_container(cfg.corruption, resolve=True)
    given: dict[str, Any] = {"reader": partial(read_once, progress=progress, config=corruption)}
    if source is not None:
        given = {"source": source}  # not kept for later runs
    data: NoisyDataModule = build(
        "data",
        cfg.data,
        noise=build("noise", cfg.noise),
        corruption=build("corruption", cfg.corruption),
        augment=build_all("augment", cfg.get("augment")),
        views={name: build_all(f"views.{name}", node) for name, node in cfg.get("views", {}).items()},
        trusting=trusting,
        contents=contents,
        **given,
    )
    data.prepare_data()
    try:
        data.setup()
    except ValueError as error:
        raise UserError(str(error)) from error
    if path := cfg.get("features", {}).get("path"):
        read_features(path, data)
        cfg.features.size = data.sample_shape[0]
    settle(cfg, data)
    return data


def settle(cfg: DictConfig, data: NoisyDataModule) -> None:
    """Puts numbers in place of ``null`` and ``auto`` for classes, sizes and epochs."""
    for key in ("num_classes", "image_size", "batch_size"):
        if cfg.data[key] in (None, "auto"):
            cfg.data[key] = getattr(data, key)
    first = 0
    if cfg.get("method", {}).get("stage1_epochs") == "auto":
        cfg.method.stage1_epochs = first = epochs_for(len(data.trusted), data.batch_size)
    if cfg.get("trainer", {}).get("max_epochs") == "auto":
        cfg.trainer.max_epochs = first + epochs_for(data.num_samples, data.batch_size)


def epochs_for(samples: int, batch_size: int) -> int:
    """As many epochs as make 1,000 steps, but 10 to 60: few samples make few steps in an epoch."""
    return min(60, max(10, math.ceil(1000 / math.ceil(max(samples, 1) / batch_size))))


def uses_trusted(method: DictConfig) -> bool:
    """Whether the configured method trains with the right labels of trusted samples."""
    try:
        return bool(getattr(get_object(str(method.get("_target_"))), "uses_trusted", False))
    except Exception:  # an import may raise any: building the method says what is wrong
        return False


def build_method(cfg: DictConfig, data: NoisyDataModule) -> NoisyLabelMethod:
    """The method with its networks, checked to take the data's images and to have an output for each class.

    Raises:
        UserError: if it cannot, does not use the chosen loss, or needs an augmentation that was not chosen.
    """
    method = make_method(cfg, data.samples(), data.sample_shape, changes_of_batches(cfg))
    if isinstance(method, NoiseAware):
        tell_noise(method, data)
    name = type(method).__name__
    if not method.any_loss and type(method.loss) is not CrossEntropy:
        loss = getattr(method.loss, "__name__", type(method.loss).__name__)
        raise UserError(f"loss: {name} does not use the one that was chosen ({loss}): leave out loss=")
    if getattr(method.loss, "views", 1) > 1 and not method.any_views:
        loss = type(method.loss).__name__
        raise UserError(f"loss: {loss} needs several views of an image, and method=baseline gives them")
    if missing := [view for view in method.views if view not in data.views]:
        known, adds = ", ".join(data.views), f"+augment@views.{missing[0]}=OPTION adds it"
        raise UserError(f"{name} needs the view '{missing[0]}', and there are {known}: {adds}")
    if cfg.init_from:
        load_networks(method, cfg.init_from)
    return method


def load_networks(method: NoisyLabelMethod, path: str) -> None:
    """Starts a method's networks from those of a checkpoint; a second network that it lacks from ``model``.

    What else it lacks stays as it is, and so do buffers of the method itself, which are about the samples of its run.
    """
    weights = load_checkpoint(path)["state_dict"]
    state = {name: value for name, value in weights.items() if "." in name}
    shapes = {
        part: {key: v.shape for key, v in module.state_dict().items()} for part, module in method.named_children()
    }
    for name, value in method.state_dict().items():
        part, _, key = name.partition(".")
        if not key:
            state[name] = value
        elif name not in weights and part != "model":
            twin = shapes[part] == shapes["model"]
            state[name] = weights.get(f"model.{key}", value) if twin else value
    load_weights(method, state, path)


def tell_noise(method: NoiseAware, data: NoisyDataModule) -> None:
    """Tells a method the noise that was drawn, if an option of it is ``true``; raises UserError if none was drawn."""
    if method.estimates and data.dataset.clean_val:
        raise UserError("the noise is estimated from noisy validation labels: data.val=noisy has them.")
    if method.oracles:
        noise = data.labels.noise
        if not (noise and data.noise.drawn and noise.expected_rate is not None and noise.transition is not None):
            none = f"method.{method.oracles[0]}=true is the noise that was drawn, and here none is"
            raise UserError(f"{none}: method.{method.oracles[0]}=estimate estimates it.")
        method.tell(noise.expected_rate, torch.from_numpy(noise.transition))


def changes_of_batches(cfg: DictConfig) -> list[Callable[[Batch, int], Batch]]:
    """What is done with each batch beside the method: its labels are smoothed, then it is mixed."""
    try:
        smoothing = [LabelSmoothing(epsilon)] if (epsilon := cfg.loss.get("label_smoothing")) else []
    except ValueError as error:
        raise UserError(str(error)) from error
    return [*smoothing, *([build("mix", cfg.mix)] if cfg.get("mix") else [])]


def make_method(
    cfg: DictConfig,
    samples: Samples,
    shape: tuple[int, ...],
    changes: Sequence[Callable[[Batch, int], Batch]] = (),
) -> NoisyLabelMethod:
    """The method with new weights; the model, the loss and the optimizer are checked without data.

    It builds the parts of a classifier and no others (:data:`lnl.trained.trust.NETWORK`): ``cfg`` may be untrusted.
    ``shape`` is that of one sample.
    """
    num_classes = samples.num_classes
    method: NoisyLabelMethod = build(
        "method",
        cfg.method,
        model=partial(make_network, factory("model", cfg.model)),
        loss=build_loss(cfg.loss),
        optimizer=optimizer_factory(cfg.optimizer),
        scheduler=factory("scheduler", cfg.scheduler) if cfg.scheduler else None,
        samples=samples,
        changes=changes,
    )
    try:
        with torch.no_grad():
            outputs = method.eval()(torch.zeros(1, *shape)).shape[1]
    except (RuntimeError, ValueError) as error:
        kind = f"images ({shape[1]}x{shape[2]} with {shape[0]} channels)" if len(shape) == 3 else f"{shape[0]} features"
        raise UserError(f"the model cannot take this data's {kind}: {first_line(error)}") from error
    finally:
        method.train()
    if outputs != num_classes:
        differ = f"the labels have {num_classes} classes, but the model has {outputs} outputs"
        raise UserError(f"{differ}; leave out model.num_classes or set it to {num_classes}.")
    check_loss(method.loss, num_classes)
    try:
        method.configure_optimizers()  # raises for values that the optimizer refuses
    except (ValueError, TypeError) as error:
        raise UserError(f"optimizer or scheduler: {first_line(error)}") from error
    return method


def optimizer_factory(node: DictConfig) -> Callable[[Iterable[Any]], torch.optim.Optimizer]:
    """What makes the optimizer of parameter groups; a backbone's parameters learn at ``backbone_lr_scale`` times lr."""
    node = node.copy() if isinstance(node, DictConfig) else node  # which keeps its parent: interpolations look there
    scale = 1.0
    if isinstance(node, DictConfig) and "backbone_lr_scale" in node:
        with open_dict(node):
            scale = node.pop("backbone_lr_scale")
    check_range("[0, inf)", **{"optimizer.backbone_lr_scale": scale})
    make = factory("optimizer", node)
    if scale == 1:
        return make

    def scaled(groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        divided = []
        for group in groups:
            backbone = [parameter for parameter in group["params"] if getattr(parameter, "of_backbone", False)]
            others = [parameter for parameter in group["params"] if not getattr(parameter, "of_backbone", False)]
            slow = {**group, "params": backbone, "lr": scale * group.get("lr", make.keywords["lr"])}
            divided += [part for part in ({**group, "params": others}, slow) if part["params"]]
        return make(divided)

    return scaled


def make_network(make: Callable[[], Any]) -> nn.Module:
    """What ``make`` returns, which must be a network."""
    made = make()
    if not isinstance(made, nn.Module):
        raise UserError(f"model: its _target_ must make an nn.Module, and made a {type(made).__name__}")
    return made


def check_loss(loss: Callable[[Tensor, Tensor], Tensor], num_classes: int) -> None:
    """Raises UserError if a loss fails, or has no value for each sample: methods weigh samples."""
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):  # the check changes no number
            values = loss(torch.zeros(2, num_classes), torch.tensor([0, 1]))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise UserError(f"loss: {first_line(error)}") from error
    shape = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
    if shape != [2]:
        name = getattr(getattr(loss, "func", loss), "__name__", type(loss).__name__)
        hint = ": use reduction='none'." if shape == [] else " for 2 samples."
        raise UserError(f"loss: a loss returns one value per sample, [B]; {name} returned {shape}{hint}")
