"""What the framework costs: one training epoch of the default run, three ways, turn by turn in one process.

    python scripts/benchmark.py
    python scripts/benchmark.py --device cuda --turns 9 --output benchmark.json

(a) lnl: its data module, Lightning's Trainer, all callbacks and metrics; (b) a bare PyTorch loop over images that lie
normalised in memory, at the same precision; (c) the usual notebook pipeline: torchvision's dataset, ToTensor and
Normalize image by image, DataLoader, float32. Validation is timed apart, for (a) alone.
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
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from lnl.callbacks import MetricsTable
from lnl.config import CONF_DIR
from lnl.data import NoisyDataModule
from lnl.resolvers import register_resolvers
from lnl.runs.assembly import build_data, build_method, build_trainer
from lnl.runs.environment import describe, resolve_precision, send_warnings_to_the_log
from lnl.runs.evaluation import predict
from lnl.runs.folder import RunFolder


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


def time_lnl(cfg: DictConfig, data: NoisyDataModule) -> dict[str, float]:
    """(a), with the time of validation and of a prediction over the test set."""
    stopwatch = Stopwatch()
    with TemporaryDirectory() as folder:
        run = RunFolder(folder, "benchmark")
        run.claim(force=False)
        method = build_method(cfg, data)
        trainer = build_trainer(cfg, run, data, method, MetricsTable(run.metrics), stopwatch)
        trainer.fit(method, datamodule=data)
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
        "import lnl.train, lnl.runs.training, sklearn, torchvision, pathlib;"
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="of (c)'s DataLoader")
    parser.add_argument("--output", type=Path, default=Path("outputs/benchmark.json"))
    parser.add_argument("overrides", nargs="*", help="of the configuration, e.g. model=resnet18")
    arguments = parser.parse_args()

    send_warnings_to_the_log()
    register_resolvers()
    device = torch.device(arguments.device)
    accelerator = {"cpu": "cpu", "cuda": "gpu"}[arguments.device]
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        fixed = ["trainer.max_epochs=1", f"trainer.accelerator={accelerator}", "callbacks.progress=null"]
        cfg = compose("train", overrides=[*fixed, *arguments.overrides])
    precision = resolve_precision(cfg.trainer.precision, accelerator)
    data = build_data(cfg)
    images = torch.cat([batch.images for batch in data.loader("train", device)]).contiguous(
        memory_format=torch.channels_last
    )
    labels = torch.from_numpy(data.labels.noisy[data.splits["train"]]).to(device)

    turns: list[dict[str, float]] = []
    for turn in range(arguments.turns + 1):
        seconds = time_lnl(cfg, data)
        seconds["bare"] = time_bare(
            cfg, images, labels, build_method(cfg, data).model.to(device), precision == "bf16-mixed"
        )
        seconds["notebook"] = time_notebook(
            cfg, build_method(cfg, data).make_network().to(device), device, arguments.workers
        )
        if turn:  # the first warms up
            turns.append(seconds)
            print("  ".join(f"{name} {value:.3f}" for name, value in seconds.items()), flush=True)

    median = {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}
    ratios = {
        "lnl / bare": statistics.median(turn["lnl"] / turn["bare"] for turn in turns),
        "notebook / lnl": statistics.median(turn["notebook"] / turn["lnl"] for turn in turns),
    }
    report = {"median_seconds": median, "median_ratios": ratios, "turns": turns, **describe(device, precision)}
    if device.type == "cpu":
        report["peak_memory_above_imports_gb"] = memory_above_imports()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({key: report[key] for key in report if key not in ("turns", "versions")}, indent=2))


if __name__ == "__main__":
    main()
