"""The wheel is whole: it brings conf/ along and trains where there is no checkout."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def test_the_wheel_trains_on_digits_outside_the_checkout(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("lnl-*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    # lnl comes from the wheel, its dependencies from here; .ci/run tries an environment that has nothing.
    (site,) = (tmp_path / "env/lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    where = subprocess.run(
        [python, "-c", "import lnl; print(lnl.__file__)"], capture_output=True, text=True, check=True
    )
    assert str(site) in where.stdout
    command = [tmp_path / "env/bin/lnl", "train", "data=digits", "trainer.max_epochs=1"]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "test accuracy" in outcome.stdout
    assert list(tmp_path.glob("outputs/runs/*/result.json"))
    subprocess.run([python, "-m", "lnl.evaluate", "runs=outputs/runs"], capture_output=True, cwd=tmp_path, check=True)
    assert list(tmp_path.glob("outputs/runs/*/evaluations/digits-last.json"))
    subprocess.run([python, "-m", "lnl.report", "runs=outputs/runs"], capture_output=True, cwd=tmp_path, check=True)
    assert "<!doctype html>" in (tmp_path / "outputs/reports/runs/index.html").read_text()
    code = "from lnl.reporting.published import published; print(len(published('flowers')))"
    numbers = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert int(numbers.stdout) == 11
