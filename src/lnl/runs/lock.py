"""One process at a time works in a run folder."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from filelock import FileLock, Timeout

from lnl.errors import UserError
from lnl.files import process_is_gone, write_atomically
from lnl.runs.folder import RunFolder

WORKERS_OUTLIVE = 15.0  # seconds: a killed run's worker processes hold its lock until they notice that it is gone


class Busy(UserError):
    """Another process, ``holder``, holds the run folder."""

    def __init__(self, holder: str, path: object) -> None:
        super().__init__(f"{path} is being worked on by {holder}. It is let go when that process ends.")
        self.holder = holder


@contextmanager
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
