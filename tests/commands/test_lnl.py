"""``lnl COMMAND`` is ``python -m lnl.COMMAND``."""

import json
import os
import subprocess
import sys

import pytest

from lnl import __version__
from lnl.__main__ import COMMANDS, main
from tests.datasets.own import write_folder


@pytest.fixture
def lnl(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lnl", *arguments])
        try:
            main()
            code, message = 0, ""
        except SystemExit as stop:
            code, message = (stop.code, "") if isinstance(stop.code, int) else (1, stop.code)
        captured = capsys.readouterr()
        return code, captured.out, captured.err + (message or "")

    return run


def shell(folder, *arguments):
    environment = {**os.environ, "LNL_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_without_a_command_it_lists_them(lnl, arguments):
    code, out, err = lnl(*arguments)
    assert (code, err) == (0, "")
    assert all(f"  lnl {name}" in out for name in COMMANDS)
    assert "lnl audit photos" in out


def test_its_version(lnl):
    assert lnl("--version") == (0, f"lnl {__version__}\n", "")


def test_an_unknown_command_gets_the_nearest_and_a_path_the_audit(lnl, tmp_path, monkeypatch):
    code, out, err = lnl("adit", "photos")
    assert (code, out) == (1, "")
    assert err == (
        "error: there is no command adit; did you mean 'audit'?\n"
        "The commands are audit, train, predict, evaluate, export, report; --help has more."
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert lnl("photos")[2].startswith("error: there is no command photos; did you mean lnl audit photos?\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_its_own(lnl, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = lnl(command, "--help")
    assert (code, err) == (0, "")
    assert f"python -m lnl.{command} " in out


def test_a_mistake_has_exit_code_1(lnl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert lnl("report", "runs=nowhere") == (1, "", "error: there is no folder nowhere\n")


@pytest.mark.slow
def test_it_trains_on_two_devices_and_in_other_processes_as_the_module_does(tmp_path):
    """The same runs: what one has trained, the other finds finished."""
    write_folder(tmp_path / "my photos (1)")
    small = ("data.batch_size=8", "model=mlp_1x512", "trainer.max_epochs=1", "trainer.accelerator=cpu")
    two = ("trainer.devices=2", "trainer.strategy=ddp")
    shell(tmp_path, "lnl", "train", "my photos (1)", *small, *two, "sweep=two")
    (result,) = (tmp_path / "outputs/two").glob("*/result.json")
    assert json.loads(result.read_text())["config"]["data"]["path"] == "my photos (1)"
    assert "finished already" in shell(tmp_path, "lnl.train", "my photos (1)", *small, *two, "sweep=two")
    sweep = ("-m", "data.path=my photos (1)", *small, "seed=0,1", "sweep=many")
    assert "2 finished" in shell(tmp_path, "lnl", "train", *sweep, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert "2 skipped" in shell(tmp_path, "lnl.train", *sweep)


@pytest.mark.slow
def test_a_shell_gives_it_a_folder(tmp_path):
    """The whole way: a folder of pictures, an audit of them, and its run for predictions."""
    write_folder(tmp_path / "photos")
    small = ("data.folds=2", "trainer.max_epochs=1", "model=mlp_1x512")
    assert "outputs/audit/index.html" in shell(tmp_path, "lnl", "audit", "photos", *small)
    run = "outputs/audit/run/fold1"
    assert "30 pictures predicted" in shell(tmp_path, "lnl", "predict", "photos", f"run={run}")
