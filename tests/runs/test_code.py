"""What stands for a user's own code in a run's identity."""

import sys

import pytest

from lnl.runs import code as module
from lnl.runs.code import class_attribute, class_named, sources

LOSS = """
import torch

class Scaled(torch.nn.CrossEntropyLoss):
    def forward(self, logits, labels):
        return {factor} * torch.nn.functional.cross_entropy(logits, labels, reduction="none")
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder that modules are found in, by this process as by one that has just started."""
    monkeypatch.syspath_prepend(tmp_path)
    module._source.cache_clear()
    yield tmp_path
    module._source.cache_clear()
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def of(target):
    module._source.cache_clear()
    return sources({"loss": {"parts": [{"_target_": target}]}})


def test_code_of_lnl_and_of_installed_packages_does_not_count():
    config = {
        "seed": 0,
        "loss": {"_target_": "lnl.losses.CrossEntropy"},
        "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1},
        "trainer": {"_target_": "pytorch_lightning.Trainer", "max_epochs": 7},
        "data": {"_target_": "lnl.data.Digits"},
        "callbacks": {"a": {"_target_": "functools.partial"}},
    }
    assert sources(config) == {}
    assert of("nowhere.Loss") == of("__main__.Loss") == of("builtins.dict") == {}


@pytest.mark.parametrize(
    "target", ["own_a.Loss", "own_a.Loss.inner", "own_b.c.Loss", "own_d.Loss", "own_d.e.Loss", "own_f.g.h.Loss"]
)
def test_a_file_is_its_content_and_a_package_its_files(here, target):
    """own_b, own_f and own_f.g are namespaces; own_d a package, which may have its classes from any of its files."""
    files = ("own_a.py", "own_b/c.py", "own_d/__init__.py", "own_d/e.py", "own_d/notes.txt", "own_f/g/h.py", "other.py")
    for path in files:
        (here / path).parent.mkdir(exist_ok=True, parents=True)
        (here / path).write_text("raise RuntimeError('imported')\n")
    first = of(target)
    assert list(first) == [target]
    expected = {"own_a": {"own_a.py"}, "own_b": {"own_b/c.py"}, "own_d": {"own_d/__init__.py", "own_d/e.py"}}
    expected["own_f"] = {"own_f/g/h.py"}
    counts = {"own_d/e.py"} if target == "own_d.e.Loss" else expected[target[:5]]
    for path in sorted(here.rglob("*.*")):
        before = path.read_text()
        path.write_text("edited")
        assert (of(target) != first) == (path.relative_to(here).as_posix() in counts), path
        path.write_text(before)
    assert of(target) == first


def test_an_edited_loss_is_trained_anew(here, digits):
    arguments = ("loss._target_=own_loss.Scaled", "trainer.max_epochs=1")
    folders = []
    for factor in (1, 1, 50):
        (here / "own_loss.py").write_text(LOSS.format(factor=factor))
        module._source.cache_clear()
        sys.modules.pop("own_loss", None)
        outcome = digits(*arguments)
        assert outcome.code == 0, outcome.err
        folders.append(outcome.folders)
        assert ("finished already" in outcome.out) == (len(folders) == 2)
    assert [len(folder) for folder in folders] == [1, 1, 2]


def test_what_a_class_says_is_read_without_importing_it(here):
    files = {
        "own_p/__init__.py": "from .sub.classes import Silent as Renamed",
        "own_p/base.py": "from lnl.methods import Baseline\nclass Base(Baseline):\n    any_loss = False\n",
        "own_p/sub/classes.py": """
import lnl.methods
import lnl.methods as theirs
from typing import ClassVar, Generic
from ..base import Base
from lnl.methods import FitOnce

class Silent(Base): ...
class Theirs(theirs.FitOnce): ...
class Dotted(lnl.methods.Baseline):
    any_loss: ClassVar[bool] = False
class Again(Dotted):
    any_loss = True
class Two(Generic[int], Dotted): ...
class FitOnce(FitOnce): ...
raise RuntimeError("imported")
""",
    }
    for path, text in files.items():
        (here / path).parent.mkdir(exist_ok=True, parents=True)
        (here / path).write_text(text)
    said = dict.fromkeys(("Silent", "Theirs", "Dotted", "Two", "FitOnce"), False) | {"Again": True, "Nothing": None}
    assert {name: class_attribute(f"own_p.sub.classes.{name}", "any_loss") for name in said} == said
    assert class_attribute("own_p.Renamed", "any_loss") is False
    assert class_attribute("lnl.methods.FitOnce", "any_loss") is False
    assert class_attribute("lnl.methods.Baseline", "any_loss") is True
    for nothing in ("nowhere.Method", "__main__.Method", "builtins.dict", "", "own_p"):
        assert class_attribute(nothing, "any_loss") is None


def test_the_class_that_a_class_names_is_found_without_an_import(here):
    (here / "own_q").mkdir()
    (here / "own_q/__init__.py").write_text("from own_q.data import Blobs as Renamed\n")
    (here / "own_q/data.py").write_text(
        """
from elsewhere import sources
from .near import Near
import elsewhere.other as other
class Source: ...
class Blobs(Module):
    reads = sources.Blobs
class Inherits(Blobs):
    defaults = {"channels": 1}
class Own(Blobs):
    reads: ClassVar = Source
class Relative(Blobs):
    reads = Near
class Aliased(Blobs):
    reads = other.Far
class Made(Module):
    reads = make("Blobs")
raise RuntimeError("imported")
"""
    )
    named = {"Blobs": "elsewhere.sources.Blobs", "Inherits": "elsewhere.sources.Blobs", "Own": "own_q.data.Source"}
    named |= {"Relative": "own_q.near.Near", "Aliased": "elsewhere.other.Far", "Made": None}
    assert {name: class_named(f"own_q.data.{name}", "reads") for name in named} == named
    assert class_named("own_q.Renamed", "reads") == "elsewhere.sources.Blobs"
    assert class_named("lnl.data.FolderData", "reads") == "lnl.datasets.userdata.folder.Folder"
    assert class_named("lnl.data.NoisyDataModule", "reads") is None
