"""What the tests share: the command line in this process, and the real data where it is."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.browser import started

DATA_DIR = Path(os.environ.get("LNL_DATA_DIR", "/nonexistent"))


def needs(folder: str) -> pytest.MarkDecorator:
    """Skips a test, by name, where real data is not on the disk."""
    return pytest.mark.skipif(not (DATA_DIR / folder).is_dir(), reason=f"LNL_DATA_DIR has no {folder}")


needs_cifar10 = needs("cifar-10-batches-py")
needs_mnist = needs("MNIST")
needs_flowers = needs("flower_photos")


@dataclass
class Outcome:
    """What a command left: exit code, what it printed, and the run folders."""

    code: int
    out: str
    err: str
    root: Path

    @property
    def folders(self) -> list[Path]:
        return sorted(path.parent for path in self.root.rglob(".identity"))

    @property
    def folder(self) -> Path:
        """The only one."""
        (folder,) = self.folders
        return folder

    @property
    def result(self) -> dict[str, Any]:
        return json.loads((self.folder / "result.json").read_text())


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Makes of a command's module what runs it with arguments, in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LNL_CACHE_DIR", str(tmp_path / "cache"))

    def runner(module):
        def run(*arguments: str) -> Outcome:
            monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
            capsys.readouterr()
            try:
                module.main()
                code = 0
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            captured = capsys.readouterr()
            return Outcome(code, captured.out, captured.err, tmp_path)

        return run

    return runner


@pytest.fixture
def train(command):
    """``python -m lnl.train``."""
    from lnl import train as module

    return command(module)


@pytest.fixture
def evaluate(command):
    """``python -m lnl.evaluate``."""
    from lnl import evaluate as module

    return command(module)


@pytest.fixture
def predict(command):
    """``python -m lnl.predict``."""
    from lnl import predict as module

    return command(module)


@pytest.fixture
def export(command):
    """``python -m lnl.export``."""
    from lnl import export as module

    return command(module)


@pytest.fixture
def report(command):
    """``python -m lnl.report``."""
    from lnl import report as module

    return command(module)


@pytest.fixture
def audit(command):
    """``python -m lnl.audit``."""
    from lnl import audit as module

    return command(module)


@pytest.fixture
def digits(train):
    """``train`` on digits in float32, two epochs unless said otherwise."""

    def run(*arguments: str) -> Outcome:
        flags = [argument for argument in arguments if argument.startswith("-")]
        fixed = ["data=digits", "trainer.precision=32-true", "trainer.max_epochs=2"]
        return train(*flags, *fixed, *(argument for argument in arguments if argument not in flags))

    return run


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    """The state of the method in a run's checkpoint."""
    return torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="session")
def browser():
    """Chromium, in one window for all tests."""
    driver = started()
    yield driver
    driver.quit()
