"""The folder of a run: its files, its state, and the lock that lets one process at a time work in it."""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lnl.errors import UserError, first_line
from lnl.files import explained, process_is_gone, write_atomically

SCHEMA_VERSION = 1  # of result.json: to be raised when a key changes its meaning or goes
WORKERS_OUTLIVE = 15.0  # seconds: a killed run's worker processes hold its lock until they notice that it is gone


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON atomically, with null for numbers that are not finite, which JSON does not have."""
    plain = json.loads(json.dumps(content), parse_constant=lambda _: None)
    write_atomically(path, json.dumps(plain, indent=2) + "\n")


class RunFolder:
    """Paths of a run folder (``docs/run_folder.md``) and the state of the run in it.

    ``identity`` is that of the run (:class:`lnl.runs.identity.Experiment`); empty if the folder is only read.
    """

    def __init__(self, path: Path | str, identity: str = "") -> None:
        self.path, self.identity = Path(path), identity
        self.result = self.path / "result.json"  # written last: where it is, the run is finished
        self.metrics = self.path / "metrics.csv"
        self.noise = self.path / "noise.npz"
        self.seen = self.path / "seen.npz"
        self.predictions = self.path / "predictions.csv"
        self.marker = self.path / ".identity"
        self.lock, self.owner = self.path / ".lock", self.path / ".owner.json"
        self.hydra = self.path / ".hydra"
        self.log = self.path / "train.log"
        self.error = self.path / "error.txt"
        self.out_of_fold = self.path / "out_of_fold.npz"
        self.sample_history = self.path / "sample_history.npz"
        self.corrected_labels = self.path / "corrected_labels.csv"
        self.transition = self.path / "transition.npz"
        self.figures = self.path / "figures"
        self.evaluations = self.path / "evaluations"
        self.exports = self.path / "export"
        self.checkpoints = self.path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.label_wave = self.checkpoints / "label_wave.ckpt"  # with callbacks=label_wave
        self.oracle_best = self.checkpoints / "oracle_best.ckpt"  # with oracle=true

    def chosen(self, protocol: str) -> Path:
        """The checkpoint of ``last``, or of the epoch that validation chose: ``noisy_val_best``, ``clean_val_best``."""
        return self.checkpoints / f"{protocol}.ckpt"

    def stage(self, number: int) -> Path:
        """The checkpoint at the end of a stage, from 1, of a method that has stages."""
        return self.checkpoints / f"stage{number}.ckpt"

    def stages(self) -> dict[str, Path]:
        """The checkpoints that the stages of a method, but for the last, ended with."""
        return {path.stem: path for path in sorted(self.checkpoints.glob("stage*.ckpt"))}

    def fold(self, number: int, identity: str = "") -> "RunFolder":
        """The folder of a cross-validated run's fold, from 1."""
        return RunFolder(self.path / f"fold{number}", identity)

    def folds(self) -> list["RunFolder"]:
        """The folders of a cross-validated run's folds that were begun."""
        return [RunFolder(marker.parent) for marker in sorted(self.path.glob(f"fold[0-9]*/{self.marker.name}"))]

    def is_run(self) -> bool:
        """Whether a run is in the folder itself, finished or begun."""
        return self.result.exists() or self.marker.exists()

    def finished(self) -> dict[str, Any] | None:
        """The result of the run if it is finished; raises UserError if it is another run's, or cannot be read."""
        if not self.result.exists():
            return None
        self.check_identity()
        return self.read_result()

    def read_result(self) -> dict[str, Any]:
        """``result.json``; raises UserError if it is not the result of a run."""
        try:
            result = json.loads(self.result.read_text())
        except (OSError, ValueError) as error:
            reason = f"cannot be read as a result ({first_line(error)})"
            raise UserError(f"{self.result} {reason}; force=true trains again.") from error
        if not isinstance(result, dict) or "protocol" not in result:
            raise UserError(f"{self.result} is not the result of a run of lnl.train; force=true trains again.")
        return result

    def claim(self, force: bool) -> None:
        """Makes the folder this run's own: to start, to go on, or, with ``force``, to start over.

        Raises UserError if it holds another run, or files that no run wrote, or cannot be written.
        """
        with explained(self.path):
            if not self.marker.exists():
                if others := [path for path in self._written() if path != self.error]:
                    refusal = f"a run would replace {others[0]}, which no run wrote"
                    raise UserError(f"{refusal}. Choose another folder (hydra.run.dir=...).")
            elif force:
                self._clear()
            else:
                self.check_identity()
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(self.marker, self.identity + "\n")
            self.checkpoints.mkdir(exist_ok=True)

    def check_identity(self) -> None:
        """Raises UserError if the folder is another run's."""
        if self.marker.exists() and self.marker.read_text().strip() != self.identity:
            other = f"{self.path} holds a run of another configuration"
            raise UserError(f"{other}. Choose another hydra.run.dir, or replace that run with force=true.")

    def _written(self) -> list[Path]:
        """All files but those that commands write before they claim the folder: logs and hidden files."""
        inside = sorted(self.path.iterdir()) if self.path.is_dir() else []
        return [path for path in inside if not path.name.startswith(".") and path.suffix != ".log"]

    def _clear(self) -> None:
        # The result first, so that a folder half cleared is not taken for a finished run; the marker stays until it is
        # replaced, so that no other run takes the rest for its own.
        for path in (self.result, *self._written()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def unclaim(self) -> None:
        """Takes back :meth:`claim` of a new run that ended before it trained."""
        self._clear()
        self.marker.unlink()
        with contextlib.suppress(OSError):  # not empty
            self.path.rmdir()

    def discard_if_empty(self) -> None:
        """Removes what a run leaves that ended before it began, and ``outputs/runs`` if nothing else is in it."""
        left = {self.hydra, self.log, self.error, self.lock, self.owner}
        if self.path.is_dir() and set(self.path.iterdir()) <= left:  # else these are not only a run's files
            shutil.rmtree(self.path)
            with contextlib.suppress(OSError):  # not empty
                for parent in list(self.path.absolute().parents)[:2]:
                    if not Path.cwd().is_relative_to(parent):
                        parent.rmdir()


class Busy(UserError):
    """Another process, ``holder``, holds the run folder."""

    def __init__(self, holder: str, path: object) -> None:
        super().__init__(f"{path} is being worked on by {holder}. It is let go when that process ends.")
        self.holder = holder


@contextlib.contextmanager
def held(folder: RunFolder) -> Iterator[None]:
    """Holds a run folder for this process. The system releases it when the process ends, however it ends.

    Raises:
        Busy: if another process holds it.
        UserError: if the folder cannot be written.
    """
    lock = FileLock(folder.lock)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            owner = _read_owner(folder)
            if owner.get("host") != socket.gethostname() or not process_is_gone(owner.get("pid")):
                raise
            lock.acquire(timeout=WORKERS_OUTLIVE)
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        write_atomically(folder.owner, json.dumps(owner), durable=False)
    except Timeout as error:
        owner = _read_owner(folder)
        holder = f"process {owner['pid']} on {owner['host']}, since {owner['since']}" if owner else "another process"
        raise Busy(holder, folder.path) from error
    except OSError as error:
        lock.release()
        raise UserError(f"the run folder {folder.path} cannot be written: {error.strerror}.") from error
    try:
        yield
    finally:
        folder.owner.unlink(missing_ok=True)
        lock.release()


def _read_owner(folder: RunFolder) -> dict[str, Any]:
    try:
        owner = json.loads(folder.owner.read_text())
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}
