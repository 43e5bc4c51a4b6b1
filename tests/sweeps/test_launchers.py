"""Presets of launchers and searches; those that are installed are run."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml

from lnl.app.mistakes import extra_of
from lnl.config import CONF_DIR
from lnl.errors import install
from lnl.sweeps import sweep

HYDRA = Path(CONF_DIR) / "hydra"
ONE_EPOCH = ("trainer.max_epochs=1", "data.subset=300")


def needs_plugin(name):
    plugin = f"hydra_plugins.{name}"
    installed = find_spec("hydra_plugins") and find_spec(plugin)
    return pytest.mark.skipif(not installed, reason=f"{plugin} is not installed (pip install -e '.[...]')")


def numbers(root):
    """What each run found, by its folder's name, and with how many threads."""
    results = {path.parent.name: json.loads(path.read_text()) for path in root.rglob("result.json")}
    protocols = {name: result["protocol"] for name, result in results.items()}
    return protocols, {result["environment"]["threads"] for result in results.values()}


@pytest.fixture
def two_jobs(digits, monkeypatch):
    """Two jobs of one CPU thread each, with a launcher; and the same two in one process."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(*launcher):
        return digits("-m", *ONE_EPOCH, "seed=0,1", "sweep=launched", *launcher)

    return run


def assert_same_as_in_one_process(outcome, digits, monkeypatch):
    assert outcome.code == 0, outcome.err
    assert "2 jobs" in outcome.out
    assert "2 finished" in outcome.out
    assert outcome.out.count("finished in") == 2
    launched, threads = numbers(outcome.root / "outputs/launched")
    assert threads == {1}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        digits("-m", *ONE_EPOCH, "seed=0,1", "sweep=here")
    finally:
        torch.set_num_threads(before)
    assert launched == numbers(outcome.root / "outputs/here")[0]
    assert len(launched) == 2


@needs_plugin("hydra_joblib_launcher")
@pytest.mark.slow
def test_joblib_gives_the_numbers_of_one_process(two_jobs, digits, monkeypatch):
    outcome = two_jobs("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert_same_as_in_one_process(outcome, digits, monkeypatch)


@needs_plugin("hydra_submitit_launcher")
@pytest.mark.slow
def test_submitit_gives_the_numbers_of_one_process(two_jobs, digits, monkeypatch):
    outcome = two_jobs("hydra/launcher=submitit_local")
    assert_same_as_in_one_process(outcome, digits, monkeypatch)


@needs_plugin("hydra_ray_launcher")
@pytest.mark.slow
def test_ray_gives_the_numbers_of_one_process(two_jobs, digits, monkeypatch):
    ray = pytest.importorskip("ray")
    try:
        outcome = two_jobs("hydra/launcher=ray", "hydra.launcher.ray.init.num_cpus=2")
    finally:
        ray.shutdown()
    assert_same_as_in_one_process(outcome, digits, monkeypatch)


@pytest.mark.gpu
@needs_plugin("hydra_ray_launcher")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("share", [1, 0.5])
def test_a_gpu_job_of_ray_sees_its_own_alone(digits, monkeypatch, share):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    seen = "+callbacks.seen._target_=tests.sweeps.visible.VisibleDevices"
    launcher = ("hydra/launcher=ray", f"hydra.launcher.ray.remote.num_gpus={share}")
    try:
        outcome = digits("-m", *ONE_EPOCH, "seed=0,1,2,3", seen, *launcher)
    finally:
        ray.shutdown()
    assert outcome.code == 0, outcome.err
    visible = [path.read_text() for path in outcome.root.rglob("visible.txt")]
    assert len(visible) == 4
    assert all(devices in {str(i) for i in range(torch.cuda.device_count())} for devices in visible)
    results = [json.loads(path.read_text()) for path in outcome.root.rglob("result.json")]
    assert {result["environment"]["device"] for result in results} == {"cuda:0"}


@needs_plugin("hydra_submitit_launcher")
def test_slurm_gets_an_array_with_a_time_limit_and_a_signal_before_it(digits, tmp_path, monkeypatch):
    """Without Slurm: an sbatch that keeps what it is given."""
    for name, script in {"sbatch": f'cp "$1" {tmp_path}/given.sh; echo no Slurm here >&2; exit 1', "srun": ""}.items():
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    options = [f"hydra.launcher.{option}" for option in ("partition=gpu", "timeout_min=90", "array_parallelism=2")]
    outcome = digits("-m", "seed=0,1,2", "hydra/launcher=slurm", *options)
    assert outcome.code == 1
    assert "no Slurm here" in outcome.err
    assert "Traceback" not in outcome.err
    given = (tmp_path / "given.sh").read_text()
    for line in ("array=0-2%2", "partition=gpu", "time=90", "signal=USR2@120", "gpus-per-node=1", "cpus-per-task=4"):
        assert f"#SBATCH --{line}\n" in given
    assert not list(outcome.root.rglob(".identity"))


@needs_plugin("hydra_optuna_sweeper")
@pytest.mark.slow
def test_a_search_finds_the_highest_noisy_validation_accuracy(digits):
    outcome = digits("-m", *ONE_EPOCH, "hydra/sweeper=search_lr", "hydra.sweeper.n_trials=6")
    assert outcome.code == 0, outcome.err
    assert "6 jobs" in outcome.out
    results = [json.loads(path.read_text()) for path in outcome.root.rglob("result.json")]
    assert len({result["config"]["optimizer"]["lr"] for result in results}) == 6
    found = yaml.safe_load((outcome.root / "outputs/runs/optimization_results.yaml").read_text())
    best = max(results, key=lambda result: result["protocol"]["noisy_val_best"]["val"]["accuracy"])
    assert found["best_value"] == best["protocol"]["noisy_val_best"]["val"]["accuracy"]
    assert found["best_params"]["optimizer.lr"] == best["config"]["optimizer"]["lr"]
    assert outcome.err == ""  # nor a word of Optuna's own
    again = digits("-m", *ONE_EPOCH, "hydra/sweeper=search_lr", "hydra.sweeper.n_trials=6")
    assert "6 skipped" in again.out  # the same trials


@needs_plugin("hydra_optuna_sweeper")
@pytest.mark.parametrize("preset", ["search", "optuna"])
def test_a_search_without_anything_to_search_trains_nothing(digits, preset):
    outcome = digits("-m", *ONE_EPOCH, f"hydra/sweeper={preset}", "seed=1")
    assert outcome.code == 1
    expected = "nothing to search; give an interval, such as loss.q='interval(0.1, 1)'"
    assert outcome.err == f"error: hydra/sweeper={preset}: {expected}\n"
    assert not list(outcome.root.rglob(".identity"))


@needs_plugin("hydra_optuna_sweeper")
@pytest.mark.slow
def test_a_trial_that_fails_ends_no_search_and_optunas_own_preset_maximises(digits):
    arguments = ("hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=0", "hydra.sweeper.max_failure_rate=1")
    outcome = digits("-m", *ONE_EPOCH, *arguments, "hydra.sweeper.n_trials=8", "optimizer.lr=choice(-1,1e-9,0.05)")
    assert outcome.code == 1
    assert "failed: optimizer" in outcome.out
    found = yaml.safe_load((outcome.root / "outputs/runs/optimization_results.yaml").read_text())
    accuracies = [
        json.loads(path.read_text())["protocol"]["noisy_val_best"]["val"]["accuracy"]
        for path in outcome.root.rglob("result.json")
    ]
    assert found["best_value"] == max(accuracies)


def test_a_plugin_that_is_not_installed_is_named(digits):
    outcome = digits(
        "-m", "seed=0", "hydra/launcher=ray", "hydra.launcher._target_=hydra_plugins.hydra_ray_launcher.No"
    )
    assert outcome.code == 1
    assert outcome.err == f"error: this launcher or sweeper is not installed: {install('ray')}\n"
    assert outcome.out == ""
    if not find_spec("hydra_plugins"):
        outcome = digits("-m", "seed=0", "hydra/sweeper=optuna")
        assert outcome.err == f"error: optuna is not installed: {install('optuna')}\n"


@pytest.mark.parametrize("path", sorted(HYDRA.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}={path.stem}")
def test_a_preset_composes_and_says_what_to_install(train, path, capsys):
    outcome = train("data=digits", f"hydra/{path.parent.name}={path.stem}", "--cfg", "hydra", "--package", "hydra")
    assert outcome.code == 0, outcome.err
    node = yaml.safe_load(outcome.out.split("\n", 1)[1])[path.parent.name]
    plugin = node["_target_"].split(".")[1].removeprefix("hydra_").split("_")[0]
    base = path if "defaults" not in path.read_text() else path.with_name("search.yaml")
    assert install(extra_of(plugin)) in base.read_text()
    assert outcome.err == ""


def test_the_extras_have_the_plugins():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for plugin in ("ray", "submitit", "joblib", "optuna"):
        assert any(plugin in requirement for requirement in extras[extra_of(plugin)])
    assert extra_of("nothing") is None


def test_jobs_of_a_sweep_are_counted(digits, monkeypatch):
    counted = []
    count = sweep.count_jobs
    monkeypatch.setattr(sweep, "count_jobs", lambda config: counted.append(count(config)) or counted[-1])
    digits("-m", "seed=range(3)", "noise.rate=7", "loss=ce,gce", "hydra.sweeper.max_batch_size=2")
    assert counted == [6]
