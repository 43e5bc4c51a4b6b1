"""What the tests share: the command line in this process, and the real data where it is."""

import gc
import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# On tensors this small a second thread only waits; several tests run at a time. Processes that tests start have it too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hydra._internal.hydra import Hydra
from hypothesis import settings

from tests.browser import started

# The same examples for everybody; --hypothesis-profile=fresh draws others.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("fresh", derandomize=False, database=None, deadline=None, print_blob=True)
settings.load_profile("same")

DATA_DIR = Path(os.environ.get("LNL_DATA_DIR", "/nonexistent"))


def pytest_collection_finish() -> None:
    """Spares collections of garbage what is imported by now: most of a second each."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()


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
    from lnl import progress
    from lnl.app import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LNL_CACHE_DIR", str(tmp_path / "cache"))
    # Hydra composes everything once more to see whether hydra.mode is set, a third of the time of a mistake.
    monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: None)
    # A slow machine would say more of its progress than a fast one.
    monkeypatch.setattr(progress, "SHORT", 1e6)
    monkeypatch.setattr(progress, "SOON", 1e6)

    def runner(module):
        def run(*arguments: str) -> Outcome:
            monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
            capsys.readouterr()
            try:
                cli.run(module.job, module.__name__.removeprefix("lnl."))
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


@pytest.fixture(scope="session")
def shelf() -> dict[tuple[str, ...], tuple[Outcome, Path]]:
    """Finished runs, and where their files are kept."""
    return {}


@pytest.fixture
def trained(digits, shelf, tmp_path, tmp_path_factory):
    """A finished run of ``digits`` in the test's folder, trained once for all tests that ask for the same one."""

    def run(*arguments: str) -> Outcome:
        if arguments not in shelf:
            with pytest.MonkeyPatch.context() as patch:
                kept = tmp_path_factory.mktemp("trained")
                patch.chdir(kept)
                shelf[arguments] = replace(digits(*arguments), root=kept), kept / "outputs"
        outcome, outputs = shelf[arguments]
        shutil.copytree(outputs, tmp_path / "outputs", dirs_exist_ok=True)
        return replace(outcome, root=tmp_path)

    return run


# The last epoch undoes what the second has learned, on any processor, so that the chosen epoch is another one.
UNLEARNS = ("trainer.max_epochs=3", "scheduler=multistep", "scheduler.milestones=[2]", "scheduler.gamma=-1")


def above_chance(samples: int, classes: int = 10) -> float:
    """An accuracy that guessing reaches in one of three million cases: five standard deviations above 1 / K."""
    chance = 1 / classes
    return chance + 5 * (chance * (1 - chance) / samples) ** 0.5


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    """The state of the method in a run's checkpoint."""
    return torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="session")
def browser():
    """Chromium, in one window for all tests."""
    driver = started()
    yield driver
    driver.quit()
