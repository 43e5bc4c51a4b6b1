"""A user's mistake gets one or two plain lines, exit code 1, no traceback, and leaves nothing half-written."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import torch

from tests.conftest import DATA_DIR, needs_cifar10, weights
from tests.datasets.own import write_folder

SCHEDULE = "+scheduler._target_=torch.optim.lr_scheduler.{}"
MISTAKES = {
    "unknown option": (["loss=gcee"], ["loss has no option 'gcee'", "did you mean 'gce'", "apl_nfl_rce"]),
    "unknown group": (["los=ce"], ["no 'los'", "did you mean 'loss'"]),
    "misspelt key": (["noise.rat=0.3"], ["no 'noise.rat'", "did you mean 'rate'"]),
    "a key without its group": (["lr=0.1"], ["no 'lr' in the configuration; did you mean optimizer.lr?"]),
    "a key of two groups": (["channels=1"], ["did you mean data.channels or model.channels?"]),
    "a key of another option": (
        ["noise=none", "noise.rate=0.1"],
        ["no 'noise.rate' in the configuration; it needs noise=asymmetric or ", " or noise=symmetric or "],
    ),
    "a key of one other option": (["method.rounds=2"], ["; it needs method=label_correction."]),
    "a key that options have by their defaults": (
        ["data=cifar10", "data.on_error=skip"],
        ["; it needs data=arrays or data=folder or data=huggingface or data=table."],
    ),
    "a key of an option and of one made of it": (
        ["model=resnet9", "model.hidden=9"],
        ["; it needs model=cnn or model=cnn_wide."],
    ),
    "a key in a key": (["data=cifar10", "data.columns.file=name"], ["; it needs data=table."]),
    "value outside its range": (["noise.rate=1.5"], ["error: noise.rate must be between 0 and 1", "1.5"]),
    "a share of a label outside its range": (
        ["loss.label_smoothing=2"],
        ["error: loss.label_smoothing must be in [0, 1), got 2"],
    ),
    "a part of a loss that has none": (
        ["loss.active=nfl"],
        ["error: loss.active is a key of loss=apl: choose it as well."],
    ),
    "a part that there is not": (
        ["loss=apl", "loss.active=nflx"],
        ["error: loss has no option 'nflx'; did you mean 'nfl'?"],
    ),
    "a loss of several views where there is one": (
        ["loss=gjs", "method=elr"],
        ["error: loss: GeneralizedJensenShannon needs several views of an image, and method=baseline gives them"],
    ),
    "several of what there is one of": (
        ["loss=[ce,gce]"],
        ["error: loss takes one option, got [ce,gce]; -m loss=ce,gce trains a run with each."],
    ),
    "two ways to mix without -m": (
        ["mix=mixup,cutmix"],
        ["mix=mixup,cutmix gives several values: add -m for a run of each."],
    ),
    "value of the wrong type": (["noise.rate=much"], ["noise.rate must be a number, got 'much'"]),
    "text for a batch size": (["data.batch_size=abc"], ["data.batch_size must be a number or auto, got 'abc'"]),
    "text for a rate": (["optimizer=adam", "optimizer.lr=abc"], ["optimizer.lr must be a number, got 'abc'"]),
    "text for a weight": (["loss=apl_nce_rce", "loss.alpha=abc"], ["loss.alpha must be a number, got 'abc'"]),
    "no weight": (["loss=sce", "loss.beta=null"], ["loss.beta must be a number, got null"]),
    "text for a method's": (["method=dynamic_weight", "method.threshold=high"], ["method.threshold must be a number"]),
    "text in a pair": (["optimizer=adam", "+optimizer.betas=[a,b]"], ["optimizer.betas[0] must be a number, got 'a'"]),
    "part of a batch": (["data.batch_size=2.5"], ["data.batch_size must be a whole number or auto, got 2.5"]),
    "part of a seed": (["seed=1.5"], ["seed must be a whole number, got 1.5"]),
    "part of an epoch": (["trainer.max_epochs=2.5"], ["trainer.max_epochs must be a whole number, got 2.5"]),
    "no name of a column": (
        ["data=table", "data.path=labels.csv", "data.columns.label=null"],
        ["data.columns.label must be text, got null"],
    ),
    "several names of a column": (
        ["data=table", "data.path=labels.csv", "data.columns.label=[a,b]"],
        ["data.columns.label must be text, got ['a', 'b']"],
    ),
    "no encoding": (
        ["data=table", "data.path=labels.csv", "data.encoding=null"],
        ["data.encoding must be text"],
    ),
    "a list for a rate": (["noise.rate=[0.1]"], ["noise.rate must be a number, got [0.1]"]),
    "a number for a list": (["data.mean=0.5"], ["data.mean must be a list, such as [0.5], got 0.5"]),
    "a list for a size": (["data.image_size=[32,32]"], ["data.image_size must be a number, got [32, 32]"]),
    "a class for classes": (
        ["data=folder", "data.path=pets", "data.classes=cat"],
        ["data.classes must be a list, such as [cat,dog], got 'cat'"],
    ),
    "a name for all columns": (
        ["data=table", "data.path=labels.csv", "data.columns=label"],
        ["data.columns must be a mapping, such as {name: value}, got 'label'"],
    ),
    "a value in a loss of a loss": (
        ["loss=apl_nfl_rce", "loss.active.gamma=[1]"],
        ["loss.active.gamma must be a number, got [1]"],
    ),
    "a callback that is a number": (["+callbacks.mine=3"], ["callbacks.mine must be something with a _target_, got 3"]),
    "no model": (["model=null"], ["model cannot be null or left out", "The options are alexnet_small, cnn, "]),
    "several values without -m": (
        ["noise.rate=0.1,0.3"],
        ["noise.rate=0.1,0.3 gives several values: add -m for a run of each."],
    ),
    "several numbers of no group": (["seed=1,2"], ["seed=1,2 gives several values: add -m for a run of each."]),
    "several names without -m": (
        ["data.classes=a,b"],
        ["add -m for a run of each, or data.classes=[a,b] for one list."],
    ),
    "a range without -m": (["seed=range(0,3)"], ["seed=range(0,3) gives several values: add -m for a run of each."]),
    "signs that want quotes": (["sweep.name=a=b"], ["sweep.name=a=b cannot be read", "\"sweep.name='a=b'\""]),
    "a quote in a text": (["noise.labels=it's"], ["\"noise.labels='it\\'s'\""]),
    "signs in a path": (["init_from=runs/epoch=9 (1).ckpt"], ["there is no checkpoint at runs/epoch=9 (1).ckpt"]),
    "a key without its group that another option has": (
        ["path=photos"],
        ["there is no 'path' in the configuration; did you mean data.path or noise.path?"],
    ),
    "a misspelt key of another option": (["data=cifar10", "data.pth=x"], ["no 'data.pth'", "did you mean 'path'?"]),
    "a part that is not chosen": (["~data", "model.num_classes=3"], ["data cannot be null or left out"]),
    "a path that is not there": (
        ["photos"],
        ["there is no file or folder photos.", "Values are given as key=value, such as data.path=FOLDER"],
    ),
    "an option without its group": (["gce"], ["there is no file or folder gce; did you mean loss=gce?"]),
    "a comma and nothing": (["loss=gce,"], ["loss=gce, cannot be read: a value is missing beside a comma."]),
    "an open bracket": (["model.channels=[8,16"], ["model.channels=[8,16 cannot be read: a bracket is not closed"]),
    "a list for a mapping": (
        ["data=table", "data.path=labels.csv", "data.columns=[label]"],
        ["data.columns=[label] has another type than the value that it replaces"],
    ),
    "a loss that is a mean": (
        ["method=dynamic_weight", "loss._target_=torch.nn.CrossEntropyLoss"],
        ["loss: a loss returns one value per sample, [B]; CrossEntropyLoss returned []: use reduction='none'"],
    ),
    "a loss that takes no labels": (["loss._target_=torch.nn.Softmax", "+loss.dim=1"], ["loss: ", "arguments"]),
    "map of a missing class": (
        ["noise=asymmetric", "noise.mapping={seven: eleven}"],
        ["noise.mapping: 'seven' is no class", "0, 1, 2"],
    ),
    "no data and no network": (["data=cifar10"], ["/nowhere", "LNL_DATA_DIR", "data=digits"]),
    "no flowers and no network": (["data=tf_flowers"], ["/nowhere", "LNL_DATA_DIR", "data=digits"]),
    "images too small": (["model=cnn8", "data.image_size=4"], ["4x4", "too small"]),
    "images of other channels": (["model.in_channels=3"], ["cannot take", "1 channels"]),
    "fewer outputs than classes": (["model.num_classes=5"], ["10 classes", "5 outputs"]),
    "no GPU": (["trainer.accelerator=gpu"], ["gpu"]),
    "a folder that Hydra reads as a number": (["data=folder", "data.path=2024"], ["there is no folder 2024"]),
    "no checkpoint": (["init_from=nowhere.ckpt"], ["no checkpoint at nowhere.ckpt"]),
    "a loss the method cannot use": (["method=apl", "loss=ce"], ["apl_*", "CrossEntropy"]),
    "no epochs": (["trainer.max_epochs=0"], ["trainer.max_epochs must be a whole number, at least 1, got 0"]),
    "epochs without end": (["trainer.max_epochs=-1"], ["trainer.max_epochs must be a whole number, at least 1"]),
    "epochs that nobody counts": (["trainer.max_epochs=null"], ["trainer.max_epochs must be a whole number"]),
    "text for epochs": (["trainer.max_epochs=abc"], ["trainer.max_epochs must be a number, got 'abc'"]),
    "epochs chosen by the test set": (
        ["callbacks=early_stopping", "callbacks.early_stopping.monitor=test/accuracy"],
        ["callbacks: the test set chooses nothing: monitor val/accuracy or val/loss, not test/accuracy"],
    ),
    "a metric that nothing logs": (
        ["callbacks=early_stopping", "callbacks.early_stopping.monitor=val_loss"],
        ["callbacks: nothing is logged as val_loss; did you mean 'val/loss'?", "val/accuracy, val/loss, train/loss"],
    ),
    "a checkpoint of a metric that nothing logs": (
        ["+callbacks.mine._target_=pytorch_lightning.callbacks.ModelCheckpoint", "+callbacks.mine.monitor=acc"],
        ["callbacks: nothing is logged as acc.", "val/accuracy"],
    ),
    "a mode that a callback does not have": (
        ["callbacks=early_stopping", "callbacks.early_stopping.mode=up"],
        ["callbacks: ", "min, max", "up"],
    ),
    "a callback without what it needs": (
        ["+callbacks.mine._target_=pytorch_lightning.callbacks.LearningRateMonitor"],
        ["trainer: Cannot use `LearningRateMonitor`", "no logger"],
    ),
    "a schedule that needs a metric": (
        [SCHEDULE.format("ReduceLROnPlateau"), "+scheduler._partial_=true"],
        ["scheduler: ReduceLROnPlateau is no schedule of epochs"],
    ),
    "a schedule that ends before training does": (
        [SCHEDULE.format("OneCycleLR"), "+scheduler._partial_=true", "+scheduler.max_lr=1", "+scheduler.total_steps=1"],
        ["scheduler: OneCycleLR (total_steps=1) cannot be stepped once after each of 2 epochs"],
    ),
    "batch norm over one sample": (
        ["data.batch_size=1", "data.subset=50"],
        ["data.batch_size=1 is one sample, too few for this model's batch norm"],
    ),
    "no validation": (["trainer.limit_val_batches=0"], ["trainer.limit_val_batches must be above 0"]),
    "a share of validation that is nothing": (
        ["trainer.limit_val_batches=0.0001", "+trainer.check_val_every_n_epoch=2"],
        ["trainer.limit_val_batches=0.0001 of 1 validation batches is less than one"],
    ),
    "a share of training that is nothing": (["trainer.limit_train_batches=0.0001"], ["limit_train_batches", "0.0001"]),
    "validation after more steps than there are": (["+trainer.val_check_interval=1000"], ["val_check_interval", "18"]),
    "gradients of no batch": (["trainer.accumulate_grad_batches=0"], ["trainer.accumulate_grad_batches must be"]),
    "an option of the trainer that nothing heeds": (
        ["+trainer.overfit_batches=1"],
        ["trainer.overfit_batches would do nothing: data.subset=N"],
    ),
    "no time": (["+trainer.max_time=00:00:00:00"], ["trainer.max_time must be above 0"]),
    "a strategy of several machines": (["trainer.strategy=fsdp"], ["trainer.strategy must be one of auto, ddp, "]),
    "more outputs than classes": (["model.num_classes=12"], ["10 classes", "12 outputs"]),
    "a precision that is not supported": (["trainer.precision=bf16-true"], ["trainer.precision", "bf16-mixed"]),
    "a negative learning rate": (["optimizer.lr=-1"], ["optimizer", "learning rate"]),
    "a negative seed": (["seed=-1"], ["seed must be at least 0"]),
    "several devices": (
        ["trainer.devices=2", "trainer.accelerator=cpu", "trainer.strategy=fsdp"],
        ["trainer.strategy", "auto, ddp", "fsdp"],
    ),
    "no epochs for corrected labels": (
        ["method=label_correction", "data.trusted=100", "method.stage1_epochs=2"],
        ["trainer.max_epochs=2", "method.stage1_epochs"],
    ),
    "the same in a fold": (
        ["method=label_correction", "data.trusted=100", "method.stage1_epochs=2", "data.folds=2"],
        ["trainer.max_epochs=2", "method.stage1_epochs"],
    ),
    "no file of labels": (["noise=file"], ["noise.path has to be given: noise.path=..."]),
    "no validation samples": (["data.val_fraction=0.0001"], ["data.val_fraction"]),
    "too large a limit": (["data.subset=5000"], ["data.subset", "5000"]),
    "unknown augmentation": (["data.augment=mixup"], ["augment has no option 'mixup'", "crop_flip"]),
    "a negative gamma": (["loss=focal", "loss.gamma=-1"], ["gamma must be at least 0"]),
    "a folder that cannot be": (["paths.output_dir=/dev/null/outputs"], ["/dev/null", "cannot be written"]),
    "unknown weights": (["model=mobilenet_v2", "model.weights=NONE"], ["IMAGENET1K_V1", "null"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_explained(digits, monkeypatch, mistake):
    def no_network(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.utils.urllib.request.urlopen", no_network)
    monkeypatch.setenv("LNL_DATA_DIR", "/nowhere")
    arguments, words = MISTAKES[mistake]
    outcome = digits(*arguments)
    assert outcome.code == 1
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 2
    assert not (outcome.root / "outputs").exists()


def test_null_for_an_option_is_none_of_it(digits):
    none = digits("~logger", "scheduler=null", "callbacks=[]", "trainer.max_epochs=1.0", "model=mlp_1x512")
    assert (none.code, none.result["epochs"]) == (0, 1)
    assert none.result["config"]["callbacks"] == {}
    as_ever = digits("callbacks=default", "trainer.max_epochs=1", "model=mlp_1x512")
    assert "finished already" in as_ever.out  # no progress bar changes a number


@pytest.mark.parametrize(("written", "missing"), [("override /scheduler: null", ""), ("override /loss: null", "loss")])
def test_an_experiment_may_take_an_option_away(digits, tmp_path, written, missing):
    experiment = tmp_path / "mine/experiment/bare.yaml"
    experiment.parent.mkdir(parents=True)
    experiment.write_text(f"# @package _global_\ndefaults: [override /model: mlp_1x512, {written}]\n")
    outcome = digits(f"--config-dir={tmp_path / 'mine'}", "experiment=bare", "trainer.max_epochs=1")
    assert outcome.code == bool(missing)
    assert outcome.err == (f"error: {missing} cannot be left out: {missing}=...\n" if missing else "")


def test_the_traceback_is_to_be_had(digits, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    outcome = digits("noise.rate=2")
    assert "Traceback" in outcome.err
    assert "check_rate" in outcome.err


def test_one_wrong_job_does_not_stop_a_sweep(digits):
    outcome = digits("-m", "noise.rate=0.1,7,0.2", "trainer.max_epochs=1")
    assert outcome.code == 1
    assert "noise.rate must be between 0 and 1, got 7" in outcome.err
    assert "Traceback" not in outcome.err
    assert len(list(outcome.root.rglob("result.json"))) == 2


def test_what_lightning_refuses_after_an_epoch_is_one_line(digits):
    outcome = digits("callbacks=early_stopping", "callbacks.early_stopping.monitor=train/acuracy", "model=mlp_1x512")
    assert outcome.code == 1
    assert "trainer: Early stopping conditioned on metric `train/acuracy` which is not available" in outcome.err
    assert "train/accuracy" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_loss_that_becomes_nan_stops_the_run(digits):
    outcome = digits("optimizer.lr=1e20", "trainer.max_epochs=3")
    assert outcome.code == 1
    assert "became NaN or infinite at step" in outcome.err
    assert "learning rate 1e+20" in outcome.err
    assert "optimizer.lr" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 2
    assert not (outcome.folder / "result.json").exists()
    assert not (outcome.folder / "checkpoints/last.ckpt").exists()


@pytest.mark.parametrize("content", ["another architecture", "no checkpoint"])
def test_a_wrong_checkpoint_is_refused(digits, tmp_path, content):
    path = tmp_path / "other.ckpt"
    if content == "no checkpoint":
        path.write_bytes(b"not a checkpoint")
    else:
        torch.save({"state_dict": {"model.weight": torch.zeros(3)}}, path)
    outcome = digits(f"init_from={path}")
    assert outcome.code == 1
    assert content in outcome.err or "is not a checkpoint" in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 2
    assert not outcome.folders


def test_a_checkpoint_with_code_in_it_is_not_run(digits, tmp_path):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    torch.save({"state_dict": Harmful()}, tmp_path / "harmful.ckpt")
    outcome = digits(f"init_from={tmp_path / 'harmful.ckpt'}")
    assert outcome.code == 1
    assert "is not a checkpoint that can be read" in outcome.err
    assert not (tmp_path / "harm").exists()


def test_training_starts_from_given_weights(digits):
    model = "model.batch_norm=false"  # whose statistics move even where nothing is learnt
    first = digits(model).folder
    outcome = digits(model, f"init_from={first}/checkpoints/last.ckpt", "optimizer.lr=1e-12", "paths.output_dir=second")
    assert outcome.code == 0
    second = next(folder for folder in outcome.folders if folder != first)
    torch.testing.assert_close(weights(second), weights(first), rtol=1e-4, atol=1e-6)


def test_a_folder_of_another_run_is_left_alone(digits):
    theirs = digits("hydra.run.dir=here").folder
    before = {path: path.read_bytes() for path in theirs.rglob("*") if path.is_file()}
    outcome = digits("hydra.run.dir=here", "optimizer.lr=0.5")
    assert outcome.code == 1
    assert {path: path.read_bytes() for path in theirs.rglob("*") if path.is_file()} == before
    assert "another configuration" in outcome.err
    assert "force=true" in outcome.err


WRITTEN = ["figures", "export", "checkpoints", "predictions.csv", "corrected_labels.csv", "notes.txt"]


@pytest.mark.parametrize("force", ["false", "true"])
@pytest.mark.parametrize("name", WRITTEN)
def test_no_file_is_replaced_that_no_run_wrote(digits, tmp_path, name, force):
    theirs = tmp_path / "here" / name / "mine.png" if "." not in name else tmp_path / "here" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    for smoke in ("true", "false"):
        outcome = digits("hydra.run.dir=here", f"force={force}", f"trainer.fast_dev_run={smoke}")
        assert outcome.code == 1
        assert re.search(rf"a run would replace \S+/here/{name}, which no run wrote", outcome.err)
        assert theirs.read_text() == "mine"


def test_a_mistake_takes_nothing_along_from_a_folder_that_was_there(digits, tmp_path):
    theirs = [tmp_path / name for name in ("folder_of_pets/a.png", "fold1/a.png", "train.log", "notes.txt")]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine\n")
    for mistake in ("optimizer.lr=-1", "noise.rate=2", "data.trusted=much"):
        outcome = digits("hydra.run.dir=.", "data.folds=3", mistake)
        assert outcome.code == 1
        assert [path.read_text()[:5] for path in theirs] == ["mine\n"] * 4


@pytest.mark.slow
def test_a_full_disk_is_named(tmp_path):
    """The limit on a file's size stands in for the disk's."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
    code = f"import signal, runpy; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {limit}"
    code += "runpy.run_module('lnl.train', run_name='__main__')"
    command = [sys.executable, "-c", code, "data=digits", "model=mlp_1x512", f"paths.output_dir={tmp_path}/outputs"]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert outcome.returncode == 1
    assert "cannot be written" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    lines = [line for line in outcome.stderr.strip().splitlines() if not line.endswith(" ...")]  # of a slow machine
    assert len(lines) <= 2
    assert not list(tmp_path.rglob("result.json"))


@needs_cifar10
def test_a_truncated_data_file_is_named(train, tmp_path):
    shutil.copytree(DATA_DIR / "cifar-10-batches-py", tmp_path / "data/cifar-10-batches-py")
    broken = tmp_path / "data/cifar-10-batches-py/data_batch_3"
    broken.chmod(0o644)
    with broken.open("r+b") as file:
        file.truncate(1000)
    outcome = train(f"paths.data_dir={tmp_path / 'data'}")
    assert outcome.code == 1
    assert str(broken) in outcome.err
    assert "damaged or truncated" in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 2


def test_paths_mean_the_same_in_whatever_folder_a_job_works(digits, tmp_path):
    """Data, noise, weights to start from and outputs, with hydra.job.chdir as without."""
    write_folder(tmp_path / "own")
    own = ("data=folder", "data.path=own", "data.batch_size=8", "model=mlp_1x512", "trainer.max_epochs=1")
    first = digits(*own)
    first.folder.joinpath("checkpoints/last.ckpt").rename(tmp_path / "start.ckpt")
    again = digits(*own, "hydra.job.chdir=true")
    assert (again.code, again.err) == (0, "")
    assert "finished already" in again.out
    started = digits(*own, "init_from=start.ckpt", "hydra.job.chdir=true")
    assert (started.code, started.err) == (0, "")
    assert {folder.parent for folder in started.folders} == {tmp_path / "outputs/runs"}
    assert "finished already" in digits(*own, "init_from=start.ckpt").out


def test_a_smoke_run_never_replaces_a_finished_run(digits):
    result = digits("hydra.run.dir=here").result
    outcome = digits("hydra.run.dir=here", "trainer.fast_dev_run=true")
    assert outcome.code == 1
    assert "another configuration" in outcome.err
    assert outcome.result == result


@pytest.mark.parametrize(
    ("name", "key"), [("evaluate", "runs"), ("export", "run"), ("predict", "run"), ("report", "runs")]
)
def test_a_command_that_trains_nothing_leaves_nothing(request, tmp_path, name, key):
    command = request.getfixturevalue(name)
    outcome = command(f"{key}=nowhere")
    assert (outcome.code, outcome.err, os.listdir(tmp_path)) == (1, "error: there is no folder nowhere\n", [])
    command("-m", f"{key}=nowhere,elsewhere")
    assert [os.listdir(tmp_path), os.listdir(tmp_path / "cache")] == [["cache"], [name]]
