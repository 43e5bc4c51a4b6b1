"""Every option takes its steps on a GPU that is not there: what would wait for it, or lies on the CPU, raises.

Tensors have shapes and a device, and no numbers (``FakeTensorMode``). The method is built on the CPU and its parameters
and buffers are moved, as in a run. Whatever comes before the first step and between epochs may wait; a step may not.
What is not seen: the backward pass, and kernels of torch that wait by themselves (``multinomial``, ``histc``); for
these there is a test with a GPU (``tests/test_gpu.py``).
"""

import contextlib
import functools
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lnl.app.options import Options
from lnl.app.resolvers import register_resolvers
from lnl.augment import CropFlip
from lnl.augment.policies import COLORS, NAMES, Operations
from lnl.config import CONF_DIR
from lnl.losses import CrossEntropy
from lnl.methods import Baseline, StagedMethod
from lnl.models import MLP
from lnl.runs.folder import RunFolder
from lnl.training.assembly import build_data, build_method
from lnl.training.trainer import build_trainer
from lnl.training.training_metrics import MetricsTable, TrainingMetrics
from tests.commands.test_options import NEEDS

GPU = torch.device("cuda", 0)
# What is done before the first step, or writes what was found; a new group of conf/ is walked.
ON_THE_HOST = [
    "corruption",
    "data",
    "experiment",
    "features",
    "hydra",
    "logger",
    "noise",
    "paths",
    "scheduler",
    "trainer",
]
OPTIONS = [
    (folder.name, path.stem)
    for folder in sorted(path for path in Path(CONF_DIR).iterdir() if path.is_dir() and path.name not in ON_THE_HOST)
    for path in sorted(folder.glob("*.yaml"))
]
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
WRITES = (torch.ops.aten.index_put, torch.ops.aten.index_put_, torch.ops.aten._index_put_impl_)


class WaitError(RuntimeError):
    """An operation that waits for the device."""


class NoWait(TorchDispatchMode):
    """Raises where FakeTensorMode lets a wait pass: at a copy between CPU and device, also one that indexing makes, and
    at a mask that selects what is written. A number on the CPU is no copy: kernels take it as an argument."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
        devices = {t.device.type for t in tensors if func in COPIES or t.ndim or t.device.type != "cpu"}
        if len(devices) > 1:
            raise WaitError(f"{func} between CPU and device")
        if func.overloadpacket in WRITES:
            value, masks = args[2], [index for index in args[1] if index is not None and index.dtype == torch.bool]
            if masks and not (value.device.type == "cpu" and value.ndim == 0):  # else it is masked_fill
                raise WaitError(f"{func} with a mask")
        return out


def moved(method: torch.nn.Module) -> None:
    """What ``method.to(GPU)`` does, which does not know fake parameters."""
    for module in method.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                there = torch.empty_like(parameter, device=GPU)
                module._parameters[name] = torch.nn.Parameter(there, parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty_like(buffer, device=GPU)
    method._device = GPU  # type: ignore[assignment]


@pytest.fixture(scope="module")
def configured():
    """Composes the configuration of ``python -m lnl.train`` with overrides."""
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        yield functools.cache(
            lambda *overrides: compose("train", overrides=["data=digits", "trainer.accelerator=cpu", *overrides])
        )


@pytest.fixture
def numbers(monkeypatch):
    """What is asked of numbers on the CPU, or between epochs: here no tensor has any."""

    def counted(self, codes):
        names = [NAMES.index(name) for name in COLORS][: len(codes)]
        return [2 * self.bins * number for number in names], [1] * (len(names) - 1) + [len(codes) - len(names) + 1]

    monkeypatch.setattr(Operations, "_counted", counted)
    # A method's own backward pass, which wants a device that is there.
    monkeypatch.setattr(torch.autograd, "grad", lambda _, inputs, **__: [torch.zeros_like(given) for given in inputs])
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_, **__: None)
    monkeypatch.setattr(StagedMethod, "present", property(lambda self: self.stages(7)[0]))


@pytest.fixture
def take_steps(configured, tmp_path, numbers):
    """Takes steps of training and one of evaluation with the options given, calling what Lightning calls."""

    def run(*overrides: str, steps: int = 2) -> None:
        small = ("data.batch_size=8", "data.eval_batch_size=100", "data.device_cache=true")
        take(configured(*small, *overrides), tmp_path, steps)

    return run


def take(cfg: DictConfig, root: Path, steps: int) -> None:
    """All steps but the last may prepare something, and wait."""
    folder = RunFolder(root, "fake")
    data = build_data(cfg)
    method: Any = build_method(cfg, data)
    trainer: Any = build_trainer(cfg, folder, data, method, MetricsTable(folder.metrics))
    trainer.callbacks += method.configure_callbacks()
    trainer.strategy.connect(method)
    method.trainer, trainer.datamodule = trainer, data
    method.log = lambda name, value, **_: torch.as_tensor(value, device=GPU) + 0  # Lightning's copies fake tensors

    def hook(name: str, *args: Any) -> None:
        for callback in trainer.callbacks:
            getattr(callback, name)(trainer, method, *args)
        if hasattr(method, name):
            getattr(method, name)(*args)

    for callback in trainer.callbacks:
        callback.on_fit_start(trainer, method)
    with FakeTensorMode(allow_non_fake_inputs=True):
        moved(method)
        loader = data.training_loader(GPU, views=method.views)
        trainer.fit_loop._combined_loader = SimpleNamespace(iterables=loader)
        trainer.fit_loop.max_batches = len(loader)
        made = method.configure_optimizers()
        optimizer = made and made["optimizer"]
        trainer.strategy.optimizers = [optimizer] if optimizer else []
        with contextlib.suppress(RuntimeError):
            method.training_set(0)
        if not method.streams:  # the answer of a pass over the training set would have chosen their samples
            method.streams[0] = iter(data.training_loader(GPU, views=method.views))
        for part in [*trainer.callbacks, method]:
            given = () if part is method else (trainer, method)
            for start in (part.on_train_start, part.on_train_epoch_start):
                with contextlib.suppress(RuntimeError):  # both may wait, for what has no answer here
                    start(*given)
        method.train()
        batches = iter(loader)
        next(batches)  # before the first, the order of the epoch goes to the device
        for step in range(steps):
            with NoWait() if step == steps - 1 else contextlib.nullcontext():
                batch = next(batches)
                hook("on_train_batch_start", batch, step)
                loss = method.training_step(batch, step)
                assert loss.device == GPU
                hook("on_before_backward", loss)
                for parameter in method.parameters():
                    parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
                hook("on_after_backward")
                if optimizer:
                    hook("on_before_optimizer_step", optimizer)
                    optimizer.step()
                    hook("on_before_zero_grad", optimizer)
                    optimizer.zero_grad()
                hook("on_train_batch_end", {"loss": loss.detach()}, batch, step)
        method.eval()
        batch = next(iter(data.loader("val", GPU)))
        with torch.inference_mode(), NoWait():
            hook("on_validation_batch_start", batch, 0)
            method.validation_step(batch, 0)
            hook("on_validation_batch_end", None, batch, 0)
            assert method.predict_step(batch, 0).device == GPU


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_a_step_of_an_option_does_not_wait_for_the_device(take_steps, group, option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("features.npy", np.random.default_rng(0).standard_normal((1797, 8)))  # of digits
    size = ["data.image_size=32"] if group == "model" else []
    model = ["model=mlp_1x512"] if group not in ("model", "method") else []
    take_steps(*size, *model, *NEEDS.get(option, []), f"{group}={option}", steps=1 if group == "model" else 2)


@pytest.mark.parametrize(
    "options",
    [
        ("method=label_correction", "method.soft_labels=true", *NEEDS["label_correction"]),
        ("method=dynamic_weight", "method.confidence=predicted", "method.low_weight=confidence"),
    ],
)
def test_nor_does_a_step_of_their_other_settings(take_steps, options):
    take_steps(*options)


@pytest.mark.parametrize(
    ("augment", "normalize"), [*((option, "dataset") for option in Options().names("augment")), ("none", "per_image")]
)
def test_batches_are_made_on_the_device_without_a_wait(configured, numbers, augment, normalize):
    data = build_data(configured("data.device_cache=true", f"augment={augment}", f"data.normalize={normalize}"))
    with FakeTensorMode(allow_non_fake_inputs=True):
        loader = data.training_loader(GPU, views=("weak", "weak"))
        assert loader.workers is None
        batches = iter(loader)
        next(batches)  # before the first, the order of the epoch goes to the device
        with NoWait():
            rest = list(batches)
    assert len(rest) == len(loader) - 1
    tensors = chain.from_iterable((batch.images, batch.labels, batch.index, *batch.views) for batch in rest)
    assert {tensor.device for tensor in tensors} == {GPU}


# What a method, loss, model or callback may do wrong; each is put in the place of one that is right.
def loss_of(method, batch):
    return method.loss(method(batch.images), batch.labels)


def reads_a_number(self, batch):
    loss = loss_of(self, batch).mean()
    return loss / loss.detach().item()


def asks_a_question(self, batch):
    losses = loss_of(self, batch)
    return losses.mean() if (losses > 0).all() else losses.sum()


def takes_to_the_cpu(self, batch):
    losses = loss_of(self, batch)
    self.seen = losses.detach().cpu()
    return losses.mean()


def makes_a_tensor_on_the_cpu(self, batch):
    return (loss_of(self, batch) * torch.ones(len(batch))).mean()


def looks_up_on_the_cpu(self, batch):
    weights = torch.ones(self.num_samples)[batch.index]
    return loss_of(self, batch).mean() + weights.to(self.device).mean()


def sends_a_list(self, batch):
    return (loss_of(self, batch) * torch.tensor([1.0] * len(batch), device=self.device)).mean()


def indexes_from_the_cpu(self, batch):
    return loss_of(self, batch)[torch.arange(4)].mean()


def selects_by_a_mask(self, batch):
    losses = loss_of(self, batch)
    return losses[losses < losses.mean()].mean()


def writes_by_a_mask(self, batch):
    losses = loss_of(self, batch)
    weights = torch.zeros_like(losses)
    weights[losses < 1] = torch.ones_like(losses)
    return (weights * losses).mean()


def counts_labels(self, batch):
    return loss_of(self, batch).mean() * torch.bincount(batch.labels)[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (reads_a_number, "_local_scalar_dense"),
        (asks_a_question, "_local_scalar_dense"),
        (takes_to_the_cpu, "between CPU and device"),
        (makes_a_tensor_on_the_cpu, "same device"),
        (looks_up_on_the_cpu, "between CPU and device"),
        (sends_a_list, "between CPU and device"),
        (indexes_from_the_cpu, "between CPU and device"),
        (selects_by_a_mask, "nonzero"),
        (writes_by_a_mask, "with a mask"),
        (counts_labels, "bincount"),
    ],
)
def test_a_method_that_waits_or_leaves_a_tensor_on_the_cpu_is_found(take_steps, monkeypatch, wrong, said):
    monkeypatch.setattr(Baseline, "training_loss", wrong)
    with pytest.raises(RuntimeError, match=said):
        take_steps("model=mlp_1x512")


def test_a_constant_that_is_no_buffer_is_found(take_steps, monkeypatch):
    forward = MLP.forward
    monkeypatch.setattr(MLP, "scale", torch.ones(10), raising=False)
    monkeypatch.setattr(MLP, "forward", lambda self, images: forward(self, images) * self.scale)
    with pytest.raises(RuntimeError, match="same device"):
        take_steps("model=mlp_1x512")


def test_a_loss_that_waits_is_found(take_steps, monkeypatch):
    forward = CrossEntropy.forward
    monkeypatch.setattr(CrossEntropy, "forward", lambda *given: forward(*given) / float(given[2].amax()))
    with pytest.raises(RuntimeError, match="_local_scalar_dense"):
        take_steps("model=mlp_1x512")


def test_an_augmentation_that_waits_is_found(take_steps, monkeypatch):
    monkeypatch.setattr(CropFlip, "apply", lambda self, images, drawn, on_device: images[on_device[:, 2] == 0])
    with pytest.raises(RuntimeError, match="nonzero"):
        take_steps("model=mlp_1x512", "augment=flip")


def test_a_callback_that_waits_after_a_step_is_found(take_steps, monkeypatch):
    after = TrainingMetrics.on_train_batch_end

    def waits(self, trainer, method, outputs, *rest):
        after(self, trainer, method, {"loss": outputs["loss"].cpu()}, *rest)

    monkeypatch.setattr(TrainingMetrics, "on_train_batch_end", waits)
    with pytest.raises(RuntimeError, match="between CPU and device"):
        take_steps("model=mlp_1x512")


def test_a_method_that_waits_in_validation_is_found(take_steps, monkeypatch):
    monkeypatch.setattr(Baseline, "validation_step", lambda self, batch, step: float(self(batch.images).sum()))
    with pytest.raises(RuntimeError, match="_local_scalar_dense"):
        take_steps("model=mlp_1x512")
