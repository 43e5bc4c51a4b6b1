"""result.json: how it is written."""

import json
import math
from pathlib import Path
from typing import Any

from lnl.files import write_atomically
from lnl.runs.folder import RunFolder

SCHEMA_VERSION = 1  # to be raised when a key changes its meaning or goes


def write_result(folder: RunFolder, result: dict[str, Any]) -> None:
    """Writes ``result.json``, last of all and atomically: where it is, the run is finished and whole."""
    write_json(folder.result, result)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON that every reader takes, atomically."""
    write_atomically(path, json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """JSON has no NaN: a number that is none becomes null."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
