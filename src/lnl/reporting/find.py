"""Where runs are."""

import os
from collections.abc import Iterable
from pathlib import Path


def find_runs(paths: Iterable[Path | str]) -> list[Path]:
    """Folders with a ``result.json`` in and under ``paths``, sorted, each once.

    What lies inside a run folder belongs to that run: the folds of a cross-validation are not runs of their own.
    """
    found = []
    for path in paths:
        for folder, inside, files in os.walk(path):
            if "result.json" in files:
                found.append(Path(folder))
                inside.clear()
    return sorted(dict.fromkeys(found))
