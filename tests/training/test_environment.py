"""What a run says about where it took place."""

import subprocess

from lnl.training import environment


def test_the_commit_is_that_of_the_code_a_process_started_with(tmp_path, monkeypatch):
    def git(*arguments):
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    code = tmp_path / "src/lnl/environment.py"
    code.parent.mkdir(parents=True)
    code.write_text("first")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(environment, "__file__", str(code))
    environment.git_commit.cache_clear()
    first = environment.git_commit()
    assert first == git("rev-parse", "HEAD")
    code.write_text("second")
    assert environment.git_commit() == first
    environment.git_commit.cache_clear()
    assert environment.git_commit() == first + "+changes"
    environment.git_commit.cache_clear()
