"""A run folder and an exported model may be untrusted: nothing that they name or hold is executed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.errors import UserError
from lnl.runs.identity import identify
from lnl.trained.exporting import read_safetensors
from lnl.trained.loading import PREPARATION
from lnl.trained.trust import KINDS, NETWORK, check_trust
from tests.conftest import weights

OPTIONS = [(path.parent.name, path.stem) for group in KINDS for path in sorted((Path(CONF_DIR) / group).glob("*.yaml"))]
SMALL = ("model=mlp_1x512", "model.width=8", "trainer.max_epochs=1", "data.subset=100", "data.test_subset=20")


UNCHECKED = ("mix", "augment", "average", "views", "callbacks", "logger", "trainer", "anything")


class Own(nn.Module):
    """A user's own model."""

    def __init__(self, num_classes, in_channels, image_size):
        super().__init__()
        self.head = nn.Linear(in_channels * image_size**2, num_classes)

    def forward(self, images):
        return self.head(images.flatten(1))


class Payload:
    """What empties a file when it is unpickled."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return open, (str(self.victim), "w")


def add_to_config(result, group, node):
    """Adds a node to a group of a result's configuration, and gives the result the identity that goes with it."""
    result["config"][group] = node if group == "mix" else {"x": {"x": node} if group == "views" else node}
    result["identity"] = identify(OmegaConf.create(result["config"])).identity


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_text("precious")
    return path


@pytest.fixture(scope="module")
def plain():
    """The parts of an ordinary run's configuration, as ``result.json`` has them."""
    return composed()


def composed(*overrides: str) -> dict:
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        cfg = compose("train", ["data=digits", "model=mlp_1x512", *overrides])
        return {part: OmegaConf.to_container(cfg[part], resolve=True) for part in KINDS}


def test_every_option_of_lnl_is_built(plain):
    """Values that a run would compute are left out: what is asked about are the targets."""
    for group, option in OPTIONS:
        node = OmegaConf.to_container(OmegaConf.load(Path(CONF_DIR, group, f"{option}.yaml")))
        known = targets_alone(node)
        check_trust(plain | ({group: known} if "_target_" in known else {}), [group], "run")
    check_trust(composed("loss=apl_nce_rce", "scheduler=cosine"), list(KINDS), "run")


def targets_alone(node):
    return {
        key: targets_alone(value) if isinstance(value, dict) else value
        for key, value in node.items()
        if key == "_target_" or isinstance(value, dict)
    }


REFUSED = {
    "a library's": "logging.FileHandler",
    "the system's": "os.system",
    "builtin": "builtins.exec",
    "of torch, no class": "torch.hub.load",
    "of torch, builds C++": "torch.utils.cpp_extension.load",
    "of torch, loads C++": "torch.classes.load_library",
    "of torch, writes": "torch.save",
    "of torch, a function among modules": "torch.nn.functional.cross_entropy",
    "out of torch": "torch.os.system",
    "out of torch.nn": "torch.nn.modules.module.itertools.chain",
    "out of a class": "torch.nn.Linear.__class__",
    "a method of a class": "torch.nn.Module.__subclasses__",
    "of torchvision, downloads": "torchvision.datasets.MNIST",
    "of torchvision, writes": "torchvision.io.write_file",
    "of torchvision, no model": "torchvision.models.get_model_weights",
    "of lnl, writes": "lnl.files.write_atomically",
    "of lnl, downloads": "lnl.datasets.flowers.download",
    "out of lnl": "lnl.train.hydra.utils.instantiate",
    "out of lnl.models": "lnl.models.pretrained.torch.hub.load",
    "hydra's": "hydra.utils.get_method",
    "partial": "functools.partial",
    "a package": "lnl.models",
    "a package that is not installed": "timm.create_model",
    "empty parts": "torch.nn..Linear",
    "empty": "",
    "no text": {"_target_": "torch.nn.Linear"},
    "null": None,
    "several lines": "torch.nn.Linear\nos.system",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_up_no_classifier_is_refused_wherever_it_stands(plain, name):
    target = REFUSED[name]
    node = {"_target_": target, "_partial_": True, "_args_": ["x"]}
    model = plain["model"]
    places = {
        "itself": node,
        "a value": {**model, "x": node},
        "in lists": {**model, "x": [{"y": [node]}]},
        "_args_": {**model, "_args_": [node]},
        "below one that is allowed": {**model, "x": {"_target_": "torch.nn.Sequential", "_args_": [node]}},
        "not recursive": {**model, "_recursive_": False, "_convert_": "object", "x": node},
    }
    for where, changed in places.items():
        with pytest.raises(UserError) as refusal:
            check_trust({**plain, "model": changed}, NETWORK, "runs/theirs")
        message = str(refusal.value)
        assert message.startswith("runs/theirs is not loaded: its model "), where
        assert "\n" not in message
        if isinstance(target, str) and "\n" not in target:
            assert target in message


def test_a_part_is_of_its_own_kind(plain):
    for part, target in (("model", "lnl.data.Digits"), ("loss", "torch.optim.Adam"), ("method", "lnl.models.MLP")):
        with pytest.raises(UserError, match=f"its {part} is {target}, which is no {part} class"):
            check_trust({**plain, part: {"_target_": target}}, NETWORK, "run")
    for node in ("MLP", None, {}, [plain["model"]]):
        with pytest.raises(UserError, match="does not say what its model is"):
            check_trust({**plain, "model": node}, NETWORK, "run")
    with pytest.raises(UserError, match=r"method\._partial_ must be false"):
        check_trust({**plain, "method": {**plain["method"], "_partial_": True}}, NETWORK, "run")


def test_torchs_and_torchvisions_classes_and_models_are_built(plain):
    for part, target in (
        ("loss", "torch.nn.CrossEntropyLoss"),
        ("model", "torchvision.models.resnet18"),
        ("model", "torch.nn.Sequential"),
        ("optimizer", "torch.optim.RMSprop"),
        ("scheduler", "torch.optim.lr_scheduler.ReduceLROnPlateau"),
    ):
        parts = {"x": {"_target_": "torchvision.transforms.Compose", "_args_": [[{"_target_": "torch.nn.ReLU"}]]}}
        check_trust({**plain, part: {"_target_": target, **parts}}, NETWORK, "run")


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": "${oc.env:HOME}"},
        {"model": {"_target_": "${model.name}", "name": "os.system"}},
        {"callbacks": [{"x": "a ${now:%Y}"}]},
    ],
)
def test_nothing_in_it_is_computed(plain, changed):
    with pytest.raises(UserError, match=r"wants \w+ to be computed"):
        check_trust(plain | changed, NETWORK, "run", trust=["os"])


def test_a_trusted_package_is_what_it_defines(plain, tmp_path, monkeypatch):
    (tmp_path / "mine_too.py").write_text("import os, torch\nfrom torch import nn\nclass Net(nn.Module): pass\n")
    (tmp_path / "broken_one.py").write_text("import nothing_like_it\n")
    monkeypatch.syspath_prepend(tmp_path)

    def ask(target, trust):
        check_trust({**plain, "model": {**plain["model"], "_target_": target}}, NETWORK, "run", trust)

    with pytest.raises(UserError, match=r"add trust=\[mine_too\]\.$"):
        ask("mine_too.Net", None)
    with pytest.raises(UserError, match=r"add trust=\[mine,mine_too\]\.$"):
        ask("mine_too.Net", ["mine"])
    assert "mine_too" not in sys.modules  # what is not trusted is not even imported
    for trust in ("mine_too", ["mine_too"], ["json", "mine_too"]):
        ask("mine_too.Net", trust)
        ask("mine_too.nn.Linear", trust)
        for target in ("mine_too.os.system", "mine_too.torch.hub.load"):
            with pytest.raises(UserError, match=f"its model is {target}"):
                ask(target, trust)
    ask("torch.nn.functional.cross_entropy", ["torch.nn.functional"])
    with pytest.raises(UserError, match=r"broken_one.Net cannot be imported: No module named 'nothing_like_it'"):
        ask("broken_one.Net", ["broken_one"])
    with pytest.raises(UserError, match=r"trust takes names of packages, such as trust=\[mine\], got '\*'"):
        ask("mine_too.Net", ["*"])


def rewrite(folder, change):
    """Changes ``result.json`` as an attacker could."""
    result = json.loads((folder / "result.json").read_text())
    change(result)
    (folder / "result.json").write_text(json.dumps(result))


def harmful(victim):
    return {"_target_": "logging.FileHandler", "filename": str(victim), "mode": "w"}


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "photos/one.png")


def test_the_commands_build_nothing_of_a_strangers_run(digits, predict, export, evaluate, victim, pictures):
    folder = digits(*SMALL).folder
    whole = (folder / "result.json").read_text()
    commands = [
        (predict, [f"run={folder}", "images=photos"]),
        (export, [f"run={folder}", "format=safetensors"]),
        (evaluate, [f"runs={folder}"]),
    ]
    before = {path for path in folder.rglob("*")}
    for part, partial in (("model", True), ("model", False), ("method", True), ("corruption", False), ("data", False)):
        node = {**harmful(victim), "_partial_": partial}
        rewrite(folder, lambda result, part=part, node=node: result["config"].update({part: node}))
        for command, arguments in commands[2:] if part in ("corruption", "data") else commands:
            outcome = command(*arguments)
            assert (outcome.code, outcome.err.count("\n")) == (1, 1)
            assert f"error: {folder} is not loaded: its {part} is logging.FileHandler" in outcome.err
            assert outcome.err.endswith("add trust=[logging].\n")
            assert victim.read_text() == "precious"
        (folder / "result.json").write_text(whole)
    assert {path for path in folder.rglob("*")} == before
    rewrite(folder, lambda result: result["config"]["data"].update(_target_="mine.Data"))
    other = (f"runs={folder}", "data=digits", "data.test_subset=20")
    assert evaluate(*other).code == 0  # the data is of the user's choice
    rewrite(folder, lambda result: result["config"]["data"].update(mean=[harmful(victim)]))
    assert "its data contains logging.FileHandler" in evaluate(*other).err
    assert victim.read_text() == "precious"


def test_a_users_own_model_is_built_where_its_package_is_named(digits, predict, export, evaluate, pictures, tmp_path):
    own = f"model._target_={__name__}.Own"
    run = digits(*SMALL[2:], "model=mlp_1x512", "~model.depth", "~model.width", "~model.dropout", own)
    assert run.code == 0, run.err
    for command, arguments in (
        (predict, [f"run={run.folder}", "images=photos"]),
        (export, [f"run={run.folder}", "format=safetensors", "output=."]),
        (evaluate, [f"runs={run.folder}"]),
    ):
        refused = command(*arguments)
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert "add trust=[tests]." in refused.err
        assert command(*arguments, "trust=[tests]").code == 0
    path = tmp_path / "model.safetensors"
    refusal = r"model\.safetensors is not loaded: its model is tests\.trained\.test_trust\.Own"
    with pytest.raises(UserError, match=refusal):
        read_safetensors(path)
    images = torch.zeros(1, 8, 8, 1, dtype=torch.uint8)
    assert read_safetensors(path, trust="tests")(images).shape == (1, 10)


def test_a_strangers_safetensors_file_builds_nothing(plain, victim, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "model.safetensors"
    for node in (harmful(victim), {**plain["model"], "x": harmful(victim)}):
        save_file({"x": torch.zeros(1)}, path, {"config": json.dumps({**plain, "model": node})})
        with pytest.raises(UserError, match=r"logging\.FileHandler"):
            read_safetensors(path)
    # Parts that make up no classifier are not built, whatever group they are of.
    preparation = {name: plain["data"][name] for name in PREPARATION}
    built = {**plain, "data": {**preparation, "num_classes": 10}, "num_samples": 100, "classes": list("0123456789")}
    for group in UNCHECKED:
        save_file({"x": torch.zeros(1)}, path, {"config": json.dumps({**built, group: harmful(victim)})})
        with pytest.raises(UserError, match="architecture"):  # there are no weights in it
            read_safetensors(path)
    for text in ("no", "[]", "{}", "null", '"${oc.env:HOME}"', "[" * 100_000):
        save_file({"x": torch.zeros(1)}, path, {"config": text})
        with pytest.raises(UserError, match=r"model\.safetensors"):
            read_safetensors(path)
    assert victim.read_text() == "precious"


def test_audited_runs_of_a_stranger_build_and_unpickle_nothing(digits, audit, victim, tmp_path):
    digits(*SMALL[:3], "data.subset=60", "data.folds=2", "callbacks=sample_history", "hydra.run.dir=there")
    folder = tmp_path / "there"
    whole = (folder / "result.json").read_text()
    for part in ("data", "noise", "corruption"):
        node = harmful(victim)
        rewrite(folder, lambda result, part=part, node=node: result["config"].update({part: node}))
        outcome = audit("runs=there", "output=found")
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert f"there is not loaded: its {part} is logging.FileHandler" in outcome.err
        (folder / "result.json").write_text(whole)
    for group in UNCHECKED:  # of these nothing is built, with the identity that such a run would have
        rewrite(folder, lambda result, group=group: add_to_config(result, group, harmful(victim)))
        assert audit("runs=there", f"output=with_{group}").code == 0
        assert victim.read_text() == "precious"
        (folder / "result.json").write_text(whole)
    rewrite(folder, lambda result: result["config"].update(data="${oc.env:HOME}"))
    assert "wants data to be computed" in audit("runs=there", "output=found").err
    (folder / "result.json").write_text(whole)
    objects = np.array([Payload(victim)], dtype=object)
    for name in ("fold1/sample_history.npz", "out_of_fold.npz"):
        np.savez(folder / name, index=objects, labels=objects, probabilities=objects)
        outcome = audit("runs=there", "output=found")
        assert outcome.code == 1
        assert "cannot be read" in outcome.err
    assert victim.read_text() == "precious"
    assert not (tmp_path / "found").exists()


def test_no_file_of_a_strangers_run_is_unpickled(digits, predict, evaluate, victim, pictures):
    run = digits(*SMALL)
    folder, state = run.folder, weights(run.folder)
    torch.save({"state_dict": state, "epoch": Payload(victim)}, folder / "checkpoints/last.ckpt")
    started = digits(*SMALL, "seed=1", f"init_from={folder}/checkpoints/last.ckpt")
    for outcome in (predict(f"run={folder}", "images=photos"), evaluate(f"runs={folder}"), started):
        assert outcome.code == 1
        assert "is not a checkpoint that can be read" in outcome.err
        assert "Traceback" not in outcome.err
    torch.save({"state_dict": state, "epoch": 0}, folder / "checkpoints/last.ckpt")
    np.savez(folder / "noise.npz", noisy_labels=np.array([Payload(victim)], dtype=object))
    outcome = predict(f"run={folder}", "images=photos")
    assert outcome.code == 1
    assert "noise.npz cannot be read" in outcome.err
    (folder / "result.json").unlink()  # so that training goes on with it
    torch.save({"state_dict": state, "epoch": Payload(victim)}, folder / "checkpoints/last.ckpt")
    assert "is not a checkpoint that can be read" in digits(*SMALL).err
    assert victim.read_text() == "precious"


def test_nothing_is_written_outside_of_the_folder(digits, export, evaluate, tmp_path):
    folder = digits(*SMALL).folder
    whole = (folder / "result.json").read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("../../elsewhere/x", str(elsewhere / "x"), ".."):
        rewrite(folder, lambda result, name=name: result["data"].update(name=name))
        outcome = evaluate(f"runs={folder}")
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert "its data cannot be called" in outcome.err
        (folder / "result.json").write_text(whole)
    (folder / "export").mkdir()
    for link in ("evaluations", "export/last"):
        (folder / link).symlink_to(elsewhere)
        for outcome in (evaluate(f"runs={folder}"), export(f"run={folder}", "format=safetensors")):
            assert (outcome.code, outcome.err.count("\n")) == (1, 1)
            assert f"{link} is a link to another folder" in outcome.err
        (folder / link).unlink()
    assert not list(elsewhere.iterdir())
