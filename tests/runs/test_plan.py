"""The plan of a run: computed once, and what it says of parts that are given by their class."""

import json
import sys

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.runs import identity, plan
from lnl.runs.folder import RunFolder

SMALL = ("trainer.max_epochs=1", "model=mlp_1x512", "data.subset=100")
COUNTED = ("fingerprints", "sources", "_files")  # what reads files


@pytest.fixture
def counts(monkeypatch):
    """How often each part of an identity is computed."""
    found = dict.fromkeys((*COUNTED, "identify"), 0)

    def counting(name, function):
        def call(*arguments):
            found[name] += 1
            return function(*arguments)

        return call

    for name in COUNTED:
        monkeypatch.setattr(identity, name, counting(name, getattr(identity, name)))
    monkeypatch.setattr(plan, "identify", counting("identify", plan.identify))
    return found


@pytest.mark.parametrize(
    ("arguments", "runs"), [((), 1), (("data.folds=3",), 1), (("-m", "seed=0,1"), 2), (("hydra.run.dir=here",), 1)]
)
def test_what_identifies_a_run_is_computed_once(train, tmp_path, counts, arguments, runs):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=images, labels=rng.integers(0, 2, 200))
    flags = [argument for argument in arguments if argument == "-m"]
    others = [argument for argument in arguments if argument != "-m"]
    command = (*flags, "data=arrays", "data.path=own.npz", *SMALL, *others)
    outcome = train(*command)
    assert outcome.code == 0, outcome.err
    assert set(counts.values()) == {runs}
    assert train(*command).out.count("finished") >= runs
    assert set(counts.values()) == {2 * runs}
    np.savez(tmp_path / "own.npz", images=images[::-1], labels=rng.integers(0, 2, 200))
    again = train(*command)  # other data is another run, though the command and the process are the same
    assert ("holds a run of another configuration" in again.err) if "hydra.run.dir=here" in arguments else not again.err
    assert not {"finished already", "skipped"} & set(again.out.split(","))


def test_each_fold_has_an_identity_of_its_own(digits):
    outcome = digits("data.folds=2", *SMALL)
    identities = {json.loads((folder / "result.json").read_text())["identity"] for folder in outcome.folders}
    assert len(identities) == 3
    assert {(folder / ".identity").read_text().strip() for folder in outcome.folders} == identities
    alone = digits("data.folds=2", "data.fold=2", *SMALL)  # the same run as that fold, in a folder of its own
    assert {json.loads((folder / "result.json").read_text())["identity"] for folder in alone.folders} == identities


OWN = {
    "method": ("SOP", "from lnl.methods import Baseline\n\nclass SOP(Baseline): ...\n"),
    "loss": ("Unhinged", "from lnl.losses import CrossEntropy\n\nclass Unhinged(CrossEntropy): ...\n"),
    "model": ("Net", "from lnl.models import SmallCNN\n\nclass Net(SmallCNN): ...\n"),
    "data": ("Numbers", "from lnl.data import Digits\n\nclass Numbers(Digits): ...\n"),
    "noise": ("Mine", "from lnl.noise import SymmetricNoise\n\nclass Mine(SymmetricNoise): ...\n"),
}


@pytest.mark.parametrize("part", OWN)
@pytest.mark.parametrize("given", ["command line", "experiment"])
def test_a_part_given_by_its_class_is_called_by_its_class(digits, tmp_path, monkeypatch, report, part, given):
    name, code = OWN[part]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "plan_own", raising=False)
    (tmp_path / "plan_own.py").write_text(code)
    if given == "command line":
        arguments = [f"{part}._target_=plan_own.{name}"]
    else:
        experiment = tmp_path / "mine/experiment/own.yaml"
        experiment.parent.mkdir(parents=True)
        experiment.write_text(f"# @package _global_\n{part}: {{_target_: plan_own.{name}}}\n")
        arguments = [f"--config-dir={tmp_path / 'mine'}", "experiment=own"]
    outcome = digits(*arguments, "trainer.max_epochs=1", "data.subset=100")
    assert outcome.code == 0, outcome.err
    said = {**outcome.result, "data": outcome.result["data"]["name"], "noise": outcome.result["noise"]["kind"]}
    usual = {"method": "baseline", "loss": "ce", "model": "cnn", "data": "digits", "noise": "symmetric"}
    assert {key: said[key] for key in usual} == usual | {part: name}
    assert name in outcome.folder.name
    if part in ("method", "loss"):
        rows = report(f"runs={outcome.folder.parent}", "figures=[]", "page=false", "tables=[]").out
        assert f"{'baseline + ' * (part == 'loss')}{name}" in rows or name in rows


OBSERVER = """
from lnl.callbacks import StopOnNaN
from pytorch_lightning.callbacks import Callback

class Careful(StopOnNaN): ...
class Quiet(Callback):
    changes_numbers = False
class Loud(Callback): ...
"""


def test_a_class_says_what_it_changes_of_an_identity(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "identity_own.py").write_text(OBSERVER)
    (tmp_path / "labels.csv").write_text("label\n1\n")
    register_resolvers()

    def of(*overrides):
        with initialize_config_dir(CONF_DIR, version_base="1.3"):
            return identity.identify(compose("train", ["data=digits", *overrides]))

    usual = of()
    for same in ("lnl.callbacks.ContactSheet", "identity_own.Careful", "identity_own.Quiet"):
        assert of(f"+callbacks.mine._target_={same}").identity == usual.identity
    for other in ("lnl.callbacks.SampleHistory", "identity_own.Loud", "nowhere.Unknown"):
        assert of(f"+callbacks.mine._target_={other}").identity != usual.identity
    assert identity.acting(of("callbacks=sample_history", "+callbacks.b._target_=nowhere.B").config) == ["b"]
    monkeypatch.chdir(tmp_path)
    before = of("noise=file", "noise.path=labels.csv")
    (tmp_path / "labels.csv").rename("moved.csv")
    assert of("noise=file", "noise.path=moved.csv").identity == before.identity
    (tmp_path / "moved.csv").write_text("label\n2\n")
    assert of("noise=file", "noise.path=moved.csv").identity != before.identity


def test_options_of_a_users_folder_keep_their_names(digits, tmp_path):
    option = tmp_path / "mine/method/plain.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: lnl.methods.Baseline\n")
    (tmp_path / "mine/method/plainer.yaml").write_text("defaults: [plain]\n")
    outcome = digits(f"--config-dir={tmp_path / 'mine'}", "method=plainer", *SMALL)
    assert outcome.result["method"] == "plainer"


def test_starting_over_removes_all_but_the_lock_and_what_is_written_before_it(digits):
    folder = digits(*SMALL).folder
    RunFolder(folder).figures.mkdir()
    for name in ("figures/labels.png", "tensorboard", "notes.md"):
        (folder / name).write_text("of the run before")
    before = (folder / "result.json").stat().st_mtime_ns
    assert digits(*SMALL, "force=true").code == 0
    assert (folder / "result.json").stat().st_mtime_ns > before
    expected = {".hydra", ".identity", ".lock", "checkpoints", "metrics.csv", "noise.npz", "predictions.csv"}
    assert {path.name for path in folder.iterdir()} == expected | {"result.json", "seen.npz", "train.log"}
    assert (folder / "train.log").read_text().count("training starts") == 2


@pytest.mark.parametrize(
    ("chosen", "name"), [("strong", "strong"), ("[flip,strong]", "crop_flip+rand_augment+cutout"), ("[]", "none")]
)
def test_an_augmentation_is_called_by_its_option_or_by_the_transforms_of_several(digits, chosen, name):
    outcome = digits(f"augment={chosen}", "trainer.max_epochs=1", "data.batch_size=256")
    assert outcome.code == 0, outcome.err
    assert outcome.result["augment"] == name
