"""A file is whole or not there, whatever stops its writer."""

import os
import subprocess

import pytest

from lnl import files
from lnl.errors import UserError
from lnl.files import explained, process_is_gone, replacing, write_atomically


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_at_the_end(tmp_path, monkeypatch, durable):
    path, synced = tmp_path / "a.csv", []
    monkeypatch.setattr(files.os, "fsync", synced.append)
    path.write_text("old")
    with replacing(path, durable) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert (path.read_text(), os.listdir(tmp_path), len(synced)) == ("new", ["a.csv"], durable)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_what_fails_leaves_the_file_as_it_was(tmp_path, error):
    def fail():
        with replacing(path) as unfinished:
            unfinished.write_text("half of the n")
            raise error

    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(error):
        fail()
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["a.csv"])


@pytest.mark.parametrize("place", ["file/a.csv", "nowhere/a.csv", "folder"])
def test_an_error_names_the_file_that_is_wanted(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    path = tmp_path / place
    with pytest.raises(UserError, match=f"^{path} cannot be written: [A-Z][a-z ]+\\.$"), explained(tmp_path):
        write_atomically(path, "text")
    assert not list(tmp_path.rglob(".*"))


def test_an_error_without_a_name_gets_that_of_what_is_written(tmp_path):
    with pytest.raises(UserError, match=f"^{tmp_path} cannot be written: no room\\.$"), explained(tmp_path):
        raise OSError("no room")


def test_a_process_is_gone_once_it_has_ended():
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    assert not process_is_gone(process.pid)
    process.communicate()
    assert process_is_gone(str(process.pid))
    assert not any(process_is_gone(other) for other in (1, os.getpid(), None, "", "x"))
