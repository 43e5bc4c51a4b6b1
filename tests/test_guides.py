"""The guides, run word for word in an empty folder, as a reader would."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

pytestmark = pytest.mark.slow

GUIDES = Path(__file__).parents[1] / "docs/guides"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def follow(tmp_path):
    """Does what a guide says: files that start with their name are written, commands are given to a shell."""

    def run(guide: str, before: dict[str, object] | None = None) -> str:
        said = ""
        for language, text in BLOCK.findall((GUIDES / f"{guide}.md").read_text()):
            if language in ("python", "yaml"):
                path = tmp_path / text.split("\n")[0].removeprefix("# ")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            elif not language:
                for part, prepare in (before or {}).items():
                    if part in text:
                        prepare()
                said += shell(text, tmp_path)
        return said

    return run


def shell(commands: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LNL_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pictures(count: int) -> tuple[list[Image.Image], np.ndarray]:
    """Digits 0 to 3 as pictures of 16x16."""
    digits = load_digits(n_class=4)
    images = [Image.fromarray((image * 15.9).astype(np.uint8)).resize((16, 16)) for image in digits.images[:count]]
    return images, digits.target[:count]


def test_wrong_labels(follow, tmp_path):
    images, truth = pictures(400)
    names = ["zero", "one", "two", "three"]
    given = truth.copy()
    given[::8] = (given[::8] + 1) % 4
    for number, (image, label) in enumerate(zip(images, given, strict=True)):
        path = tmp_path / "photos" / names[label] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)

    def decide():
        """A reviewer looks at the 60 worst and knows what they are."""
        issues = pd.read_csv(tmp_path / "audit/issues.csv").head(60)
        issues["label"] = [names[truth[int(Path(file).stem)]] for file in issues["file"]]
        issues["decision"] = np.where(issues["label"] == issues["given_label"], "keep", "change")
        columns = ["index", "file", "given_label", "suggested_label", "decision", "label"]
        issues[columns].to_csv(tmp_path / "decisions.csv", index=False)

    said = follow("wrong_labels", {"decisions.csv": decide})
    assert "wrong labels: " in said
    assert (tmp_path / "audit/index.html").stat().st_size > 10_000
    corrected = pd.read_csv(tmp_path / "audit/decided_labels.csv")
    right = np.array([names[truth[int(Path(file).stem)]] for file in corrected["file"]])
    wrong_before, wrong_after = ((corrected[column] != right).sum() for column in ("given_label", "label"))
    assert wrong_after < wrong_before / 2
    assert len(corrected) == 400
    assert "test accuracy" in said
    assert shell("python sort.py", tmp_path) == ""
    count = (corrected["label"] == "two").sum()
    assert len(list((tmp_path / "sorted/two").iterdir())) == count > 0


def test_trusted_labels(follow, tmp_path):
    images, truth = pictures(700)
    rng = np.random.default_rng(0)
    given = np.where(rng.random(len(truth)) < 0.5, rng.integers(0, 4, len(truth)), truth)
    trusted = np.arange(len(truth)) < 300
    (tmp_path / "img").mkdir()
    (tmp_path / "new").mkdir()
    for number, image in enumerate(images):
        image.save(tmp_path / f"img/{number:04}.jpg")
    for number in range(5):
        images[number].save(tmp_path / f"new/{number}.png")
    table = {"file": [f"img/{i:04}.jpg" for i in range(len(truth))], "label": np.where(trusted, truth, given)}
    pd.DataFrame({**table, "trusted": trusted}).to_csv(tmp_path / "labels.csv", index=False)
    said = follow("trusted_labels")
    assert "label_correction" in said
    assert (tmp_path / "outputs/reports/runs/index.html").exists()
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 5


def test_new_method(follow, tmp_path):
    said = follow("new_method")
    assert "bootstrap" in said
    assert "temporal" in said
    assert len(list((tmp_path / "outputs/runs").glob("digits-*-bootstrap-*/result.json"))) == 4


def test_what_the_guide_shows_of_dividemix_is_its_code():
    source = (GUIDES.parents[1] / "src/lnl/methods/divide_mix.py").read_text()
    excerpts = [text for language, text in BLOCK.findall((GUIDES / "new_method.md").read_text()) if language == "py"]
    assert len(excerpts) == 2
    assert all(excerpt in source for excerpt in excerpts)
