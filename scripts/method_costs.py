"""What an epoch of each method costs, in passes of the bare network: ``python scripts/benchmark.py methods``.

Each method trains for three epochs, so that the last is behind its warm-up. In that epoch the images that pass forward
and backward through its networks are counted, and the epoch is timed. Beside it, turn by turn in the same process, one
bare network is timed: a forward pass that trains, one that does not, and a backward pass. An epoch should cost little
more than its passes.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark import configuration, fit, now
from lnl.config import CONF_DIR
from lnl.training.assembly import build_data, uses_trusted

NEEDS_TRUSTED = ("label_correction", "glc", "mw_net", "l2rw", "mlc")
WITHOUT_EPOCHS = ("fit_once", "knn", "linear_probe")
DIRECTIONS = ("forward", "evaluation", "backward")


def methods() -> list[str]:
    """The options of ``method`` that train a network epoch by epoch."""
    return sorted({path.stem for path in Path(CONF_DIR, "method").glob("*.yaml")}.difference(WITHOUT_EPOCHS))


class Passes(pl.Callback):
    """Counts the images that pass through the networks of a method in its last epoch, and the epoch's seconds."""

    def __init__(self) -> None:
        self.images: Counter[str] = Counter()
        self.seconds = 0.0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        kind = type(pl_module.model)
        self.networks = [module for module in pl_module.children() if type(module) is kind]
        self.counting = False
        for network in self.networks:
            network.register_forward_hook(self.count)
        training_set = pl_module.training_set  # whole-set passes before an epoch are a part of it

        def with_count(epoch: int) -> Any:
            self.begin(trainer, pl_module, epoch)
            return training_set(epoch)

        pl_module.training_set = with_count

    def begin(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epoch: int) -> None:
        if epoch == (trainer.max_epochs or 0) - 1 and not self.counting:
            self.counting, self.started = True, now(pl_module.device)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begin(trainer, pl_module, trainer.current_epoch)

    def count(self, network: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        if not self.counting:
            return
        self.images["forward" if network.training else "evaluation"] += len(logits)
        if logits.requires_grad:
            logits.register_hook(lambda gradient: self.images.update(backward=len(gradient)))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.counting:
            self.counting, self.seconds = False, now(pl_module.device) - self.started


def time_bare(network: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> dict[str, float]:
    """Seconds an image of a forward pass in training, of one in evaluation, and of a backward pass."""
    device, seconds = images.device, dict.fromkeys(DIRECTIONS, 0.0)
    for part, label in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        started = now(device)
        loss = F.cross_entropy(network.train()(part), label)
        forward = now(device)
        loss.backward()
        backward = now(device)
        with torch.no_grad():
            network.eval()(part)
        seconds["evaluation"] += now(device) - backward
        seconds["forward"] += forward - started
        seconds["backward"] += backward - forward
    return {name: total / len(images) for name, total in seconds.items()}


def measure(name: str, device: str, turns: int, overrides: list[str]) -> dict[str, Any]:
    """Of one method: images passed in each direction, seconds of an epoch, of its passes, and their ratio."""
    trusted = ["data.trusted=200"] if name in NEEDS_TRUSTED else []
    cfg = configuration(device, f"method={name}", "trainer.max_epochs=3", *trusted, *overrides)
    data = build_data(cfg, uses_trusted(cfg.method))
    found = []
    for turn in range(turns + 1):
        passes = Passes()
        method, _ = fit(cfg, data, passes)
        torch_device = torch.device({"cpu": "cpu", "cuda": "cuda"}[device])
        some = next(iter(data.batches("train", data.splits["train"][:1024], 1024, torch_device)))
        network = method.make_model().to(torch_device)
        time_bare(network, some.images, some.labels, data.batch_size)  # warms up
        bare = time_bare(network, some.images, some.labels, data.batch_size)
        if turn or turns == 0:
            expected = sum(passes.images[direction] * bare[direction] for direction in DIRECTIONS)
            found.append({"seconds": passes.seconds, "expected": expected, "ratio": passes.seconds / expected})
    images = {direction: passes.images[direction] / len(data.splits["train"]) for direction in DIRECTIONS}
    return {**images, **{key: statistics.median(turn[key] for turn in found) for key in found[0]}}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The costs as Markdown."""
    ce = rows["baseline"]["seconds"]
    lines = [
        "| method | forward | evaluation | backward | seconds an epoch | times CE's | times its passes |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        passes = " | ".join(f"{row[direction]:.1f}" for direction in DIRECTIONS)
        lines.append(f"| `{name}` | {passes} | {row['seconds']:.2f} | {row['seconds'] / ce:.1f} | {row['ratio']:.2f} |")
    return "\n".join(lines) + "\n"


def compare(device: str, turns: int, overrides: list[str], say: Callable[[str], Any] = print) -> dict[str, Any]:
    """Every method's costs."""
    rows = {}
    for name in ["baseline", *(name for name in methods() if name != "baseline")]:
        started = time.monotonic()
        rows[name] = measure(name, device, turns, overrides)
        say(f"{name}: {rows[name]['ratio']:.2f} ({time.monotonic() - started:.0f} s)")
    return rows
