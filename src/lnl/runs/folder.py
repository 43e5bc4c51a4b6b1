"""The folder of a run: what is in it, and whether the run is finished, interrupted or new."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from lnl.errors import UserError, first_line
from lnl.files import write_atomically


class RunFolder:
    """Paths of a run folder (``docs/run_folder.md``) and the state of the run in it.

    Args:
        path: the folder.
        identity: of the run that is to be in it (:func:`lnl.runs.identity.identity`).
    """

    def __init__(self, path: Path | str, identity: str) -> None:
        self.path, self.identity = Path(path), identity
        self.result = self.path / "result.json"
        self.metrics = self.path / "metrics.csv"
        self.noise = self.path / "noise.npz"
        self.seen = self.path / "seen.npz"
        self.predictions = self.path / "predictions.csv"
        self.marker = self.path / ".identity"
        self.lock, self.owner = self.path / ".lock", self.path / ".owner.json"
        self.hydra = self.path / ".hydra"
        self.error = self.path / "error.txt"
        self.out_of_fold = self.path / "out_of_fold.npz"
        self.corrected_labels = self.path / "corrected_labels.csv"
        self.evaluations = self.path / "evaluations"
        self.exports = self.path / "export"
        self.checkpoints = self.path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.noisy_val_best = self.checkpoints / "noisy_val_best.ckpt"
        self.oracle_best = self.checkpoints / "oracle_best.ckpt"  # with oracle=true

    def stages(self) -> dict[str, Path]:
        """The checkpoint that each stage but the last ended with, of a method that has stages."""
        return {path.stem: path for path in sorted(self.checkpoints.glob("stage*.ckpt"))}

    def finished(self) -> dict[str, Any] | None:
        """The result of the run, if it is finished.

        Raises:
            UserError: if the result is another run's, or cannot be read.
        """
        if not self.result.exists():
            return None
        self.check_identity()
        return read_result(self.result)

    def claim(self, force: bool) -> None:
        """Makes the folder this run's own, ready to start, to go on, or, with ``force``, to start over.

        Raises:
            UserError: if it holds another run, files that no run wrote, or cannot be written.
        """
        try:
            if not self.marker.exists():
                self._check_nothing_is_replaced()
            elif force:
                self._clear()
            else:
                self.check_identity()
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(self.marker, self.identity + "\n")
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"the run folder {self.path} cannot be written: {error.strerror}.") from error

    def check_identity(self) -> None:
        """Raises UserError if the folder is another run's."""
        if self.marker.exists() and self.marker.read_text().strip() != self.identity:
            raise UserError(
                f"{self.path} holds a run of another configuration. Choose another hydra.run.dir, "
                "or replace that run with force=true."
            )

    def _written(self) -> list[Path]:
        """What runs write that is there, the result first."""
        paths = (
            *(self.result, self.metrics, self.noise, self.seen, self.predictions),
            *(self.out_of_fold, self.corrected_labels),
            *(self.path / "sample_history.npz", self.path / "figures", self.path / "tensorboard"),
            *(self.checkpoints, self.evaluations, self.exports),
            *(marker.parent for marker in self.path.glob("fold*/.identity")),
        )
        return [path for path in paths if path.exists()]

    def _check_nothing_is_replaced(self) -> None:
        """Starting over and taking back remove what a run has written: there must be nothing else by those names."""
        if written := self._written():
            raise UserError(
                f"a run would replace {written[0]}, which is no run's. Choose another folder (hydra.run.dir=...)."
            )

    def _clear(self) -> None:
        # The result first, so that a folder half cleared is not taken for a finished run; the marker stays until it is
        # written over, so that no other run takes what is left for its own.
        for path in (*self._written(), self.error):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def unclaim(self) -> None:
        """Takes back :meth:`claim`, of a new run that ended before it trained on anything."""
        self._clear()
        self.marker.unlink()
        with contextlib.suppress(OSError):  # not empty: whoever made it removes it
            self.path.rmdir()

    def discard_if_empty(self) -> None:
        """Removes what a run leaves behind that ended before it began: the copy of its configuration, the log."""
        left = {self.hydra, self.path / "train.log", self.error, self.lock, self.owner}
        if self.path.is_dir() and set(self.path.iterdir()) <= left:  # else it is somebody else's folder
            shutil.rmtree(self.path)
            with contextlib.suppress(OSError):  # not empty
                self.path.parent.rmdir()


def read_result(path: Path) -> dict[str, Any]:
    """A ``result.json``.

    Raises:
        UserError: if it is not one.
    """
    try:
        result = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a result ({first_line(error)}); force=true trains anew.") from error
    if not isinstance(result, dict) or "protocol" not in result:
        raise UserError(f"{path} is not the result of a run of lnl.train; force=true trains anew.")
    return result
