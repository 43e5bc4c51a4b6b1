"""What the framework costs: one training epoch of the default run, three ways, turn by turn in one process.

    python scripts/benchmark.py
    python scripts/benchmark.py --device cuda --turns 9 --output benchmark.json model=resnet18
    python scripts/benchmark.py methods --turns 3          # an epoch of each method, and what its passes cost

(a) lnl: its data module, Lightning's Trainer, all callbacks and metrics; (b) a bare PyTorch loop over images that lie
normalised in memory, at the same precision; (c) the usual notebook pipeline: torchvision's dataset, ToTensor and
Normalize image by image, DataLoader, float32. Validation is timed apart, for (a) only. On a GPU, one more epoch of (a)
is profiled, and the share of its time is found in which no kernel runs: the device waits for the host.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.data import NoisyDataModule
from lnl.methods import NoisyLabelMethod
from lnl.runs.folder import RunFolder
from lnl.training.assembly import build_data, build_method, uses_trusted
from lnl.training.environment import describe, resolve_precision, send_warnings_to_the_log
from lnl.training.evaluation import predict
from lnl.training.trainer import build_trainer
from lnl.training.training_metrics import MetricsTable


def now(device: torch.device) -> float:
    """Seconds, once the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Stopwatch(pl.Callback):
    """Seconds from the start of training to the end of the last epoch's metrics, validation apart."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.device = pl_module.device
        self.started = now(self.device)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validation_started = now(self.device)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validation = now(self.device) - self.validation_started

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.training = now(self.device) - self.started - self.validation


class Busy(pl.Callback):
    """Seconds in which kernels ran in the training steps of an epoch, on a GPU that lets them be seen."""

    seconds: float | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.profile = profile(activities=[ProfilerActivity.CUDA])
        self.profile.start()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        now(pl_module.device)
        self.profile.stop()
        events = (event for event in self.profile.key_averages() if not event.is_user_annotation)
        kernels = [event.self_device_time_total for event in events if event.device_type.name == "CUDA"]
        self.seconds = sum(kernels) / 1e6 if kernels else None


def fit(cfg: DictConfig, data: NoisyDataModule, callback: pl.Callback) -> tuple[NoisyLabelMethod, pl.Trainer]:
    """Trains as a run does."""
    with TemporaryDirectory() as folder:
        run = RunFolder(folder, "benchmark")
        run.claim(force=False)
        method = build_method(cfg, data)
        trainer = build_trainer(cfg, run, data, method, MetricsTable(run.metrics), callback)
        trainer.fit(method, datamodule=data)
    return method, trainer


def time_lnl(cfg: DictConfig, data: NoisyDataModule) -> dict[str, float]:
    """(a), with the time of validation and of a prediction over the test set."""
    stopwatch = Stopwatch()
    method, trainer = fit(cfg, data, stopwatch)
    method.to(stopwatch.device)
    started = now(stopwatch.device)
    predict(method, data.loader("test", stopwatch.device), trainer)
    test = now(stopwatch.device) - started
    return {"lnl": stopwatch.training, "lnl_validation": stopwatch.validation, "lnl_test_set": test}


def time_bare(cfg: DictConfig, images: torch.Tensor, labels: torch.Tensor, model: nn.Module, bf16: bool) -> float:
    """(b): images normalised, channels last, on the device; one permutation, one gather a step."""
    device = images.device
    optimizer = torch.optim.SGD(
        model.parameters(), cfg.optimizer.lr, cfg.optimizer.momentum, weight_decay=cfg.optimizer.weight_decay
    )
    started = now(device)
    for index in torch.randperm(len(images), device=device).split(cfg.data.batch_size):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(model(images[index]), labels[index])
        optimizer.zero_grad()
        loss.backward()
        if cfg.trainer.gradient_clip_val:
            nn.utils.clip_grad_norm_(model.parameters(), cfg.trainer.gradient_clip_val)
        optimizer.step()
    return now(device) - started


def time_notebook(cfg: DictConfig, model: nn.Module, device: torch.device, workers: int) -> float:
    """(c)."""
    normalize = transforms.Normalize(cfg.data.mean, cfg.data.std)
    dataset = datasets.CIFAR10(cfg.paths.data_dir, transform=transforms.Compose([transforms.ToTensor(), normalize]))
    subset = torch.utils.data.Subset(dataset, range(40_000))
    loader: DataLoader[Any] = DataLoader(subset, cfg.data.batch_size, shuffle=True, num_workers=workers)
    optimizer = torch.optim.SGD(model.parameters(), cfg.optimizer.lr, cfg.optimizer.momentum)
    started = now(device)
    for images, labels in loader:
        loss = F.cross_entropy(model(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return now(device) - started


def memory_above_imports() -> float:
    """Peak resident memory of the default run, of one epoch, above that of its imports; GB."""
    imports = (
        "import lnl.train, lnl.training.run, sklearn, torchvision, pathlib;"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmRSS:')[1].split()[0])"
    )
    before = 1024 * int(
        subprocess.run([sys.executable, "-c", imports], capture_output=True, text=True, check=True).stdout
    )
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lnl.train", "trainer.max_epochs=1", f"hydra.run.dir={folder}/run"]
        subprocess.run(command, capture_output=True, check=True)
        peak = json.loads(Path(folder, "run/result.json").read_text())["size"]["peak_memory_bytes"]
    return (peak - before) / 1e9


def configuration(device: str, *overrides: str) -> DictConfig:
    """One epoch of the default run on ``cpu`` or ``cuda``."""
    accelerator = {"cpu": "cpu", "cuda": "gpu"}[device]
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        fixed = ["trainer.max_epochs=1", f"trainer.accelerator={accelerator}", "callbacks.progress=null"]
        return compose("train", overrides=[*fixed, *overrides])


def measure(cfg: DictConfig, device: torch.device, turns: int, workers: int | None) -> dict[str, Any]:
    """All turns and what they come to; (c) with so many ``workers``, or left out."""
    precision = resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator)
    data = build_data(cfg, uses_trusted(cfg.method))
    images = torch.cat([batch.images.to(device) for batch in data.loader("train", device)]).contiguous(
        memory_format=torch.channels_last
    )
    labels = torch.from_numpy(data.given[data.splits["train"]]).to(device)

    found: list[dict[str, float]] = []
    for turn in range(turns + 1):
        seconds = time_lnl(cfg, data)
        seconds["bare"] = time_bare(
            cfg, images, labels, build_method(cfg, data).model.to(device), precision == "bf16-mixed"
        )
        if workers is not None:
            seconds["notebook"] = time_notebook(cfg, build_method(cfg, data).make_network().to(device), device, workers)
        if turn:  # the first warms up
            found.append(seconds)
            print("  ".join(f"{name} {value:.3f}" for name, value in seconds.items()), flush=True)
    busy = Busy()
    if device.type == "cuda":
        fit(cfg, data, busy)
    report = summary(found, len(images), busy.seconds)
    return {**report, "turns": found, **describe(device, precision)}


def summary(turns: list[dict[str, float]], images: int, busy: float | None) -> dict[str, Any]:
    """Medians over the turns, of seconds and of ratios within a turn.

    Args:
        turns: seconds of an epoch by the names of what was timed.
        images: of an epoch.
        busy: seconds of an epoch in which the device computes, None if unknown.
    """
    median = {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}
    pairs = [pair for pair in (("lnl", "bare"), ("notebook", "lnl")) if pair[0] in median]
    ratios = {f"{a} / {b}": statistics.median(turn[a] / turn[b] for turn in turns) for a, b in pairs}
    waits = None if busy is None else max(0.0, 1 - busy / median["lnl"])
    return {
        "median_seconds": median,
        "median_ratios": ratios,
        "samples_per_second": images / median["lnl"],
        "device_waits": waits,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="of (c)'s DataLoader")
    parser.add_argument("--output", type=Path, default=Path("outputs/benchmark.json"))
    parser.add_argument("overrides", nargs="*", help="of the configuration, e.g. model=resnet18")
    arguments = parser.parse_intermixed_args()

    send_warnings_to_the_log()
    register_resolvers()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    if arguments.overrides[:1] == ["methods"]:
        from method_costs import compare, table

        rows = compare(arguments.device, arguments.turns, ["data.subset=10000", *arguments.overrides[1:]])
        arguments.output.write_text(json.dumps(rows, indent=2) + "\n")
        print(f"\n{table(rows)}")
        return
    cfg = configuration(arguments.device, *arguments.overrides)
    report = measure(cfg, torch.device(arguments.device), arguments.turns, arguments.workers)
    if arguments.device == "cpu":
        report["peak_memory_above_imports_gb"] = memory_above_imports()
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({key: report[key] for key in report if key not in ("turns", "versions")}, indent=2))


if __name__ == "__main__":
    main()
