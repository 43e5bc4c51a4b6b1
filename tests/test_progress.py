"""What commands say while they work: soon, seldom, on stderr, and with the time left of the whole."""

import io
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from rich.console import Console

from lnl import progress
from lnl.progress import Pace, hushed, loading, tracked, working


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves on."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "time", lambda: now[0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_time_left_is_of_what_was_worked_since_the_start(clock):
    pace = Pace(begun=0.5)
    assert pace.left(0.5) is None
    clock[0] += 30
    assert pace.left(0.75) == 30  # a quarter took 30 s, and a quarter is left
    assert pace.text(0.6) == "60%, 2 min 0 s left"


@pytest.mark.parametrize(("seconds", "most"), [(4, 0), (30, 5), (3600, 20), (360_000, 20)])
def test_work_of_any_length_has_few_lines_and_the_first_one_soon(clock, seconds, most):
    pace, said = Pace(), []
    for step in range(1, 10_000):
        clock[0] += seconds / 10_000
        if pace.due(step / 10_000):
            said.append(step / 10_000)
    assert len(said) <= most
    if most:
        assert len(said) >= most - 1  # none is at the end
        assert said[0] * seconds <= 36  # a step takes this long at most
        assert said[-1] >= 0.8


def test_lines_are_for_where_there_is_no_terminal(clock, capsys):
    def items():
        for number in range(100):
            clock[0] += 1
            yield number

    assert list(tracked(items(), "decoding", 100)) == list(range(100))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "decoding: 5 of 100, 5%, 1 min 35 s left"
    assert len(err.splitlines()) == 19  # not at the end, which shows by itself
    with hushed():
        assert len([*tracked(items(), "decoding", 100)]) == 100
    assert len([*tracked(items(), "decoding", 100, show=False)]) == 100
    assert capsys.readouterr().err == ""


def test_work_that_takes_less_than_expected_is_not_spoken_of(capsys):
    with working("reading", after=5.0):
        pass
    with working("reading", after=0.05):
        time.sleep(0.2)
    with hushed(), working("writing", after=0):
        pass
    with loading():  # which the tests have done
        pass
    assert capsys.readouterr().err == "reading ...\n"


def test_a_terminal_keeps_nothing_of_it(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=60)
    monkeypatch.setattr(progress, "terminal", lambda: console)
    with working("reading", after=0):
        pass
    assert list(tracked(range(3), "decoding", 3)) == [0, 1, 2]
    text = console.file.getvalue()
    assert "reading ..." in text
    assert "decoding" in text
    assert text.count("\x1b[2K") >= 2  # lines are erased


@pytest.mark.slow
@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_command_says_something_before_torch_is_imported(tmp_path, on_terminal):
    """The import ends the process; a real one takes up to ten seconds."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("import os, sys\nsys.stderr.flush()\nos._exit(7)\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ours, theirs = pty.openpty() if on_terminal else os.pipe()
    ended = subprocess.run(
        [sys.executable, "-m", "lnl.train", "data=digits"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert ended.returncode == 7
    assert ended.stdout == b""
    assert re.search(r"loading PyTorch \.\.\.", said)
    # The data is looked at first, which is said where it takes long.
    assert (
        on_terminal or said.removeprefix("looking at the data ...\n") == "loading PyTorch ...\n"
    )  # if that takes long
