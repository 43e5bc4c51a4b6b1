"""Hardware, versions, and settings of the process."""

import functools
import logging
import platform
import subprocess
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lnl.errors import UserError

PACKAGES = ("lnl", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn")
PRECISIONS = ("auto", "32-true", "32", "bf16-mixed", "16-mixed")


def send_warnings_to_the_log() -> None:
    """Sends Lightning's remarks and all warnings to train.log, so that the terminal has only what a user can act on."""
    logging.captureWarnings(True)
    warnings.filterwarnings("ignore", module="torch.*", category=DeprecationWarning)
    resumed = "You're resuming from a checkpoint that ended before the epoch ended"
    warnings.filterwarnings("ignore", resumed)  # which is exact (lnl.training.within_epoch)
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def resolve_precision(precision: str | int, accelerator: str) -> str | int:
    """``auto`` becomes ``bf16-mixed`` where the hardware computes in bfloat16 natively, else ``32-true``."""
    if str(precision) not in PRECISIONS:
        raise UserError(f"trainer.precision must be one of {', '.join(PRECISIONS)}, got {precision}")
    if precision != "auto":
        return precision
    if torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = not {"amx_bf16", "avx512_bf16", "bf16"}.isdisjoint(_cpu_info().split())
    return "bf16-mixed" if native else "32-true"


@functools.cache
def _cpu_info() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def describe(device: torch.device, precision: str | int) -> dict[str, Any]:
    """The part of ``result.json`` that is about hardware and software."""
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "precision": str(precision),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {package: version(package) for package in PACKAGES},
        "git_commit": git_commit(),
    }


def _cpu_name() -> str:
    names = (line.split(":")[1].strip() for line in _cpu_info().splitlines() if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


@functools.cache
def git_commit() -> str | None:
    """The commit of lnl's own source, with ``+changes`` if it was edited since; None if it is not a checkout.

    It is that of the first call: a process goes on with the code that it started with.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parents[1]), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        if "src/lnl" not in git("ls-files", "--full-name", "."):
            return None  # installed somewhere inside another project's checkout
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
