"""``python -m lnl.report`` as a user runs it: its numbers, its files, its refusals."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lnl.reporting.material import Options, gather
from tests.datasets.own import write_folder
from tests.reporting.test_report_figures import OPTIONS
from tests.reporting.written import write_run

QUICK = ("figures=[]", "page=false")
CURVE = [{"val/loss": 2 - 0.1 * i, "train/accuracy": 0.1 * i, "train/accuracy_correct": 0.2 * i} for i in range(4)]
SLUG = "test-accuracy-cifar10-uniform-noise-cnn-last"


@pytest.fixture
def study(tmp_path):
    """Two methods, two rates, three seeds, less one run."""
    for (method, loss), better in {("baseline", "ce"): 0, ("apl", "apl_nfl_rce"): 0.05}.items():
        for rate in (0.3, 0.6):
            for seed in range(3):
                if (loss, rate, seed) != ("apl_nfl_rce", 0.6, 2):
                    accuracy = 0.8 - rate / 2 + better * (rate > 0.5) + 0.01 * seed + 0.002 * seed * (loss != "ce")
                    curve = [{**row, "train/memorised": 0.05 * i} for i, row in enumerate(CURVE)]
                    facts = {"method": method, "loss": loss, "rate": rate, "seed": seed, "noise": "uniform"}
                    confusion = [[3, 1], [2, 4]]
                    folder = write_run(
                        tmp_path / "outputs", "study", accuracy, curve=curve, confusion=confusion, **facts
                    )
                    np.savez(folder / "noise.npz", transition_matrix=np.array([[1 - rate, rate], [rate, 1 - rate]]))
    return tmp_path / "outputs/study"


def cells(path):
    return pd.read_csv(path).set_index(["row", "column"])


def test_all_that_is_promised_is_written(study, report):
    outcome = report(f"runs={study}", "against=apl_dynamic_weight")
    assert outcome.code == 0, outcome.err
    folder = outcome.root / "outputs/reports/study"
    assert "11 runs, 2 methods, 2 rates, 3 seeds" in outcome.out
    assert outcome.out.strip().endswith("outputs/reports/study/index.html")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    stems = ["test-accuracy-cifar10-uniform-noise-cnn"]
    tables = {
        f"tables/{stem}-{end}.{kind}"
        for stem in stems
        for end in ("last", "noisy_val_best")
        for kind in ("md", "csv", "tex")
    }
    figures = {"against-rate-" + stem + "-" + end for stem in stems for end in ("last", "noisy_val_best")}
    figures |= {
        f"{name}-cifar10-uniform-noise-cnn"
        for name in ("epochs", "memorisation", "errors", "transition", "confusion", "time")
    }
    drawn = {f"figures/{name}.{kind}" for name in figures for kind in ("png", "svg")}
    assert names == {"report.md", "index.html", "runs.csv", *tables, *drawn}
    text = (folder / "report.md").read_text()
    for link in re.findall(r"\]\((.+?)\)", text):
        assert (folder / link).exists()
    for name in figures:
        with Image.open(folder / f"figures/{name}.png") as picture:
            assert len(np.unique(np.asarray(picture))) > 5
        assert ET.parse(folder / f"figures/{name}.svg").getroot().tag.endswith("svg")


def test_the_numbers_are_those_of_the_runs(study, report):
    report(f"runs={study}", "against=apl_dynamic_weight", *QUICK)
    table = cells(study.parent / f"reports/study/tables/{SLUG}.csv")
    low = [0.65, 0.662, 0.674]
    assert table.loc[("apl_nfl_rce", 0.3), "mean"] == pytest.approx(np.mean(low))
    assert table.loc[("apl_nfl_rce", 0.3), "std"] == pytest.approx(np.std(low, ddof=1))
    assert table.loc[("apl_nfl_rce", 0.6), "runs"] == 2
    assert table.loc[("ce", 0.3), "published"] == pytest.approx(0.5339)
    assert table.loc[("ce", 0.3), "difference_from_published"] == pytest.approx(0.66 - 0.5339)
    assert table.loc[("apl_nfl_rce", 0.3), ["pairs", "difference_from_baseline"]].tolist() == pytest.approx([3, 0.002])
    assert 0 < table.loc[("apl_nfl_rce", 0.3), "p_holm"] < 1
    assert pd.isna(table.loc[("apl_nfl_rce", 0.6), "p"])  # two pairs
    best = cells(study.parent / f"reports/study/tables/{SLUG.replace('last', 'noisy_val_best')}.csv")
    assert best.loc[("ce", 0.3), "mean"] == pytest.approx(0.67)
    assert "published" not in best  # their number is of the last epoch


def test_markdown_and_latex_say_the_same(study, report):
    report(f"runs={study}", "against=apl_dynamic_weight", *QUICK)
    folder = study.parent / "reports/study/tables"
    text = (folder / f"{SLUG}.md").read_text()
    assert "| ce | 66.0 ± 1.0 | 51.0 ± 1.0 |" in text
    assert "| apl_nfl_rce | **66.2 ± 1.2** | **55.6 ± 0.8 (2 of 3)** |" in text
    assert "| *published* | 53.39 (+12.6) | 45.14 (+5.9) |" in text
    assert "| apl_nfl_rce | +0.2, p 0.225 (n 3) | +5.1 (n 2) |" in text
    latex = (folder / f"{SLUG}.tex").read_text()
    for part in (r"apl\_nfl\_rce & \textbf{66.2 $\pm$ 1.2}", r"\toprule", r"\bottomrule", r"\emph{published}"):
        assert part in latex
    assert not re.search(r"(?<!\\)[%_](?!.*usepackage)", latex.split("\\begin{tabular}")[1])


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no pdflatex")
def test_latex_compiles(study, report, tmp_path):
    report(f"runs={study}", *QUICK)
    table = (study.parent / f"reports/study/tables/{SLUG}.tex").read_text()
    page = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{table}\\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    subprocess.run(["pdflatex", "-halt-on-error", "page.tex"], cwd=tmp_path, check=True, capture_output=True)


def test_a_pivot_by_any_columns(study, report):
    outcome = report(
        f"runs={study}", "rows=rate", "columns=seed", "metric=[val/accuracy,fit_seconds]", "protocol=last", *QUICK
    )
    assert outcome.code == 0, outcome.err
    tables = sorted((study.parent / "reports/study/tables").glob("*.csv"))
    assert [path.name.split("-cifar10")[0] for path in tables] == ["fit_seconds", "val-accuracy"]
    table = cells(tables[0])
    methods = ("method=apl", "method=baseline")
    assert set(table.index.get_level_values("row")) == {f"{rate}, {way}" for rate in (0.3, 0.6) for way in methods}
    assert (table["runs"] <= 1).all()


def test_a_report_written_again_has_nothing_of_the_one_before(study, report):
    report(f"runs={study}", "metric=test/macro_f1", "protocol=last", *QUICK)
    keep = study.parent / "reports/study/remarks.txt"
    keep.write_text("mine")
    report(f"runs={study}", "protocol=last", *QUICK)
    assert {path.stem for path in (study.parent / "reports/study/tables").iterdir()} == {SLUG}
    assert keep.exists()


def test_the_test_set_chooses_only_if_it_is_asked_to(study, report, tmp_path):
    for seed in range(2):
        write_run(tmp_path / "outputs", "leaky", 0.5, seed=seed, protocols={"oracle_best": 0.99})
    report("runs=outputs/leaky")
    folder = tmp_path / "outputs/reports/leaky"
    texts = [path.read_text() for path in folder.rglob("*") if path.suffix in (".md", ".tex", ".html")]
    assert len(texts) == 6
    for text in texts:
        assert "oracle" not in text.split('id="plotly"')[0]
        assert "SELECTED" not in text
        assert "99.0" not in text.split('id="plotly"')[0]
    assert set(pd.read_csv(folder / "runs.csv")["protocol"]) == {"last", "noisy_val_best"}
    assert report("runs=outputs/leaky", "protocol=oracle_best", *QUICK).code == 1
    report("runs=outputs/leaky", "oracle=true", "figures=[]")
    marked = (folder / "tables/test-accuracy-cifar10-symmetric-noise-cnn-oracle_best.md").read_text()
    assert "SELECTED ON THE TEST SET" in marked
    assert "an upper bound, not a result" in marked
    assert "99.0" in marked
    assert 'class="leak"' in (folder / "index.html").read_text()


def test_what_is_not_a_run_is_named_and_skipped(study, report):
    (study / "torn").mkdir()
    (study / "torn/result.json").write_text('{"schema_ver')
    (study / "foreign").mkdir()
    (study / "foreign/notes.txt").write_text("of something else")
    (study / "unfinished").mkdir()
    (study / "unfinished/.identity").write_text("abc")
    for name in ("early", "late"):
        (study / name).mkdir()
        (study / name / "error.txt").write_text("Traceback")
    (study / "late/.identity").write_text("abc")
    outcome = report(f"runs={study}", "figures=[]")
    assert outcome.code == 0
    folder = study.parent / "reports/study"
    reasons = {"torn": "JSONDecodeError", "foreign": "no run in it", "unfinished": "not finished"}
    reasons |= {"early": "error.txt", "late": "error.txt"}
    for text in (outcome.out, (folder / "report.md").read_text(), (folder / "index.html").read_text()):
        for name, reason in reasons.items():
            assert re.search(rf"study/{name}\W.*{reason}", text), (name, text[:300])


def test_a_run_that_is_in_two_sweeps_counts_once(study, report):
    shutil.copytree(study, study.parent / "copied")
    for path in (study.parent / "copied").rglob("result.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "sweep": "copied"}))
    outcome = report(f"runs=[{study},{study.parent / 'copied'}]", "name=both", *QUICK)
    assert "11 runs, 2 methods" in outcome.out


def test_a_run_without_noise_is_one_run_whatever_its_noise_seed(report, tmp_path):
    curve = [{"val/loss": 2.0 - i, "train/accuracy": 0.5} for i in range(3)]
    for loss, accuracy in (("ce", 0.9), ("gce", 0.6)):
        for rate in (0.0, 0.3):
            for seed in range(3):
                facts = {"rate": rate, "noise_seed": seed, "labels": seed if rate else "right", "curve": curve}
                write_run(tmp_path / "outputs", "study", accuracy - 0.01 * seed * (rate > 0), loss=loss, **facts)
    outcome = report("runs=outputs/study", "protocol=last", *QUICK)
    assert "| gce | -30.0 (n 1) | -30.0 (n 3) |" in outcome.out
    assert "| ce | **90.0 (1 of 3)** | **89.0 ± 1.0** |" in outcome.out
    assert "4 runs repeat the seed, labels and split of another" in outcome.out
    assert "No test: it takes 3 pairs that do not all differ by the same." in outcome.out
    material = gather(Options(**OPTIONS | {"runs": "outputs/study", "output_dir": "r"}))
    assert len(material.single) == 12
    assert material.epochs.groupby("column")["path"].nunique().to_dict() == {0.0: 2, 0.3: 6}
    assert sorted(material.single["repeated"]) == [False] * 8 + [True] * 4


def test_crossed_seeds_and_draws_are_said_to_be(report, tmp_path):
    for i, (seed, noise_seed) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        for loss, accuracy in (("ce", 0.9), ("gce", 0.6)):
            facts = {"loss": loss, "seed": seed, "noise_seed": noise_seed, "labels": noise_seed}
            write_run(tmp_path / "outputs", "study", accuracy - 0.01 * i * (loss == "ce"), **facts)
    outcome = report("runs=outputs/study", "protocol=last", *QUICK)
    assert "8 runs, 2 methods, 1 rate, 2 seeds × 2 draws of the wrong labels: cifar10" in outcome.out
    assert "deviation over 4 runs (2 seeds × 2 draws of the wrong labels)." in outcome.out
    assert "| gce | -28.5 (n 2) |" in outcome.out
    assert "Pairs with the same seed are averaged first and count as one of the n." in outcome.out


MISTAKES = {
    "no runs given": ([], ["which runs?", "runs=outputs/"]),
    "no such folder": (["runs=outputs/nowhere"], ["no folder outputs/nowhere"]),
    "nothing in it": (["runs=outputs/empty"], ["no finished run", "outputs/empty"]),
    "misspelt key": (["runs=outputs/study", "colums=rate"], ["no 'colums'", "did you mean 'columns'"]),
    "misspelt column": (["runs=outputs/study", "rows=metod"], ["rows=metod", "did you mean 'method'"]),
    "misspelt metric": (["runs=outputs/study", "metric=test/acuracy"], ["did you mean 'test/accuracy'"]),
    "misspelt protocol": (["runs=outputs/study", "protocol=lst"], ["protocol=lst", "did you mean 'last'"]),
    "a leak": (["runs=outputs/study", "protocol=oracle_best"], ["test set", "oracle=true"]),
    "misspelt study": (["runs=outputs/study", "against=apl"], ["against=apl", "apl_dynamic_weight"]),
    "another study": (["runs=outputs/study", "against=human_noise"], ["none of its numbers", "resnet34"]),
    "no such baseline": (["runs=outputs/study", "baseline=cee"], ["baseline=cee", "did you mean 'ce'"]),
    "no such row": (["runs=outputs/study", "names={c: CE}"], ["names", "no row 'c'"]),
    "unknown format": (["runs=outputs/study", "tables=[markdown]"], ["tables must be of md, csv, tex", "'markdown'"]),
    "no rows": (["runs=outputs/study", "rows=null"], ["rows must be a name or a list of names, got None"]),
    "no metric": (["runs=outputs/study", "metric=[]"], ["metric must be a name or a list of names, got []"]),
    "no protocol": (["runs=outputs/study", "protocol=[]"], ["protocol must be", "got []"]),
    "no columns": (["runs=outputs/study", "columns=null"], ["columns must be the name of a column, got None"]),
    "a number for rows": (["runs=outputs/study", "rows=3"], ["rows must be", "got 3"]),
    "no list of formats": (["runs=outputs/study", "figures=null"], ["figures must be of png, svg, or [] for none"]),
    "false for no formats": (["runs=outputs/study", "figures=false"], ["or [] for none; got 'False'"]),
    "a path for a name": (["runs=outputs/study", "name=../x"], ["name", "../x"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_explained(study, report, mistake):
    (study.parent / "empty").mkdir()
    arguments, words = MISTAKES[mistake]
    outcome = report(*arguments)
    assert outcome.code == 1
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 2
    assert not (study.parent / "reports").exists()


def test_runs_of_own_data_have_no_rate_and_may_have_no_test_set(train, report, tmp_path):
    write_folder(tmp_path / "own", 10)
    own = ("data=folder", "data.path=own", "model=mlp_1x512", "trainer.max_epochs=2", "trainer.precision=32-true")
    assert train(*own, "data.folds=2", "sweep=crossed").code == 0
    missing = report("runs=outputs/crossed")
    assert missing.code == 1
    assert "metric=test/accuracy: none of these runs has a test set; metric=val/accuracy" in missing.err
    outcome = report("runs=outputs/crossed", "metric=val/accuracy", "protocol=last", "tables=[csv]")
    assert outcome.code == 0, outcome.err
    assert "skipped" not in outcome.out
    folder = tmp_path / "outputs/reports/crossed"
    table = pd.read_csv(folder / "tables/val-accuracy-folder-own-labels-as-given-mlp_1x512-last.csv")
    (run,) = [path.parent for path in (tmp_path / "outputs/crossed").glob("*/result.json")]
    result = json.loads((run / "result.json").read_text())
    assert table[["row", "column"]].to_numpy().tolist() == [["ce", "not given"]]
    assert table["mean"].item() == pytest.approx(result["cross_validation"]["val_accuracy"]["mean"])
    assert {path.name.split("-")[0] for path in (folder / "figures").glob("*.png")} == {"epochs", "time"}
    options = Options(**OPTIONS | {"runs": "outputs/crossed", "metric": "val/accuracy", "output_dir": "r"})
    curves = gather(options).epochs
    folds = [pd.read_csv(path) for path in run.glob("fold*/metrics.csv")]
    assert curves["val/loss"].tolist() == pytest.approx(
        [np.mean([fold["val/loss"][i] for fold in folds]) for i in (0, 1)]
    )

    assert train(*own, "data.test_fraction=0.2", "loss=gce", "sweep=crossed").code == 0
    mixed = report("runs=outputs/crossed", "protocol=last", "figures=[]", "page=false")
    assert "| ce | – |" in mixed.out
    assert "–: run, but without this number." in mixed.out
    shutil.copytree(tmp_path / "own", tmp_path / "other/set")
    assert train(*own[:1], "data.path=other/set", *own[2:], "data.test_fraction=0.2", "sweep=crossed").code == 0
    both = report("runs=outputs/crossed", "protocol=last", "figures=[]", "page=false").out
    assert both.count("### folder own, labels as given") == both.count("### folder set, labels as given") == 1


def test_a_table_without_a_number_says_so_and_has_no_figure(report, tmp_path):
    for data in ("cifar10", "own"):
        folder = write_run(tmp_path / "outputs", "study", data=data)
        if data == "own":
            result = json.loads((folder / "result.json").read_text())
            for entry in result["protocol"].values():
                del entry["test"]
            (folder / "result.json").write_text(json.dumps(result))
    outcome = report("runs=outputs/study", "page=false")
    assert outcome.code == 0, outcome.err
    assert "\n\n–: run, but without this number. " in outcome.out
    names = {path.name for path in (tmp_path / "outputs/reports/study/figures").iterdir()}
    assert names == {f"time-cifar10-symmetric-noise-cnn.{kind}" for kind in ("png", "svg")}


def test_real_runs_make_a_report(train, report):
    arguments = ["data=digits", "model=mlp_1x512", "trainer.max_epochs=2", "noise.rate=0.2,0.4", "loss=ce,gce"]
    assert train("-m", *arguments).code == 0
    outcome = report("runs=outputs/runs")
    assert outcome.code == 0, outcome.err
    table = cells(outcome.root / "outputs/reports/runs/tables/test-accuracy-digits-symmetric-noise-mlp_1x512-last.csv")
    for path in (outcome.root / "outputs/runs").rglob("result.json"):
        result = json.loads(path.read_text())
        cell = table.loc[(result["loss"], result["noise"]["rate"])]
        assert cell["mean"] == pytest.approx(result["protocol"]["last"]["test"]["accuracy"])
    assert len(list((outcome.root / "outputs/reports/runs/figures").glob("*.png"))) == 8
