"""A run folder is one process's at a time."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from lnl.runs.folder import Busy, RunFolder, held

HOLD = """
    import sys, time
    from lnl.runs.folder import RunFolder, held
    with held(RunFolder(sys.argv[1], "1")):
        print("held", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def holder():
    """Starts a process that holds a folder until its input ends."""
    processes = []

    def start(path):
        command = [sys.executable, "-c", textwrap.dedent(HOLD), str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_who_has_a_folder_is_said(tmp_path, holder):
    folder = RunFolder(tmp_path / "run", "1")
    process = holder(folder.path)
    with pytest.raises(Busy, match=rf"process {process.pid} on .+, since \d{{4}}-\d\d-\d\d"), held(folder):
        pass
    process.communicate("")
    with held(folder):
        assert str(os.getpid()) in folder.owner.read_text()
    assert not folder.owner.exists()


def test_a_killed_process_holds_nothing(tmp_path, holder):
    folder = RunFolder(tmp_path / "run", "1")
    process = holder(folder.path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert str(process.pid) in folder.owner.read_text()
    with held(folder):
        pass


def test_a_run_in_a_folder_that_is_held_leaves_it_alone(digits, holder):
    path = digits("hydra.run.dir=here", "trainer.max_epochs=1").folder
    (path / "result.json").unlink()  # as if it were still trained
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != ".owner.json"}
    process = holder(path)
    outcome = digits("hydra.run.dir=here", "trainer.max_epochs=1")
    assert outcome.code == 1
    assert f"is being worked on by process {process.pid}" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert {file: file.read_bytes() for file in before} == before
    process.communicate("")
    assert digits("hydra.run.dir=here", "trainer.max_epochs=1").code == 0


def test_a_sweep_leaves_a_job_to_the_process_that_has_it(digits, holder):
    first = digits("-m", "seed=0,1", "trainer.max_epochs=1")
    theirs = next(folder for folder in first.folders if "seed0" in folder.name)
    (theirs / "result.json").unlink()
    process = holder(theirs)
    outcome = digits("-m", "seed=0,1,2", "trainer.max_epochs=1")
    assert outcome.code == 0
    assert f"left to process {process.pid}" in outcome.out
    assert "3 jobs" in outcome.out
    assert "1 finished, 1 skipped (finished before), 1 left to another process" in outcome.out
    assert not (theirs / "result.json").exists()
