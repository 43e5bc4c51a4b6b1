"""One run in several processes, one for each device (``docs/devices.md``)."""

import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment, find_free_network_port
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from lnl.errors import UserError
from lnl.runs.plan import Plan

STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
LOG_FORMAT = "%(asctime)s %(levelname)s process %(process)d %(name)s: %(message)s"


@dataclass(frozen=True)
class Process:
    """One of the processes that train a run; alone, number 0 of 1."""

    number: int = 0
    count: int = 1
    barrier: Any = None

    def wait(self) -> None:
        """Returns when all have come here. One that fails instead ends them all."""
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
    """A process that works by itself, whatever started it.

    Lightning would take the tasks of an allocation (SLURM, LSF, MPI, torchrun) for processes that train together, and
    leave logs and checkpoints to the first of them. Here each of them is a run's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_global_rank(0)  # Lightning has read another one from the environment

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return 0


class Shared(DDPStrategy):
    """Lightning's DDP for methods with a state per sample.

    A step's loss counts by the number of its samples: the last batches of an epoch may not be divisible among
    processes, whose gradients are averaged. Buffers are left to :class:`~lnl.training.shared_state.SharedState`: DDP
    would overwrite what a process knows of its samples with what the first one does not know of them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(broadcast_buffers=False, cluster_environment=LightningEnvironment(), **options)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        loss: Any = super().training_step(batch, batch_idx)
        return loss if loss is None else loss * (batch.share * self.world_size)


def count_processes(cfg: DictConfig) -> int:
    """In how many processes a run trains: one for each device that ``trainer.devices`` asks for.

    Raises:
        UserError: if they cannot train together.
    """
    trainer = cfg.trainer
    if trainer.strategy not in STRATEGIES:
        raise UserError(f"trainer.strategy must be one of {', '.join(STRATEGIES)}, got {trainer.strategy}")
    if str(trainer.devices) == "1":
        return 1
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    try:
        count = pl.Trainer(
            accelerator=trainer.accelerator, devices=trainer.devices, plugins=OneProcess(), **quiet
        ).world_size
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise UserError(f"trainer.devices={trainer.devices}: {str(error).splitlines()[0]}") from error
    if count == 1:
        return 1
    if "LOCAL_RANK" in os.environ:
        raise UserError("lnl starts a process for each device itself: run it without torchrun (and LOCAL_RANK unset).")
    if cfg.data.batch_size % count:
        raise UserError(
            f"data.batch_size is of all {count} devices together and must be divisible by them, "
            f"got {cfg.data.batch_size}"
        )
    return count


def strategy(name: str) -> Shared:
    """The strategy of one of :data:`STRATEGIES`."""
    return Shared(find_unused_parameters=name == "ddp_find_unused_parameters_true")


def together(count: int, function: Callable[..., dict[str, Any]], plan: Plan, *args: Any) -> dict[str, Any]:
    """Calls ``function(plan, *args, process)`` in ``count`` new processes.

    They end with this one, and all of them with the first that fails. This one takes no part: a failure of the others
    leaves a sweep's next run a process that works.

    Returns:
        What it returned in the first of them.

    Raises:
        UserError: as it was raised in one of them.
        RuntimeError: with the traceback, for any other error.
    """
    resolved: Any = OmegaConf.create(
        _resolved(OmegaConf.to_container(plan.cfg), OmegaConf.to_container(plan.cfg, resolve=True))
    )
    OmegaConf.set_struct(resolved, True)
    logs = [
        handler.baseFilename for handler in logging.getLogger().handlers if isinstance(handler, logging.FileHandler)
    ]
    with tempfile.TemporaryDirectory() as folder:
        barrier = get_context("spawn").Barrier(count)
        port = find_free_network_port()
        work = (count, port, barrier, Path(folder), logs, function, replace(plan, cfg=resolved), args)
        context: Any = spawn(_work, work, nprocs=count, join=False)
        try:
            while not context.join(grace_period=5):
                pass
        except KeyboardInterrupt:
            for process in context.processes:  # they have heard it too, and say what to do
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
    """The values, but for references to nothing: the data may say later what classes and size they refer to."""
    if isinstance(written, dict) and isinstance(values, dict):
        return {key: _resolved(written[key], value) for key, value in values.items()}
    return written if values is None else values


def _work(
    number: int,
    count: int,
    port: int,
    barrier: Any,
    folder: Path,
    logs: list[str],
    function: Callable[..., dict[str, Any]],
    plan: Plan,
    args: tuple[Any, ...],
) -> None:
    """What each process does."""
    _end_with_the_parent()
    here = {"LOCAL_RANK": number, "NODE_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in here.items()}
    os.environ.pop("TORCHELASTIC_USE_AGENT_STORE", None)  # they would wait for one of torchrun's
    handlers: list[logging.Handler] = [logging.FileHandler(path) for path in logs]
    # What all of them have to remark is logged once.
    logging.basicConfig(
        level=logging.ERROR if number else logging.INFO, format=LOG_FORMAT, handlers=handlers or [logging.NullHandler()]
    )
    if number:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    try:
        result = function(plan, *args, Process(number, count, barrier))
    except UserError as error:
        (folder / f"error{number}").write_text(str(error))
        sys.exit(1)
    if not number:
        (folder / "result").write_text(json.dumps(result))


def _end_with_the_parent() -> None:
    """Has this process killed when its parent is (Linux), so that nothing writes into a run that was given up."""
    if sys.platform == "linux":
        import ctypes

        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
