"""``python -m lnl.evaluate`` as a user runs it: its numbers, its files, its refusals."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from sklearn.metrics import classification_report
from torchvision.transforms.v2.functional import resize

from lnl.config import factory
from tests.conftest import UNLEARNS, weights
from tests.generated import write_cifar, write_mnist


def record(folder, name="digits-last"):
    return json.loads((folder / f"evaluations/{name}.json").read_text())


@pytest.mark.parametrize("protocol", ["last", "noisy_val_best"])
def test_a_run_on_its_own_test_set_has_the_numbers_of_its_result(trained, evaluate, protocol):
    run = trained(*UNLEARNS, "noise.rate=0.5", "data.test_subset=200", "seed=3")
    before = (run.folder / "result.json").read_bytes()
    outcome = evaluate(f"runs={run.folder}", f"protocol={protocol}")
    assert outcome.code == 0, outcome.err
    expected = run.result["protocol"][protocol]
    made = record(run.folder, f"digits-{protocol}")
    assert made["test"] == expected["test"]
    assert made["epoch"] == expected["epoch"]
    assert made["identity"] == run.result["identity"]
    assert made["data"]["samples"] == 200
    assert f"accuracy {expected['test']['accuracy']:.2%}" in outcome.out
    assert (run.folder / "result.json").read_bytes() == before


def test_the_report_is_scikit_learns(trained, evaluate):
    folder = trained().folder
    outcome = evaluate(f"runs={folder}")
    table = pd.read_csv(folder / "predictions.csv")
    expected = classification_report(table["label"], table["predicted"], digits=4, zero_division=0)
    assert (folder / "evaluations/digits-last.txt").read_text() == expected
    assert expected in outcome.out


def test_it_leaves_nothing_else_behind(trained, evaluate):
    run = trained()
    before = {path for path in run.root.rglob("*") if path.is_file()}
    evaluate(f"runs={run.folder}")
    after = {path for path in run.root.rglob("*") if path.is_file()}
    assert {path.name for path in after - before} == {"digits-last.json", "digits-last.txt"}


def test_a_run_is_what_it_was_whatever_conf_says_today(trained, evaluate):
    """The model is built of result.json: its width is not the default's, its loss has a value of its own."""
    run = trained("model=mlp_1x512", "model.width=37", "loss=gce", "loss.q=0.3")
    outcome = evaluate(f"runs={run.folder}")
    assert outcome.code == 0, outcome.err
    assert record(run.folder)["test"] == run.result["protocol"]["last"]["test"]


def test_another_dataset_comes_with_the_size_and_normalisation_of_the_run(train, evaluate, tmp_path, monkeypatch):
    """A colour run of 32x32 on grey images of 28x28, against Pillow's interpolation and a plain forward pass."""
    root = tmp_path / "data"
    write_cifar(root, monkeypatch)
    write_mnist(root, "MNIST")
    rng = np.random.default_rng(1)
    images = root / "MNIST/raw/t10k-images-idx3-ubyte"
    pixels = rng.integers(0, 256, (10_000, 28, 28), dtype=np.uint8)
    images.write_bytes(images.read_bytes()[:16] + pixels.tobytes())
    mean, std = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    options = [
        f"data.mean={mean}",
        f"data.std={std}",
        "noise=asymmetric",
        "noise.mapping={cat: dog}",
        "model=mlp_1x512",
    ]
    run = train(*options, f"paths.data_dir={root}", "trainer.max_epochs=1", "trainer.precision=32-true")
    assert run.code == 0, run.err
    outcome = evaluate(f"runs={run.folder}", "data=mnist", f"paths.data_dir={root}")
    assert outcome.code == 0, outcome.err
    assert "numbers are matched" in outcome.out

    model = factory("model", OmegaConf.create(run.result["config"]["model"]))()
    model.load_state_dict({name.removeprefix("model."): value for name, value in weights(run.folder).items()})
    resized = [np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)) for image in pixels]
    large = resize(torch.from_numpy(pixels)[:, None], [32, 32])
    # Either rounds after each of two passes; which way depends on the processor.
    np.testing.assert_allclose(large[:, 0].int(), np.stack(resized).astype(int), atol=2)
    scaled = (large.float().repeat(1, 3, 1, 1) / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(
        3, 1, 1
    )
    with torch.no_grad():
        predicted = model.eval()(scaled).argmax(dim=1).numpy()
    labels = np.frombuffer((root / "MNIST/raw/t10k-labels-idx1-ubyte").read_bytes()[8:], dtype=np.uint8)
    matrix = np.asarray(record(run.folder, "mnist-last")["test"]["confusion_matrix"])
    expected = np.zeros((10, 10), dtype=int)
    np.add.at(expected, (labels, predicted), 1)
    assert len(set(predicted)) > 3
    np.testing.assert_array_equal(matrix, expected)
    assert record(run.folder, "mnist-last")["data"]["same_classes"] is False


def test_held_out_trusted_samples_are_a_split(trained, evaluate):
    run = trained("data.trusted=300", "data.trusted_test=90")
    outcome = evaluate(f"runs={run.folder}", "split=trusted_test")
    assert outcome.code == 0, outcome.err
    made = record(run.folder, "digits-last-trusted_test")
    assert made["test"] == run.result["protocol"]["last"]["trusted_test"]
    assert made["data"]["samples"] == 90


def test_a_method_with_state_and_trusted_samples_goes_to_other_data(trained, evaluate, tmp_path):
    """Other data has neither the training set that the state is of, nor trusted samples."""
    write_mnist(tmp_path / "data", "MNIST")
    run = trained("method=label_correction", "data.trusted=300", "method.stage1_epochs=1")
    outcome = evaluate(f"runs={run.folder}", "data=mnist", f"paths.data_dir={tmp_path / 'data'}")
    assert outcome.code == 0, outcome.err
    assert record(run.folder, "mnist-last")["data"]["samples"] == 10_000


def test_several_runs_side_by_side(digits, evaluate, tmp_path):
    runs = digits("-m", "loss=ce,gce", "seed=0,1")
    outcome = evaluate("runs=outputs/runs", "output=side.csv")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(tmp_path / "side.csv")
    assert set(table.columns) == {
        "index",
        "label",
        *(f"{loss} seed {seed}" for loss in ("ce", "gce") for seed in (0, 1)),
    }
    for folder in runs.folders:
        result = json.loads((folder / "result.json").read_text())
        alone = pd.read_csv(folder / "predictions.csv")
        assert table["index"].tolist() == alone["index"].tolist()
        assert table["label"].tolist() == alone["label"].tolist()
        assert table[f"{result['loss']} seed {result['seeds']['seed']}"].tolist() == alone["predicted"].tolist()


def test_columns_can_be_named_and_runs_listed(digits, evaluate, tmp_path):
    first, second = digits("-m", "loss=ce,gce").folders
    outcome = evaluate(f"runs=[{second},{first}]", "output=side.csv", "names=[Baseline,Model I]")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(tmp_path / "side.csv")
    assert table.columns.tolist() == ["index", "label", "Baseline", "Model I"]
    assert table["Baseline"].tolist() == pd.read_csv(second / "predictions.csv")["predicted"].tolist()
    assert table["Model I"].tolist() == pd.read_csv(first / "predictions.csv")["predicted"].tolist()


def test_runs_alike_but_for_a_value_are_named_by_their_folders(digits, evaluate, tmp_path):
    folders = digits("-m", "optimizer.lr=0.01,0.02").folders
    evaluate("runs=outputs/runs/*", "output=side.csv")
    assert set(pd.read_csv(tmp_path / "side.csv").columns) == {"index", "label", *(folder.name for folder in folders)}


def test_a_forced_run_has_no_evaluations_of_the_one_before(digits, evaluate):
    folder = digits().folder
    evaluate(f"runs={folder}")
    digits("force=true")
    assert not (folder / "evaluations").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["runs=outputs/"]),
        (["runs=nowhere"], ["no folder nowhere"]),
        (["runs=nowhere/*"], ["no folder nowhere/*"]),
        (["runs=empty"], ["empty is not a run folder", "result.json"]),
        (["runs=[RUN,empty]"], ["empty is not a run folder", "result.json"]),
        (["run=RUN"], ["no 'run' in the configuration", "did you mean 'runs'?"]),
        (["runs=RUN", "protocol=best"], ["last, noisy_val_best, clean_val_best or label_wave", "best"]),
        (["runs=RUN", "split=train"], ["split must be one of test", "train"]),
        (["runs=RUN", "data=mnis"], ["no option 'mnis'", "did you mean 'mnist'"]),
        (["runs=RUN", "data=cifar100"], ["cifar100 has 100 classes", "trained on 10"]),
        (["runs=RUN", "data.test_subset=5"], ["data.test_subset", "data=NAME"]),
        (["runs=RUN", "data=mnist", "data.image_size=5"], ["data.image_size", "when the run was trained"]),
        (["runs=RUN", "trainer.accelerator=gpus"], ["trainer", "gpus"]),
        (["runs=RUN", "trainer.precision=64"], ["trainer.precision", "bf16-mixed"]),
        (["runs=RUN", "output=a.csv", "names=[a,b]"], ["2 names for 1 runs"]),
        (["runs=RUN", "output=a.csv", "names=[label]"], ["unique", "label"]),
        (["runs=RUN", "output=no/where.csv"], ["no folder no"]),
        (["runs=RUN", "protocl=last"], ["no 'protocl'", "did you mean 'protocol'"]),
    ],
)
def test_a_mistake_is_explained(trained, evaluate, tmp_path, arguments, words):
    folder = trained().folder
    (tmp_path / "empty").mkdir()
    outcome = evaluate(*(argument.replace("RUN", str(folder)) for argument in arguments))
    assert outcome.code == 1
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 2
    assert not (folder / "evaluations").exists()


def test_what_a_run_lacks_is_named(digits, evaluate):
    folder = digits().folder
    (folder / "checkpoints/last.ckpt").unlink()
    assert "no checkpoint at" in evaluate(f"runs={folder}").err
    assert evaluate(f"runs={folder}", "protocol=noisy_val_best").code == 0
    (folder / "result.json").unlink()
    assert "is not finished" in evaluate(f"runs={folder}").err
    (folder / "result.json").write_text('{"accuracy": 1}')
    assert "not the result of a run" in evaluate(f"runs={folder}").err


def test_runs_on_different_test_sets_are_not_put_side_by_side(digits, evaluate, tmp_path):
    digits("data.test_subset=50")
    digits("data.test_subset=60")
    outcome = evaluate("runs=outputs/runs", "output=side.csv")
    assert outcome.code == 1
    assert "one test set" in outcome.err
    assert "50 images" in outcome.err
    assert "60 images" in outcome.err
    assert not (tmp_path / "side.csv").exists()


def test_a_run_can_be_moved(trained, evaluate, tmp_path):
    run = trained()
    expected = run.result["protocol"]["last"]["test"]
    shutil.move(run.folder, tmp_path / "moved")
    assert evaluate("runs=moved").code == 0
    assert record(tmp_path / "moved")["test"] == expected


def test_help_is_this_commands_and_loads_no_torch():
    code = "import runpy, sys; sys.argv = ['lnl.evaluate', '--help']\n"
    code += "try: runpy.run_module('lnl.evaluate', run_name='__main__')\nfinally: print('torch' in sys.modules)"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "names=[A,B,C]" in text
    assert "mnist, table, tf_flowers" in text
    assert "noise:" not in text
    assert text.strip().endswith("False")


def test_a_cross_validated_run_is_evaluated_fold_by_fold_and_needs_no_label_file(digits, evaluate, tmp_path):
    np.save(tmp_path / "labels.npy", np.arange(1438) % 10)
    run = digits("data.folds=2", "noise=file", "noise.path=labels.npy")
    (tmp_path / "labels.npy").unlink()  # what was trained on is in the past
    parent = next(folder for folder in run.folders if not folder.name.startswith("fold"))
    outcome = evaluate(f"runs={parent}")
    assert outcome.code == 0, outcome.err
    for fold in (parent / "fold1", parent / "fold2"):
        result = json.loads((fold / "result.json").read_text())
        assert record(fold)["test"] == result["protocol"]["last"]["test"]
