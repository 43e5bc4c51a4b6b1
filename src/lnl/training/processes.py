"""One run in several processes, one for each device (``docs/devices.md``)."""

import ctypes
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment, find_free_network_port
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from lnl.app.resolvers import register_resolvers
from lnl.errors import UserError, first_line
from lnl.progress import hushed
from lnl.runs.plan import Plan

STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
LOG_FORMAT = "%(asctime)s %(levelname)s process %(process)d %(name)s: %(message)s"


@dataclass(frozen=True)
class Process:
    """One of the processes that train a run; number 0 of 1 by default."""

    number: int = 0
    count: int = 1
    barrier: Any = None

    def wait(self) -> None:
        """Returns when all processes have called it. One that fails instead ends them all."""
        if self.barrier is not None:
            self.barrier.wait()

    @contextmanager
    def first(self) -> Iterator[None]:
        """Lets the first process go through the block before the others do."""
        if self.number:
            self.wait()
        yield
        if not self.number:
            self.wait()


ALONE = Process()


class OneProcess(LightningEnvironment):
    """A process that trains a run by itself.

    Lightning would take the tasks of an allocation (SLURM, LSF, MPI, torchrun) for processes that train together, and
    leave logs and checkpoints to the first of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_global_rank(0)  # not that of the environment

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return 0


class SharedDDP(DDPStrategy):
    """Lightning's DDP for methods with state per sample; ``name`` is one of :data:`STRATEGIES`.

    A step's loss counts by the number of its samples: the last batches of an epoch may not be divisible among
    processes, whose gradients are averaged. Buffers are left to :class:`SharedState`: DDP would replace those of each
    process by those of the first one.
    """

    def __init__(self, name: str) -> None:
        unused = name == "ddp_find_unused_parameters_true"
        environment = LightningEnvironment()
        super().__init__(find_unused_parameters=unused, broadcast_buffers=False, cluster_environment=environment)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        loss: Any = super().training_step(batch, batch_idx)
        return loss if loss is None else loss * (batch.share * self.world_size)


class SharedState(Callback):
    """Makes a method's buffers the same in all processes, before validation and at the end of each epoch.

    Of the method's own buffers with a row for each training sample (``[num_samples, ...]``), a row comes from the
    process that the epoch gave the sample to; of a sample that was only in streams beside the epoch, from the first
    process that had it. Other buffers of floating point are averaged: the running statistics of batch norm. All others,
    counters, are those of the first process.
    """

    @torch.no_grad()
    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.world_size == 1 or trainer.sanity_checking:
            return
        mine = self._mine(trainer, pl_module)
        for name, buffer in pl_module.named_buffers():
            if "." not in name and buffer.ndim and len(buffer) == pl_module.num_samples:
                mask = mine.view(-1, *[1] * (buffer.ndim - 1))
                rows = torch.where(mask, buffer, torch.zeros_like(buffer))
                shared = rows.to(torch.uint8) if rows.dtype == torch.bool else rows
                buffer.copy_(trainer.strategy.reduce(shared, reduce_op="sum"))
            elif buffer.is_floating_point():
                buffer.copy_(trainer.strategy.reduce(buffer.clone(), reduce_op="mean"))
            else:
                buffer.copy_(trainer.strategy.broadcast(buffer.cpu()))

    on_train_epoch_end = on_validation_start

    @staticmethod
    def _mine(trainer: pl.Trainer, method: Any) -> Tensor:
        """Whether this process gives a sample's row, ``[num_samples]``; the first gives those of no process."""
        sampler: Any = trainer.train_dataloader.sampler  # type: ignore[union-attr]
        rank, count, data = trainer.global_rank, trainer.world_size, trainer.datamodule  # type: ignore[attr-defined]
        owner = torch.full((method.num_samples,), count)
        owner[data.in_streams.cpu()] = rank
        owner = -trainer.strategy.reduce(-owner.to(method.device), reduce_op="max").cpu()  # gloo and NCCL both have it
        owner[sampler.order()] = sampler.owners()
        return (owner % count == rank).to(method.device)


def count_processes(cfg: DictConfig) -> int:
    """The number of processes that train a run; raises UserError if they cannot train together."""
    trainer = cfg.trainer
    if trainer.strategy not in STRATEGIES:
        raise UserError(f"trainer.strategy must be one of {', '.join(STRATEGIES)}, got {trainer.strategy}")
    if str(trainer.devices) == "1":
        return 1
    options: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    options |= {"accelerator": trainer.accelerator, "devices": trainer.devices, "plugins": OneProcess()}
    try:
        count = pl.Trainer(**options).world_size
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise UserError(f"trainer.devices={trainer.devices}: {first_line(error)}") from error
    if count > 1 and "LOCAL_RANK" in os.environ:
        raise UserError("lnl starts a process for each device itself: run it without torchrun (and LOCAL_RANK unset).")
    if (size := cfg.data.batch_size) != "auto" and size % count:
        must = f"data.batch_size is of all {count} devices together and must be divisible by them"
        raise UserError(f"{must}, got {size}")
    return count


def together(count: int, function: Callable[..., dict[str, Any]], plan: Plan, *args: Any) -> dict[str, Any]:
    """Calls ``function(plan, *args, process)`` in ``count`` new processes, and returns the first one's result.

    They end with this one, and all of them with the first that fails. This one takes no part, so that a failure leaves
    a sweep's next run a process that works. It raises a UserError of one of them, or a RuntimeError with the traceback.
    """
    written, values = OmegaConf.to_container(plan.cfg), OmegaConf.to_container(plan.cfg, resolve=True)
    resolved: Any = OmegaConf.create(_resolved(written, values))
    OmegaConf.set_struct(resolved, True)
    handlers = logging.getLogger().handlers
    logs = [handler.baseFilename for handler in handlers if isinstance(handler, logging.FileHandler)]
    with tempfile.TemporaryDirectory() as folder:
        barrier = get_context("spawn").Barrier(count)
        port = find_free_network_port()
        call = partial(function, replace(plan, cfg=resolved), *args)
        context: Any = spawn(_work, (count, port, barrier, Path(folder), logs, call), nprocs=count, join=False)
        try:
            while not context.join(grace_period=5):
                pass
        except KeyboardInterrupt:
            for process in context.processes:  # they were interrupted too, and say what to do
                process.join(10)
                process.kill()
            sys.exit(1)
        except (ProcessExitedException, ProcessRaisedException) as error:
            for said in sorted(Path(folder).glob("error*")):
                raise UserError(said.read_text()) from None
            raise RuntimeError(f"one of {count} processes failed: {error}") from None
        result: dict[str, Any] = json.loads((Path(folder) / "result").read_text())
    return result


def _resolved(written: Any, values: Any) -> Any:
    """The values, but with references to null as they are written: the data may give their values later."""
    if isinstance(written, dict) and isinstance(values, dict):
        return {key: _resolved(written[key], value) for key, value in values.items()}
    return written if values is None else values


def _work(number: int, count: int, port: int, barrier: Any, folder: Path, logs: list[str], call: Any) -> None:
    """The work of each process."""
    register_resolvers()  # references to null are resolved here
    if sys.platform == "linux":  # ended with its parent, so that nothing writes into a run that was given up
        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
    here = {"LOCAL_RANK": number, "NODE_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in here.items()}
    os.environ.pop("TORCHELASTIC_USE_AGENT_STORE", None)  # they would wait for one of torchrun's
    handlers = [*(logging.FileHandler(path) for path in logs), logging.NullHandler()]
    level = logging.ERROR if number else logging.INFO  # remarks of all processes are logged once
    logging.basicConfig(level=level, format=LOG_FORMAT, handlers=handlers)
    if number:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    try:
        with hushed() if number else nullcontext():
            result = call(Process(number, count, barrier))
    except UserError as error:
        (folder / f"error{number}").write_text(str(error))
        sys.exit(1)
    if not number:
        (folder / "result").write_text(json.dumps(result))
