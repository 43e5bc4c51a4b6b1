"""Runs in two processes, beside the same runs in one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from omegaconf import OmegaConf

from lnl.data.sampler import Share
from lnl.training.assembly import build_data, build_method
from tests.conftest import above_chance, weights
from tests.datasets.own import write_folder
from tests.sweeps.pauses import CALLBACK, start_and_pause
from tests.training.test_resume import assert_same_run

EPOCHS = 3
TWO = ("trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp")
COMMON = (
    "data=digits",
    "data.subset=1001",
    "data.batch_size=64",
    "data.augment=crop_flip",
    "data.crop_padding=1",
    "method._target_=tests.methods.extensions.Counts",
    f"trainer.max_epochs={EPOCHS}",
    "trainer.precision=32-true",
    "trainer.accelerator=cpu",
    "optimizer.lr=0.05",
)


def command(*arguments, root):
    return [sys.executable, "-m", "lnl.train", *arguments, f"paths.output_dir={root}"]


def children(pid):
    """Numbers of the processes that a process has started."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Runs by the real command, a sweep over devices and models; by model and number of processes."""
    root = tmp_path_factory.mktemp("swept")
    arguments = ("-m", "trainer.devices=1,2", "model=mlp_1x512,cnn", *COMMON)
    done = subprocess.run(command(*arguments, root=root), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("starting 4 jobs ...\n")  # then how far they are, if that takes long
    assert "rror" not in done.stderr
    assert done.stdout.count("\nfinished in ") + done.stdout.startswith("finished in ") == 4
    results = [(path.parent, json.loads(path.read_text())) for path in root.glob("runs/*/result.json")]
    assert len(results) == 4
    return {(result["model"], result["environment"]["processes"]): (folder, result) for folder, result in results}


@pytest.mark.slow
def test_two_processes_compute_what_one_does(swept):
    """Without batch norm and dropout nothing but the order of summation depends on the number of processes.

    Batches are of 64: the last two have 53 and 52 samples, and the processes share the first of them unequally.
    """
    (one, first), (two, _) = (swept["mlp_1x512", count] for count in (1, 2))
    assert first["data"]["train"] == 1001
    for name, value in weights(one).items():
        if name != "visitor":
            torch.testing.assert_close(weights(two)[name], value, rtol=1e-3, atol=1e-5)
    tables = [pd.read_csv(folder / "metrics.csv").drop(columns="seconds") for folder in (one, two)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-3)
    assert len(tables[0]) == EPOCHS
    predicted = [pd.read_csv(folder / "predictions.csv").filter(like="p_") for folder in (one, two)]
    pd.testing.assert_frame_equal(*predicted, rtol=1e-2, atol=1e-4)


@pytest.mark.slow
def test_batch_norm_sees_the_part_of_a_batch_that_a_process_has(swept):
    """The first epoch of two processes, computed in one: each half of a batch is normalised by itself, gradients are
    those of the mean over the whole, and the running statistics are averaged before validation."""
    folder, result = swept["cnn", 2]
    cfg = OmegaConf.create(result["config"])
    data = build_data(cfg)
    pl.seed_everything(cfg.seed)
    method = build_method(cfg, data)
    optimizer = method.configure_optimizers()["optimizer"]
    halves = [data.training_loader(torch.device("cpu"), share=Share(i, 2)) for i in range(2)]
    states = [copy_of_buffers(method.model) for _ in halves]
    total = 0.0
    for pair in zip(*halves, strict=True):
        optimizer.zero_grad()
        size = sum(map(len, pair))
        for batch, state in zip(pair, states, strict=True):
            swap_buffers(method.model, state)
            loss = method.loss(method.model(batch.images), batch.labels).sum() / size
            loss.backward()
            total += loss.item() * size
            swap_buffers(method.model, state)
        optimizer.step()
    for name, buffer in method.model.named_buffers():
        if buffer.is_floating_point():
            buffer.copy_((states[0][name] + states[1][name]) / 2)
    first = pd.read_csv(folder / "metrics.csv").iloc[0]
    assert first["train/loss"] == pytest.approx(total / 1001, rel=1e-3)
    method.eval()
    with torch.no_grad():
        (batch,) = data.loader("val", torch.device("cpu"))
        loss = method.loss(method(batch.images), batch.labels).mean().item()
    assert first["val/loss"] == pytest.approx(loss, rel=1e-2)


def copy_of_buffers(model):
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def swap_buffers(model, state):
    """What is in the one goes to the other."""
    for name, buffer in model.named_buffers():
        kept = buffer.clone()
        buffer.copy_(state[name])
        state[name] = kept


@pytest.mark.slow
def test_each_sample_goes_to_one_process_an_epoch_and_the_checkpoint_has_the_state_of_all(swept):
    for folder in (swept["mlp_1x512", 2][0], swept["cnn", 2][0]):
        state, split = weights(folder), json.loads((folder / "result.json").read_text())["data"]
        trained = state["seen"]
        assert trained.sum() == split["train"] == 1001
        assert state["visits"].tolist() == (EPOCHS * trained).tolist()
        assert state["visitor"].isinf().tolist() == (~trained).tolist()
        assert [(state["visitor"] == process).sum() for process in range(2)] == [501, 500]


@pytest.mark.slow
def test_state_of_samples_of_a_stream_is_not_lost(tmp_path):
    """One pass over the stream an epoch: each of its samples was visited once, by whichever process."""
    options = [o for o in COMMON if "method._target_" not in o and "batch_size" not in o and "subset" not in o]
    stream = ("method._target_=tests.methods.extensions.Streams", "data.subset=512", "data.batch_size=32")
    states = {}
    for devices in (1, 2):
        arguments = (*options, *stream, "model=mlp_1x512", "trainer.max_epochs=2", f"trainer.devices={devices}")
        done = subprocess.run(command(*arguments, root=tmp_path / str(devices)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (result,) = (tmp_path / str(devices)).glob("runs/*/result.json")
        states[devices] = weights(result.parent)
    for state in states.values():
        assert state["streamed"].sum() == 2 * 256
        assert set(state["streamed"].tolist()) == {0, 2}
    torch.testing.assert_close(states[2]["streamed"], states[1]["streamed"])
    torch.testing.assert_close(states[2]["answers"], states[1]["answers"], rtol=0, atol=0)


@pytest.mark.slow
def test_a_run_of_two_processes_leaves_the_files_of_one(swept):
    (one, _), (two, result) = (swept["cnn", count] for count in (1, 2))
    assert {path.relative_to(two) for path in two.rglob("*")} == {path.relative_to(one) for path in one.rglob("*")}
    predictions = [pd.read_csv(folder / "predictions.csv") for folder in (one, two)]
    pd.testing.assert_frame_equal(*(table[["index", "label"]] for table in predictions))
    assert (predictions[1]["label"] == predictions[1]["predicted"]).mean() == pytest.approx(
        result["protocol"]["last"]["test"]["accuracy"]
    )
    assert np.load(one / "noise.npz")["noisy_labels"].tolist() == np.load(two / "noise.npz")["noisy_labels"].tolist()


@pytest.mark.slow
def test_a_killed_run_of_two_processes_continues(swept, tmp_path):
    """SIGKILL of the process that was started: the two that train end with it, and the run goes on where it was."""
    arguments = command("trainer.devices=2", "model=cnn", *COMMON, CALLBACK, root=tmp_path)
    killed = start_and_pause(arguments, tmp_path, ":2")
    workers = children(killed.pid)
    assert len(workers) >= 2
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    (folder,) = tmp_path.glob("runs/*/")
    assert not (folder / "result.json").exists()
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.count("resuming an interrupted run after epoch 2") == 1
    assert_same_run(folder, swept["cnn", 2][0])


@pytest.mark.slow
def test_label_correction_decides_alike_in_all_processes(digits):
    arguments = ("data.trusted=300", "noise.rate=0.4", "trainer.max_epochs=8", "method.stage1_epochs=5")
    target = "method._target_=tests.methods.extensions.LeavesItsState"
    outcome = digits("method=label_correction", target, *arguments, *TWO, "optimizer.lr=0.05")
    assert outcome.code == 0, outcome.err
    first, second = (torch.load(outcome.folder / f"process{i}.pt", weights_only=True) for i in range(2))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0)
        torch.testing.assert_close(weights(outcome.folder)[name], value, rtol=0, atol=0)
    table = pd.read_csv(outcome.folder / "corrected_labels.csv").dropna(subset="new_label")
    (correction,) = outcome.result["corrections"]
    assert 0 < table["kept"].sum() == correction["kept"] < len(table)
    assert first["kept"].sum() == correction["kept"] + 300
    assert correction["kept_accuracy"] > above_chance(correction["kept"])
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)


@pytest.mark.slow
def test_own_data_says_its_classes_and_size_to_all_processes(train, tmp_path):
    write_folder(tmp_path / "own", 20)
    own = ("data=folder", "data.path=own", "data.test_fraction=0", "model=mlp_1x512", "data.batch_size=16")
    quick = ("trainer.max_epochs=1", "trainer.precision=32-true")
    outcome = train(*own, *quick, *TWO)
    assert outcome.code == 0, outcome.err
    config, environment = outcome.result["config"], outcome.result["environment"]
    assert environment["processes"] == 2
    assert (config["data"]["num_classes"], config["data"]["image_size"]) == (3, 12)
    assert (config["model"]["num_classes"], config["model"]["image_size"]) == (3, 12)
    assert "finished already" in train(*own, *quick, *TWO).out


ALLOCATIONS = {
    "SLURM": {"NTASKS": 4, "JOB_NAME": "sweep", "JOB_ID": 17, "PROCID": 2, "LOCALID": 2, "NODEID": 0, "NODELIST": "n1"},
    "LSB": {"JOBID": 1, "DJOB_RANKFILE": "/nowhere", "HOSTS": "a b"},
    "JSM_NAMESPACE": {"RANK": 1, "LOCAL_RANK": 1, "SIZE": 4},
    "OMPI_COMM_WORLD": {"RANK": 2, "LOCAL_RANK": 2, "SIZE": 4},
    "": {"RANK": 3, "LOCAL_RANK": 3, "WORLD_SIZE": 4, "NODE_RANK": 1, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": 29500},
    "TORCHELASTIC": {"RUN_ID": "x", "USE_AGENT_STORE": "True"},
}


STARTED_BY = ([], ["SLURM"], ["LSB", "JSM_NAMESPACE"], ["OMPI_COMM_WORLD"], ["", "TORCHELASTIC"])


@pytest.mark.slow
def test_a_task_of_an_allocation_works_by_itself(digits, evaluate, monkeypatch):
    """Trackers get what they get elsewhere: Lightning would leave that to another task."""
    protocols = []
    for number, prefixes in enumerate(STARTED_BY):
        with monkeypatch.context() as patch:
            for prefix in prefixes:
                for name, value in ALLOCATIONS[prefix].items():
                    patch.setenv("_".join(filter(None, (prefix, name))), str(value))
            patch.setattr(rank_zero_only, "rank", 3)  # as Lightning reads it when it is imported
            small = ("model=mlp_1x512", "data.subset=100", "trainer.max_epochs=1", "logger=tensorboard")
            outcome = digits(*small, f"paths.output_dir=started{number}")
            assert outcome.code == 0, outcome.err
            (folder,) = outcome.root.glob(f"started{number}/*/*")
            assert any(b"val/accuracy" in path.read_bytes() for path in folder.rglob("events.out*"))
            assert evaluate(f"runs={folder}", "trainer.accelerator=cpu").code == 0
        protocols.append(json.loads((folder / "result.json").read_text())["protocol"])
    assert all(protocol == protocols[0] for protocol in protocols)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data.batch_size=255",), "data.batch_size is of all 2 devices together and must be divisible by them"),
        (("trainer.strategy=fsdp",), "trainer.strategy must be one of auto, ddp, ddp_find_unused_parameters_true"),
        (("trainer.devices=two",), "trainer.devices=two: "),
    ],
)
def test_a_mistake_is_said_before_anything_starts(digits, arguments, message):
    outcome = digits(*TWO, *arguments)
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: {message}")
    assert not (outcome.root / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("method=fit_once", "model=histogram_logistic"), "FitOnce trains on one device: set trainer.devices=1."),
        (("optimizer.lr=1e30",), "the training loss became NaN or infinite at step"),
    ],
)
@pytest.mark.slow
def test_a_mistake_is_said_once_and_ends_all_processes(tmp_path, arguments, message):
    done = subprocess.run(command("data=digits", *TWO, *arguments, root=tmp_path), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("error: ") == done.stderr.count(message) == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
