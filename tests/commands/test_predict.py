"""``python -m lnl.predict`` as a user runs it: its numbers, its files, its refusals."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import DATA_DIR, UNLEARNS, needs_flowers

CLASSES = [str(digit) for digit in range(10)]


@pytest.fixture
def pictures(tmp_path):
    """The test images of digits 0 to 39 as files in folders, and their names in the test set's order."""
    from lnl.data import Digits, Form

    folder = tmp_path / "photos"
    test = Digits().source.read(Form())
    names = []
    for number, (image, label) in enumerate(zip(test.test_images[:40], test.test_labels, strict=False)):
        names.append(f"{label}/{number}.png")
        path = folder / names[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    return names


def probabilities(table):
    return table[[f"p_{name}" for name in CLASSES]].to_numpy()


@pytest.mark.parametrize("options", [[], ["data.normalize=per_image"]])
def test_files_get_the_probabilities_that_the_run_gave_the_same_images(trained, predict, pictures, tmp_path, options):
    run = trained("trainer.max_epochs=3", *options)
    before = {path for path in run.folder.rglob("*")}
    outcome = predict(f"run={run.folder}", "images=photos", "batch_size=7")
    assert outcome.code == 0, outcome.err
    assert "40 pictures predicted" in outcome.out
    made = pd.read_csv(tmp_path / "predictions.csv", dtype={"predicted": str}).set_index("file").loc[pictures]
    own = pd.read_csv(run.folder / "predictions.csv")[:40]
    np.testing.assert_allclose(probabilities(made), probabilities(own), atol=2e-6)
    assert len(set(made["predicted"])) > 3
    assert made["predicted"].tolist() == own["predicted"].astype(str).tolist()
    assert made["error"].isna().all()
    assert {path for path in run.folder.rglob("*")} == before
    assert not list(tmp_path.glob(".predictions*"))


def test_the_chosen_epoch_is_another_prediction(trained, predict, pictures, tmp_path):
    run = trained(*UNLEARNS)
    chosen = run.result["protocol"]["noisy_val_best"]["epoch"]
    assert chosen < 2
    for protocol in ("last", "noisy_val_best"):
        outcome = predict(f"run={run.folder}", "images=photos", f"protocol={protocol}", f"output={protocol}.csv")
        assert outcome.code == 0, outcome.err
    assert f"best epoch ({chosen + 1})" in outcome.out
    last, best = (probabilities(pd.read_csv(tmp_path / f"{name}.csv")) for name in ("last", "noisy_val_best"))
    assert np.abs(last - best).max() > 0.01


def test_the_folder_is_all_that_is_read_of_a_run(trained, predict, pictures, tmp_path, monkeypatch):
    """Moved elsewhere, with its dataset gone, and of another model than conf/ would make."""
    run = trained("model=mlp_1x512", "model.width=37", "seed=5")
    run.folder.rename(tmp_path / "moved")
    monkeypatch.setattr("lnl.datasets.digits.load_digits", None)
    outcome = predict("run=moved", "images=photos")
    assert outcome.code == 0, outcome.err


def test_pictures_of_any_kind_are_brought_to_what_the_model_takes(trained, predict, tmp_path):
    """A colour picture of another shape, next to the same made grey and small by Pillow."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos/colour.PNG")
    small = Image.fromarray(pixels).convert("L").resize((8, 8), Image.Resampling.BILINEAR)
    small.save(tmp_path / "photos/small.bmp")
    outcome = predict(f"run={trained().folder}", "images=photos")
    assert outcome.code == 0, outcome.err
    made = probabilities(pd.read_csv(tmp_path / "predictions.csv"))
    np.testing.assert_array_equal(made[0], made[1])


def test_a_picture_a_table_a_list_and_several_of_them(trained, predict, pictures, tmp_path):
    run = f"run={trained().folder}"
    (tmp_path / "new.csv").write_text(
        "id,path\n1,photos/{}\n2, photos/{} \n3,photos/{}\n".format(*pictures[:2], pictures[0])
    )
    (tmp_path / "excel.csv").write_text("file;note\n{};a,b\n;\n{};\n".format(*pictures[6:8]))
    (tmp_path / "new.txt").write_text(f"{pictures[3]}\n\n{pictures[2]}\n")

    def files(*arguments):
        outcome = predict(run, *arguments)
        assert outcome.code == 0, outcome.err
        return pd.read_csv(tmp_path / "predictions.csv")["file"].tolist()

    assert files(f"images=photos/{pictures[5]}") == [f"photos/{pictures[5]}"]
    assert files("images=new.csv", "file_column=path") == [f"photos/{name}" for name in pictures[:2]]
    assert files("images=excel.csv", "root=photos") == pictures[6:8]
    assert files("images=new.txt", "root=photos") == [pictures[3], pictures[2]]
    both = files(f"images=[photos/1,photos/{pictures[0]}]")
    assert both == [*sorted(f"photos/{name}" for name in pictures if name.startswith("1/")), f"photos/{pictures[0]}"]


@pytest.mark.parametrize(("on_error", "code"), [("fail", 1), ("skip", 0)])
def test_what_cannot_be_read_is_named_and_nothing_else_is_lost(trained, predict, pictures, tmp_path, on_error, code):
    (tmp_path / "photos/empty.jpg").touch()
    (tmp_path / "photos/<b>.png").write_bytes(b"no picture")
    (tmp_path / "photos/loop.png").symlink_to("loop.png")
    (tmp_path / "photos/notes.md").write_text("not called like a picture")
    outcome = predict(f"run={trained().folder}", "images=photos", f"on_error={on_error}", "batch_size=2")
    assert outcome.code == code
    text = outcome.err if code else outcome.out
    assert "3 of 43" in text or "3 could not be read" in text
    for line in ("empty.jpg: it is empty", "<b>.png: it is no image", "loop.png: its symbolic link leads in a circle"):
        assert line in text
    assert "Traceback" not in outcome.err
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert len(table) == 43
    assert table["predicted"].notna().sum() == 40
    bad = table[table["error"].notna()]
    assert set(bad["file"]) == {"empty.jpg", "<b>.png", "loop.png"}
    assert bad["predicted"].isna().all()
    assert np.isnan(probabilities(bad)).all()


def test_a_name_that_is_no_text_comes_back_as_it_is(trained, predict, pictures, tmp_path):
    name = b"caf\xe9,\n.png"
    (tmp_path / "photos" / pictures[1]).rename(tmp_path / "photos/a\rb.png")
    (tmp_path / "photos").joinpath(pictures[0]).rename(
        (tmp_path / "photos").joinpath(name.decode(errors="surrogateescape"))
    )
    outcome = predict(f"run={trained().folder}", "images=photos")
    assert outcome.code == 0, outcome.err
    assert b'"caf\xe9,\n.png",' in (tmp_path / "predictions.csv").read_bytes()
    assert "a\rb.png" in pd.read_csv(tmp_path / "predictions.csv", encoding_errors="replace")["file"].tolist()


def test_memory_is_bounded_by_the_batch(trained, predict, tmp_path, monkeypatch):
    """No more than two batches of pictures are ever read and not yet written."""
    from lnl.trained import predicting as new_images

    (tmp_path / "photos").mkdir()
    for number in range(40):
        Image.new("L", (8, 8), number).save(tmp_path / f"photos/{number:02}.png")
    read, waiting = [0], []
    rows, picture = new_images._rows, new_images.read_in_form

    def counted(*arguments):
        read[0] += 1
        return picture(*arguments)

    def written(names, *arguments):
        waiting.append(read[0])
        read[0] -= len(names)
        return rows(names, *arguments)

    monkeypatch.setattr(new_images, "read_in_form", counted)
    monkeypatch.setattr(new_images, "_rows", written)
    assert predict(f"run={trained().folder}", "images=photos", "batch_size=4").code == 0
    assert len(waiting) == 10
    assert max(waiting) <= 8


MISTAKES = {
    "no run": (["images=photos"], "which run? run=outputs/<sweep>/<run>"),
    "runs": (["runs=RUN", "images=photos"], "did you mean 'run'?"),
    "empty list of runs": (["run=[]", "images=photos"], "which run?"),
    "run that is not there": (["run=nowhere", "images=photos"], "there is no folder nowhere"),
    "run that Hydra reads as a number": (["run=2024", "images=photos"], "there is no folder 2024"),
    "no run folder": (["run=photos", "images=photos"], "no finished run is in it"),
    "no images": (["run=RUN"], "which images? images=FOLDER"),
    "images that are not there": (["run=RUN", "images=nowhere"], "there is no nowhere"),
    "folder without pictures": (["run=RUN", "images=outputs"], "no picture is in outputs"),
    "column that is not there": (["run=RUN", "images=t.csv", "file_column=fiel"], "did you mean 'file'?"),
    "empty table": (["run=RUN", "images=t.csv"], "t.csv names no picture"),
    "protocol": (["run=RUN", "images=photos", "protocol=best"], "last, noisy_val_best, clean_val_best or label_wave"),
    "on_error": (["run=RUN", "images=photos", "on_error=ignore"], "on_error must be fail or skip"),
    "batch size": (["run=RUN", "images=photos", "batch_size=0"], "batch_size must be at least 1"),
    "option": (["run=RUN", "images=photos", "ouput=x.csv"], "did you mean 'output'?"),
    "device": (["run=RUN", "images=photos", "trainer.accelerator=abacus"], "trainer:"),
    "output": (["run=RUN", "images=photos", "output=t.csv/x.csv"], "cannot be written"),
    "output that is given": (["run=RUN", "images=names.csv", "output=names.csv"], "output=names.csv is one of images="),
    "output that is a picture": (["run=RUN", "images=.", "output=one.png"], "output=one.png is one of images="),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_explained(trained, predict, pictures, tmp_path, name):
    (tmp_path / "t.csv").write_text("file\n\n")
    (tmp_path / "one.png").write_bytes(b"")
    (tmp_path / "names.csv").write_text("file\nphotos/3/3.png\n")
    arguments, message = MISTAKES[name]
    run = trained("trainer.max_epochs=1").folder if "run=RUN" in arguments else None
    outcome = predict(*(argument.replace("RUN", str(run)) for argument in arguments))
    assert outcome.code == 1
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "predictions.csv").exists()


def test_nothing_readable_is_an_error_even_if_skipped(trained, predict, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").touch()
    outcome = predict(f"run={trained().folder}", "images=photos", "on_error=skip")
    assert outcome.code == 1
    assert "none of 1 pictures could be read" in outcome.err
    assert not (tmp_path / "predictions.csv").exists()


def test_folds_are_runs_of_their_own(trained, predict, pictures):
    run = trained("data.folds=2", "data.subset=200")
    folder = min(run.folders, key=lambda path: len(path.parts))
    for given in (folder, folder.parent):
        outcome = predict(f"run={given}", "images=photos")
        assert outcome.code == 1
        assert f"holds 2 runs; name one of them, such as run={folder}/fold1" in outcome.err
    assert predict(f"run={folder}/fold2", "images=photos").code == 0


def test_a_run_on_corrupted_images_says_nothing_of_others(trained, predict, pictures):
    outcome = predict(f"run={trained('corruption=shuffled_pixels').folder}", "images=photos")
    assert outcome.code == 1
    assert "corruption=shuffled_pixels" in outcome.err


@needs_flowers
@pytest.mark.slow
def test_photographs_are_cut_as_the_flowers_were(train, predict, tmp_path):
    small = ["data.subset=200", "data.image_size=32", "trainer.max_epochs=1", "trainer.precision=32-true"]
    run = train("data=tf_flowers", f"paths.data_dir={DATA_DIR}", *small)
    assert run.code == 0, run.err
    from lnl.datasets.flowers import TFFlowers
    from lnl.labels.labels import stratified_choice

    source = TFFlowers(DATA_DIR)
    files = [source.folder / name for name in source.photos()]
    labels = np.unique([path.parent.name for path in files], return_inverse=True)[1]
    test = stratified_choice(labels, round(0.2 * len(files)), np.random.default_rng(0))[::20]
    (tmp_path / "new.txt").write_text("\n".join(str(files[number]) for number in test))
    outcome = predict(f"run={run.folder}", "images=new.txt")
    assert outcome.code == 0, outcome.err
    columns = [f"p_{name}" for name in run.result["data"]["classes"]]
    made = pd.read_csv(tmp_path / "predictions.csv")[columns]
    own = pd.read_csv(run.folder / "predictions.csv")[columns][::20]
    np.testing.assert_allclose(made, own, atol=2e-6)
