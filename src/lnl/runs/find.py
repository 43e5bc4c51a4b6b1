"""Finds runs, and those that are finished, in the folders that a user names."""

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnl.config import listed
from lnl.errors import UserError
from lnl.runs.folder import RunFolder


@dataclass(frozen=True)
class FinishedRun:
    """A run folder and the content of its ``result.json``."""

    folder: RunFolder
    result: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        return list(self.result["data"]["classes"])


def find_runs(paths: Iterable[Path | str]) -> list[Path]:
    """Folders with a ``result.json`` in and under ``paths``, sorted, each once.

    Folders inside a run folder belong to that run: the folds of a cross-validation are not runs of their own.
    """
    found = []
    for path in paths:
        for folder, inside, _ in os.walk(path):
            if RunFolder(folder).result.exists():
                found.append(Path(folder))
                inside.clear()
    return sorted(dict.fromkeys(found))


def named_folders(given: str | Sequence[str] | None) -> list[Path]:
    """The folders that a user names, by path or glob, each once; raises UserError if a folder or all are missing."""
    return list(dict.fromkeys(folder for folders in _by_name(given).values() for folder in folders))


def _by_name(given: str | Sequence[str] | None) -> dict[str, list[Path]]:
    """The folders of each name that a user gives: one for a path, one or more for a glob."""
    if not (names := listed(given)):
        raise UserError("which runs? runs=outputs/<sweep>, or several as 'runs=[a,b]'")
    found = {}
    for name in names:
        path = Path(name).expanduser()
        found[name] = [path] if path.exists() else [Path(match) for match in sorted(glob.glob(str(path)))]
        if not found[name]:
            raise UserError(f"there is no folder {name}")
    return found


def finished_runs(given: str | Sequence[str] | None) -> list[FinishedRun]:
    """The runs in the folders that ``given`` names, each once: run folders, folders of run folders, or globs of either.

    Raises:
        UserError: if none is found, or a named one is not a run or not finished.
    """
    paths = [path for name, folders in _by_name(given).items() for path in _run_folders(name, folders)]
    return [_read(path) for path in dict.fromkeys(paths)]


def one_finished_run(given: str | Sequence[str] | None, outputs: str = "outputs") -> FinishedRun:
    """The only run of :func:`finished_runs`.

    Raises:
        UserError: if there are several, or none is given: then it names the newest in ``outputs``.
    """
    if not listed(given):
        found = find_runs([Path(outputs).expanduser()])
        newest = max(found, key=lambda path: RunFolder(path).result.stat().st_mtime, default=None)
        example = "outputs/<sweep>/<run>" if newest is None else f"{newest} is the newest"
        raise UserError(f"which run? run={example}")
    runs = finished_runs(given)
    if len(runs) > 1:
        raise UserError(f"run={given} holds {len(runs)} runs; name one of them, such as run={runs[0].folder.path}")
    return runs[0]


def _run_folders(name: str, found: list[Path]) -> list[Path]:
    folders = []
    for folder in found:
        found_inside = [folder] if RunFolder(folder).is_run() or RunFolder(folder).folds() else find_runs([folder])
        inside = [part for path in found_inside for part in _with_weights(path)]
        if not inside and len(found) == 1:
            raise UserError(f"{name} is not a run folder, and no finished run is in it: there is no result.json")
        folders += inside
    if not folders:
        raise UserError(f"no finished run is in the folders {name}: there is no result.json")
    return folders


def _with_weights(run: Path) -> list[Path]:
    """The folders that have the weights of a run: of a cross-validated one, its folds."""
    return [fold.path for fold in RunFolder(run).folds()] or [run]


def _read(path: Path) -> FinishedRun:
    folder = RunFolder(path)
    if not folder.result.exists():
        raise UserError(f"the run in {path} is not finished: the command that started it goes on with it")
    result = folder.read_result()
    if not {"identity", "config", "data", "environment"} <= result.keys():
        raise UserError(f"{folder.result} is not the result of a run of lnl.train")
    _check_places(folder, result)
    return FinishedRun(folder, result)


def _check_places(folder: RunFolder, result: dict[str, Any]) -> None:
    """Raises UserError if files of a run folder would be written elsewhere, by a name or a link."""
    name = str(result["data"].get("name"))
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UserError(f"{folder.path} is not loaded: its data cannot be called {name!a}")
    home = os.path.realpath(folder.path)
    for place in (folder.evaluations, folder.exports, *folder.exports.glob("*")):
        if not Path(os.path.realpath(place)).is_relative_to(home):
            raise UserError(f"{place} is a link to another folder, where nothing is written: remove the link")


def find_others(paths: Iterable[Path], but: Path) -> dict[Path, str]:
    """Folders in ``paths``, other than ``but``, that could hold a run and have no result, with the reason."""
    others: dict[Path, str] = {}
    for path in paths:
        inside = [] if RunFolder(path).is_run() or not path.is_dir() else sorted(path.iterdir())
        folders = [entry for entry in inside if entry.is_dir() and not entry.name.startswith(".")]
        for folder in folders or [path]:
            if folder.resolve() == but.resolve():
                continue
            found = {Path(place): reason for place, *_ in os.walk(folder) if (reason := _unfinished(Path(place)))}
            others |= found
            if not found and not find_runs([folder]):
                others[folder] = "no run in it: there is no result.json"
    return others


def _unfinished(path: Path) -> str:
    """Why a run that was begun in a folder has no result; empty if none was begun, or it is a fold or finished."""
    folder = RunFolder(path)
    # A fold is part of the run above it; a run that fails early leaves only its traceback.
    if folder.result.exists() or RunFolder(path.parent).is_run():
        return ""
    if folder.error.exists():
        return "failed: error.txt in it says why"
    return "not finished: the command that started it goes on with it" if folder.marker.exists() else ""
