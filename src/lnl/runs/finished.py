"""Runs that are done, found by the folders a user names."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnl.config import listed
from lnl.errors import UserError
from lnl.runs.find import by_name, find_runs, is_run
from lnl.runs.folder import RunFolder, read_result


@dataclass(frozen=True)
class FinishedRun:
    """A run folder and what its ``result.json`` says."""

    folder: RunFolder
    result: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        return list(self.result["data"]["classes"])


def finished_runs(given: str | Sequence[str] | None) -> list[FinishedRun]:
    """The runs in the folders that ``given`` names, each once.

    Args:
        given: run folders, folders of run folders (all finished runs in them, by name), or globs of either.

    Raises:
        UserError: if there is none, or one that was named is no run, or not finished.
    """
    paths = [path for name, folders in by_name(given).items() for path in _run_folders(name, folders)]
    return [_read(path) for path in dict.fromkeys(paths)]


def one_finished_run(given: str | Sequence[str] | None) -> FinishedRun:
    """The run in the folder that ``given`` names.

    Raises:
        UserError: as of :func:`finished_runs`, and if there are several.
    """
    if not listed(given):
        raise UserError("which run? run=outputs/<sweep>/<run>")
    runs = finished_runs(given)
    if len(runs) > 1:
        raise UserError(f"run={given} holds {len(runs)} runs; name one of them, such as run={runs[0].folder.path}")
    return runs[0]


def _run_folders(name: str, found: list[Path]) -> list[Path]:
    folders = []
    for folder in found:
        folds = sorted(folder.glob("fold*/.identity"))
        if folds:  # a cross-validated run has no weights of its own, its folds have
            folders += [fold.parent for fold in folds]
            continue
        inside = [folder] if is_run(folder) else find_runs([folder])
        if not inside and len(found) == 1:
            raise UserError(f"{name} is not a run folder, and no finished run is in it: there is no result.json")
        folders += inside
    if not folders:
        raise UserError(f"no finished run is in the folders {name}: there is no result.json")
    return folders


def _read(path: Path) -> FinishedRun:
    if not (path / "result.json").exists():
        raise UserError(f"the run in {path} is not finished: the command that started it goes on with it")
    result = read_result(path / "result.json")
    if not {"identity", "config", "data", "environment"} <= result.keys():
        raise UserError(f"{path / 'result.json'} is not the result of a run of lnl.train")
    folder = RunFolder(path, result["identity"])
    _check_places(folder, result)
    return FinishedRun(folder, result)


def _check_places(folder: RunFolder, result: dict[str, Any]) -> None:
    """Raises UserError if what is written into a run folder would land elsewhere, by a name or by a link."""
    name = str(result["data"].get("name"))
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UserError(f"{folder.path} is not loaded: its data cannot be called {name!a}")
    home = os.path.realpath(folder.path)
    for place in (folder.evaluations, folder.exports, *folder.exports.glob("*")):
        if not Path(os.path.realpath(place)).is_relative_to(home):
            raise UserError(f"{place} is a link to another folder, where nothing is written: remove the link")
