"""Study pages: generated blocks change, everything else stays."""

import importlib
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from lnl.reporting.results import read_runs
from tests.reporting.written import write_run

pytestmark = pytest.mark.slow  # a process each

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.stem for path in (ROOT / "docs/studies").glob("*.md"))
KINDS = ("symmetric", "asymmetric")
METHODS = [("baseline", "ce"), ("dynamic_weight", "ce"), ("apl", "apl_nce_rce"), ("apl", "apl_nfl_rce")]
CURVE = [{"val/loss": 2.0 - 0.1 * i, "train/loss": 1 / (i + 1), "train/accuracy": min(1, 0.2 * i)} for i in range(7)]


def write_pages(outputs: Path, pages: Path) -> str:
    command = [sys.executable, str(ROOT / "scripts/study_pages.py"), str(outputs), "--pages", str(pages)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def page(folder: Path, name: str, *blocks: str) -> Path:
    folder.mkdir(exist_ok=True)
    text = "".join(
        f"Prose of {block}, ± as it is.\n\n<!-- generated: {block} -->\nold\n<!-- end -->\n\n" for block in blocks
    )
    path = folder / f"{name}.md"
    path.write_text(text + "The end  \n")
    return path


def prose(path: Path) -> list[str]:
    """The page without what stands inside the blocks."""
    parts = path.read_text().split("<!-- end -->")
    return [part.split(" -->\n")[0] for part in parts]


def blocks(study: str) -> list[str]:
    """The names of a study's blocks."""
    code = f"import sys; sys.path.insert(0, 'scripts'); from studies.{study} import BLOCKS; print(*BLOCKS)"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return listed.stdout.split()


def write_apl(outputs: Path) -> None:
    for kind in KINDS:
        for i, (method, loss) in enumerate(METHODS):
            for seed, rate in ((0, 0.0), (1, 0.0), (0, 0.3)):
                accuracy = 0.5 + 0.01 * i + 0.02 * seed - rate
                change = {"noise": kind, "rate": rate, "seed": seed, "method": method, "loss": loss, "curve": CURVE}
                write_run(outputs, f"apl_{kind}", accuracy, **change)


@pytest.mark.slow
def test_prose_is_untouched_and_a_second_time_changes_nothing(tmp_path):
    write_apl(tmp_path / "outputs")
    names = ("table_3", "table_4", "table_1", "time", "figure_2", "figure_5", "no_such")
    path = page(tmp_path / "pages", "apl", *names)
    before = prose(path)
    out = write_pages(tmp_path / "outputs", tmp_path / "pages")
    assert prose(path) == before
    text = path.read_text()
    assert "| uniform (the paper's symmetric), test % | 0 | 0.3 |" in text
    assert "| asymmetric, test % | 0 | 0.3 |" in text
    assert "| CE | 51.0 ± 1.4 | 20.0 (1 of 2) |" in text
    assert "| *published* | 60.78 (-9.8) | 53.39 (-33.4) |" in text
    assert text.count("\nold\n") == 2
    assert "apl.md: table_1 left as it was: there are no runs of dynamic_weight_threshold" in out
    assert "apl.md: no_such left as it was: no such block" in out
    files = {file: file.read_bytes() for file in (tmp_path / "pages").rglob("*") if file.is_file()}
    assert len(files) == 4
    write_pages(tmp_path / "outputs", tmp_path / "pages")
    assert files == {file: file.read_bytes() for file in (tmp_path / "pages").rglob("*") if file.is_file()}


def test_runs_of_the_bench_are_kept_beside_its_page(tmp_path):
    """Later runs are added to those of before, whose folders are gone; a run that was repeated counts once."""
    kinds = {"symmetric": 0.4, "asymmetric": 0.4, "human worse": None}
    (tmp_path / "pages").mkdir()
    path = page(tmp_path, "methods", "ranking", "symmetric", "equal_time")

    def write(name: str, *runs: tuple[str, int, float]) -> str:
        for (method, seed, accuracy), (noise, rate) in itertools.product(runs, kinds.items()):
            part = {"memorised": 0.3, "visited": 0.25 if method == "aum" else 1.0}
            what = {"method": method, "seed": seed, "noise": noise, "rate": rate, "labels": f"{noise} {seed}", **part}
            write_run(tmp_path / name, "methods_bench", accuracy - 0.1 * (noise == "asymmetric"), **what)
        return write_pages(tmp_path / name, tmp_path / "pages")

    out = write("first", ("baseline", 0, 0.4), ("baseline", 1, 0.6), ("aum", 0, 0.5), ("aum", 1, 0.5))
    assert "equal_time left as it was: there are no runs of methods_equal_time" in out
    write("second", ("aum", 1, 0.8), ("aum", 2, 0.8))
    text = path.read_text()
    assert "| aum | **70.0 ± 17.3** | **60.0 ± 17.3** | **70.0 ± 17.3** | 66.7 | 1.0 |" in text
    assert "| loss=ce | 50.0 ± 14.1 (2 of 3) | 40.0 ± 14.1 (2 of 3) | 50.0 ± 14.1 (2 of 3) | 46.7 | 1.0 |" in text
    assert "| aum | **70.0 ± 17.3** | **71.0 ± 17.3** | 30.0 ± 0.0 (of 25 %) |" in text
    assert len(pd.read_csv(tmp_path / "methods.csv")) == 15


def test_without_runs_a_page_stays_as_it_is(tmp_path):
    path = page(tmp_path / "pages", "apl", "table_3", "figure_2")
    page(tmp_path / "pages", "of another matter", "table_3")
    before = path.read_text()
    (tmp_path / "outputs").mkdir()
    out = write_pages(tmp_path / "outputs", tmp_path / "pages")
    assert path.read_text() == before
    assert out.count("left as it was") == 2


@pytest.mark.slow
def test_every_block_of_every_study_can_be_written(tmp_path):
    """And every figure is readable in size: 1,200 pixels wide and under 100 kB."""
    outputs, pages = tmp_path / "outputs", tmp_path / "pages"
    write_apl(outputs)
    for threshold in (0.4, 0.6, 0.8):
        write_run(outputs, "dynamic_weight_threshold", config={"method": {"threshold": threshold}})
    for beta in (10, 1, 0.5):
        write_run(outputs, "apl_alpha_beta", config={"loss": {"alpha": 1, "beta": beta}})
    write_run(outputs, "apl_mnist", data="mnist")
    for model in ("mlp_1x512", "inception_small"):
        for rate in (0, 0.5, 1):
            write_run(outputs, "rethinking_corruption", 0.5 - 0.4 * rate, model=model, rate=rate, curve=CURVE)
    for corruption, rate in (("none", 0), ("none", 1), ("gaussian", 0)):
        write_run(outputs, "rethinking_randomisation", corruption=corruption, rate=rate, curve=CURVE)
    write_regularised(outputs)
    for data in ("tf_flowers_sunflower", "tf_flowers"):
        write_run(outputs, "flowers_control", 0.9, data=data, noise="none", rate=None)
        for sweep, loss in (("flowers_corrupted", "ce"), ("flowers_l1", "l1")):
            write_run(outputs, sweep, 0.7, data=data, noise="uniform", rate=0.1, loss=loss)
            folder = write_run(outputs, sweep, 0.6, data=data, noise="uniform", rate=0.5, loss=loss)
            (folder / "figures").mkdir()
            Image.new("RGB", (1600, 800)).save(folder / "figures/labels.png")
        write_run(outputs, "flowers_pretrained", 0.9, data=data, noise="uniform", rate=0)
    write_run(outputs, "flowers_literal", data="tf_flowers_sunflower_literal")
    corrected = [
        write_run(outputs, sweep, splits={"trusted_test": 0.7}, method="label_correction")
        for sweep in ("weak_supervision_best", "weak_supervision_pretrained", "weak_supervision_pretrained_best")
    ]
    done = {
        "round": 1,
        "candidates": 9,
        "kept": 8,
        "changed": 0,
        "kept_accuracy": 0.9,
        "precision": None,
        "recall": 0.0,
    }
    for folder in corrected:
        result = json.loads((folder / "result.json").read_text()) | {"corrections": [done]}
        result["protocol"]["stage1"] = result["protocol"]["last"]
        (folder / "result.json").write_text(json.dumps(result))

    for study in STUDIES:
        page(pages, study, *(block for block in blocks(study) if block != "table_2"))
    assert "left as it was" not in write_pages(outputs, pages)
    pictures = list(pages.rglob("*.png"))
    assert len(pictures) >= 9
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.width == 1200
        assert picture.stat().st_size < 100_000
    written = "\n".join(path.read_text() for path in pages.glob("*.md"))
    for link in ("figures/apl/figure_2.png", "figures/flowers/contact_sheet_0.5.jpg"):
        assert f"({link})" in written
        assert (pages / link).exists()


def write_regularised(outputs: Path) -> None:
    """Each of the four takes something off a test accuracy of 0.9: 0.01, 0.02, 0.04 and 0.08."""
    for decay, dropout, augment, batch_norm in itertools.product((0, 5e-4), (0, 0.5), ("none", "crops"), (False, True)):
        lost = 0.01 * (decay > 0) + 0.02 * (dropout > 0) + 0.04 * (augment != "none") + 0.08 * batch_norm
        config = {
            "optimizer": {"weight_decay": decay},
            "model": {"dropout": dropout, "batch_norm": batch_norm},
            "augment": {} if augment == "none" else {"crop_flip": {"_target_": "lnl.augment.CropFlip"}},
        }
        write_run(outputs, "rethinking_regularisers", 0.9 - lost, config=config, train=1.0)


def test_what_a_regulariser_does_is_averaged_over_the_others(tmp_path):
    write_regularised(tmp_path / "outputs")
    path = page(tmp_path / "pages", "label_corruption", "regularisers")
    write_pages(tmp_path / "outputs", tmp_path / "pages")
    rows = {
        row[0]: row[1:]
        for row in (re.sub(r" ± [\d.]+", "", line).split(" | ") for line in path.read_text().splitlines())
    }
    without = 10 + (1 + 2 + 4 + 8) / 2
    for name, lost in (("weight decay", 1), ("dropout", 2), ("augmentation", 4), ("batch norm", 8)):
        off, on = (float(cell.strip("| ")) for cell in rows[f"| {name}"][2:])
        assert (off, on) == (without - lost / 2, without + lost / 2)
    assert rows["| none of the four"][1] == "10.0"
    assert rows["| all four"][1] == "25.0"


def test_the_table_of_another_dataset_is_of_the_evaluations(tmp_path):
    folders = [write_run(tmp_path / "outputs", f"apl_{noise}", noise=noise, rate=0.9) for noise in KINDS]
    path = page(tmp_path / "pages", "apl", "table_2")
    assert "no run has mnist/accuracy" in write_pages(tmp_path / "outputs", tmp_path / "pages")
    for folder, accuracy in zip(folders, (0.1234, 0.0876), strict=True):
        identity = json.loads((folder / "result.json").read_text())["identity"]
        record = {"identity": identity, "protocol": "last", "data": {"name": "mnist", "split": "test"}}
        (folder / "evaluations").mkdir()
        (folder / "evaluations/mnist-last.json").write_text(json.dumps({**record, "test": {"accuracy": accuracy}}))
    write_pages(tmp_path / "outputs", tmp_path / "pages")
    rows = [line for line in path.read_text().splitlines() if line.startswith("| ")]
    assert [row for row in rows if row.startswith("| CE")] == ["| CE | 12.3 |", "| CE | 8.8 |"]
    assert "| *published* | 15.44 (-3.1) |" in rows
    assert "| *published* | 41.22 (-32.5) |" in rows


@pytest.mark.parametrize("path", sorted((ROOT / "docs/studies").glob("*.md")), ids=lambda path: path.stem)
def test_the_pages_ask_for_the_blocks_that_there_are(path):
    asked = re.findall("<!-- generated: (.*) -->\n", path.read_text())
    assert sorted(asked) == sorted(blocks(path.stem))
    assert path.read_text().count("<!-- end -->") == len(asked)


@pytest.fixture
def common(monkeypatch):
    """What the studies have in common."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("studies.common")


def test_epochs_until_a_value_is_reached(tmp_path, common):
    folder = write_run(tmp_path, "study", curve=[{"train/accuracy": value} for value in (0.5, 0.98, 1.0, 0.99)])
    assert common.epochs_until(folder, "train/accuracy", 1.0) == 3
    assert common.epochs_until(folder, "train/accuracy", 0.9) == 2
    assert pd.isna(common.epochs_until(folder, "train/accuracy", 1.01))


def test_names_keep_their_order_and_only_what_they_name(tmp_path, common):
    for loss in ("ce", "gce", "mae"):
        write_run(tmp_path, "study", loss=loss)
    chosen = common.named(
        read_runs([tmp_path]), {"second": {"loss": "mae"}, "first": {"loss": "ce"}, "none": {"loss": "sce"}}
    )
    assert set(zip(chosen["label"], chosen["loss"], strict=True)) == {("second", "mae"), ("first", "ce")}
    assert list(chosen["label"].cat.categories) == ["second", "first", "none"]
