"""Where runs are."""

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from lnl.config import listed
from lnl.errors import UserError


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


def named_folders(given: str | Sequence[str] | None) -> list[Path]:
    """The folders that a user names, by path or glob, each once.

    Raises:
        UserError: if none is named, or one is not there.
    """
    return list(dict.fromkeys(folder for folders in by_name(given).values() for folder in folders))


def by_name(given: str | Sequence[str] | None) -> dict[str, list[Path]]:
    """The folders of each name that a user gives: one of a path, one or more of a glob.

    Raises:
        UserError: as of :func:`named_folders`.
    """
    if not (names := listed(given)):
        raise UserError("which runs? runs=outputs/<sweep>, or several as runs=[a,b]")
    found = {}
    for name in names:
        path = Path(name).expanduser()
        found[name] = [path] if path.exists() else [Path(match) for match in sorted(glob.glob(str(path)))]
        if not found[name]:
            raise UserError(f"there is no folder {name}")
    return found


def find_others(paths: Iterable[Path], but: Path) -> dict[Path, str]:
    """Folders in ``paths`` where a run could be expected and no result is, with the reason.

    Args:
        paths: as named by the user.
        but: a folder that is known to hold no runs: of reports.
    """
    others: dict[Path, str] = {}
    for path in paths:
        inside = [] if is_run(path) or not path.is_dir() else sorted(path.iterdir())
        folders = [entry for entry in inside if entry.is_dir() and not entry.name.startswith(".")]
        for folder in folders or [path]:
            if folder.resolve() == but.resolve():
                continue
            unfinished = [Path(place) for place, _, files in os.walk(folder) if _is_unfinished(Path(place), files)]
            others |= {place: _why(place) for place in unfinished}
            if not unfinished and not find_runs([folder]):
                others[folder] = "no run in it: there is no result.json"
    return others


def is_run(folder: Path) -> bool:
    """Whether a run is in a folder itself, finished or begun."""
    return (folder / "result.json").exists() or (folder / ".identity").exists()


def _is_unfinished(folder: Path, files: list[str]) -> bool:
    """A fold is part of the run above it; a run that fails early leaves its traceback alone."""
    begun = ".identity" in files or "error.txt" in files
    return begun and "result.json" not in files and not is_run(folder.parent)


def _why(folder: Path) -> str:
    if (folder / "error.txt").exists():
        return "failed: error.txt in it says why"
    return "not finished: the command that started it goes on with it"
