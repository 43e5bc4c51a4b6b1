"""``python -m lnl.evaluate`` on a user's own data: that of the run, and other data, new or in part known to the run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.commands.test_own_data import SMALL
from tests.datasets.own import picture, write_folder, write_table


def records(folder: Path) -> dict[str, dict]:
    """What the evaluations of a run say of their data, by the names of their files."""
    return {path.name: json.loads(path.read_text())["data"] for path in folder.glob("evaluations/*.json")}


def array(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def run(train, trained, tmp_path):
    """A run folder: of 60 pictures in ``own``, 38 were trained on, 10 validated on, and 12 held out."""
    if not (trained / "own").exists():
        write_folder(tmp_path / "own", 20)
        assert train("data=folder", "data.path=own", *SMALL).code == 0
        shutil.copytree(tmp_path, trained, dirs_exist_ok=True)
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return next(tmp_path.glob("outputs/runs/*"))


@pytest.fixture
def ask(evaluate, run):
    """Evaluates the run: what the new record says of its data, or the error."""

    def new(*arguments):
        before = records(run)
        outcome = evaluate(f"runs={run}", *arguments, "output=side.csv")
        after = records(run)
        assert before.items() <= after.items()  # no evaluation replaces another
        if outcome.code:
            assert before == after
            assert len(outcome.err.strip().splitlines()) <= 2
            return outcome.err
        (name,) = after.keys() - before.keys()
        seen = sum((after[name]["left_out"] or {}).values())
        said = f"{seen} of {seen + after[name]['samples']} images are left out: {run} was trained on"
        assert (said in outcome.out) == bool(seen)
        return after[name]

    return new


def test_new_data_is_tested_whole_unless_it_says_what_is_for_testing(ask, tmp_path):
    held_out = ask()
    assert (held_out["name"], held_out["samples"], held_out["left_out"]) == ("folder", 12, None)
    write_folder(tmp_path / "new", 10, first=50)
    assert ask("data=folder", "data.path=new")["samples"] == 30
    assert ask("data=folder", "data.path=new", "data.test_fraction=0.5")["samples"] == 15
    assert "no sample is left for testing" in ask("data=folder", "data.path=new", "data.test_fraction=0")
    for number, (splits, samples) in enumerate((("train val", 18), ("val", 9), ("test", 9), ("train test", 9))):
        for place, split in enumerate(splits.split()):
            write_folder(tmp_path / splits, 3, split=split, first=100 * number + 50 * place + 100)
        assert ask("data=folder", f"data.path='{splits}'")["samples"] == samples
    assert pd.read_csv(tmp_path / "side.csv")["file"].str.startswith("test/").all()


def test_a_table_and_arrays_for_testing_alone_are_tested_whole(ask, tmp_path):
    path = write_table(tmp_path / "new", header="file,label,split", per_class=5, first=50)
    text = path.read_text()
    for split, more in (("test", []), ("val", ["data.classes=[owl,cat,dog]"])):
        path.write_text(text.replace(",\n", f",{split}\n"))
        assert ask("data=table", "data.path=new/labels.csv", *more)["samples"] == 15
    images = np.stack([array(file) for file in sorted((tmp_path / "new").rglob("*.png"))])[:12]
    np.savez("new.npz", test_images=images, test_labels=np.repeat(["cat", "dog", "owl"], [5, 5, 2]))
    assert ask("data=arrays", "data.path=new.npz")["samples"] == 12
    assert pd.read_csv("side.csv")["file"].tolist() == [f"sample {place}" for place in range(12)]


def test_what_was_trained_or_validated_on_is_known_by_its_pixels(ask, run, tmp_path):
    """Under another name and path, in another format, read from its file in each epoch, and as an array."""
    predictions = pd.read_csv(run / "predictions.csv")
    held_out = set(predictions["file"])
    assert [file.split("/")[0] for file in predictions["file"]] == [
        ("cat", "dog", "owl")[label] for label in predictions["label"]
    ]
    everything = [path.relative_to(tmp_path / "own").as_posix() for path in sorted((tmp_path / "own").rglob("*.png"))]
    left_out = {"trained_on": 38, "validated_on": 10}
    for place in ("copy", "bitmaps"):
        for file in everything:
            target = tmp_path / place / file.replace(".png", "-again.bmp" if place == "bitmaps" else "-again.png")
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.open(tmp_path / "own" / file).save(target)
        made = ask("data=folder", f"data.path={place}", "data.cache_limit_gb=0" if place == "bitmaps" else "seed=1")
        assert (made["samples"], made["left_out"]) == (12, left_out)
        named = pd.read_csv(tmp_path / "side.csv")["file"]
        assert {f"{name.partition('-again')[0]}.png" for name in named} == held_out
    images, labels = np.stack([array(tmp_path / "own" / file) for file in everything]), [f[:3] for f in everything]
    np.savez("own.npz", images=images[::-1], labels=labels[::-1])
    assert ask("data=arrays", "data.path=own.npz")["left_out"] == left_out
    known = [place for place, file in enumerate(everything) if file not in held_out]
    np.savez("known.npz", images=images[known], labels=np.array(labels)[known])
    refused = ask("data=arrays", "data.path=known.npz")
    assert "none of 48 images is left to test on" in refused
    assert "was trained on 38 of them and validated on 10" in refused


def test_a_test_set_that_the_data_names_is_what_it_names_but_for_what_was_trained_on(ask, run, tmp_path):
    header = ["file,label,split"]
    files = sorted(path.relative_to(tmp_path / "own").as_posix() for path in (tmp_path / "own").rglob("*.png"))
    (tmp_path / "a.csv").write_text("\n".join(header + [f"{file},{file[:3]},test" for file in files[::2]]) + "\n")
    held_out = set(pd.read_csv(run / "predictions.csv")["file"])
    made = ask("data=table", "data.path=a.csv", "data.root=own")
    assert made["samples"] == len(held_out & set(files[::2]))
    assert sum(made["left_out"].values()) == 30 - made["samples"]


def test_a_run_on_its_own_data_cut_otherwise_or_grown(ask, run, evaluate, tmp_path):
    result = json.loads((run / "result.json").read_text())
    (tmp_path / "own").rename(tmp_path / "moved")  # is the same data: what was held out is what the run has not seen
    made = ask("data=folder", "data.path=moved")
    assert (made["samples"], made["left_out"]) == (12, {"trained_on": 38, "validated_on": 10})
    (moved,) = run.glob("evaluations/folder-moved-*.json")
    assert json.loads(moved.read_text())["test"] == result["protocol"]["last"]["test"]
    (tmp_path / "moved").rename(tmp_path / "own")
    assert ask("data=folder", "data.path=own", "data.classes=[owl,cat,dog]")["samples"] == 12
    some = evaluate(f"runs={run}", "data=folder", "data.path=own", "data.test_subset=5").out
    assert "test, 5 images" in some  # of the 12
    assert "48 of 60 images are left out" in some
    write_folder(tmp_path / "own", 3, first=50)
    refused = ask()  # which samples would be held out is another question now
    assert refused.startswith(f"error: the data has changed since {run} was trained")
    assert "name other samples by data=NAME" in refused
    assert ask("data=folder", "data.path=own")["samples"] == 12 + 9


@pytest.mark.parametrize("option", ["data.folds=2", "data.subset=20"])
def test_a_run_is_not_tested_on_what_it_was_trained_on(train, evaluate, tmp_path, option):
    write_folder(tmp_path / "own", 20)
    folder = train("data=folder", "data.path=own", option, *SMALL).folders[-1]
    seen = np.load(folder / "seen.npz")
    count = len(seen["train"]) + len(seen["val"])
    assert count == {"data.folds=2": 60, "data.subset=20": 30}[option]
    outcome = evaluate(f"runs={folder}", "data=folder", "data.path=own", "data.classes=[owl,cat,dog]")
    if count == 60:
        assert "is left to test on" in outcome.err
        assert "has no test set; data=NAME" in evaluate(f"runs={folder}").err
    else:
        assert outcome.code == 0, outcome.err
        assert f"{60 - count} images, last epoch" in outcome.out


def test_a_test_set_that_the_data_names_may_grow(train, evaluate, tmp_path):
    write_folder(tmp_path / "own", 10, split="train")
    write_folder(tmp_path / "own", 4, split="test", first=50)
    folder = train("data=folder", "data.path=own", "data.test_fraction=0", *SMALL).folder
    assert "12 images" in evaluate(f"runs={folder}", "data=folder", "data.path=own").out
    picture(tmp_path / "own/train/cat/new.png", "cat", 99)
    picture(tmp_path / "own/test/dog/new.png", "dog", 98)
    assert "13 images" in evaluate(f"runs={folder}").out
    assert "13 images" in evaluate(f"runs={folder}", "data=folder", "data.path=own", "data.classes=[owl,dog,cat]").out
    shutil.copy(tmp_path / "own/train/cat/cat3.png", tmp_path / "own/test/cat/moved.png")
    outcome = evaluate(f"runs={folder}")
    assert "13 images" in outcome.out
    assert "1 of 14 images is left out" in outcome.out
    assert len(records(folder)) == 3  # before it grew, and in both orders of the classes since


def test_classes_in_another_order_are_the_same_classes(train, evaluate, tmp_path):
    write_folder(tmp_path / "own", 20)
    write_folder(tmp_path / "other", 5, first=50)
    folder = train("data=folder", "data.path=own", *SMALL, "trainer.max_epochs=15").folder
    for order in ("[cat,dog,owl]", "[owl,cat,dog]"):
        ask = ("data=folder", "data.path=other", f"data.classes={order}")
        outcome = evaluate(f"runs={folder}", *ask, "output=side.csv")
        assert "numbers are matched" not in outcome.out
        table = pd.read_csv(tmp_path / "side.csv")
        assert (table["label"] == table.iloc[:, 3]).all()
    for path in folder.glob("evaluations/*.json"):
        made = json.loads(path.read_text())
        assert made["data"]["same_classes"]
        assert np.array(made["test"]["confusion_matrix"]).diagonal().tolist() == [5, 5, 5]
    assert len(records(folder)) == 2


def test_some_of_the_classes_are_asked_for_by_their_names(ask, tmp_path):
    write_folder(tmp_path / "two", 4, classes=("cat", "dog"), first=50)
    refused = ask("data=folder", "data.path=two")
    assert "folder has 2 classes (cat, dog), but" in refused
    assert "data.classes=[cat,dog,owl]" in refused
    assert ask("data=folder", "data.path=two", "data.classes=[cat,dog,owl]")["samples"] == 8


def test_an_older_run_says_that_it_does_not_know_what_it_was_trained_on(run, evaluate, tmp_path):
    (run / "seen.npz").unlink()
    write_folder(tmp_path / "new", 4, first=50)
    outcome = evaluate(f"runs={run}", "data=folder", "data.path=new")
    assert "12 images" in outcome.out
    assert "whether some of these are among those that it was trained on is not known" in outcome.out
    assert "12 images" in evaluate(f"runs={run}").out
    refused = evaluate(f"runs={run}", "data=folder", "data.path=own", "data.test_fraction=0.5")
    assert "has no seen.npz" in refused.err


def test_a_benchmark_is_known_in_a_users_files_whatever_its_pixels_became(digits, evaluate, tmp_path):
    """The run's images were shuffled and made larger; what is looked at are those before that."""
    outcome = digits("corruption=shuffled_pixels", "model=mlp_1x512", "data.trusted=50", "trainer.max_epochs=1")
    everything = load_digits()
    images = np.round(everything.images * (255 / 16)).astype(np.uint8)
    assert "file" not in pd.read_csv(outcome.folder / "predictions.csv")
    np.savez("digits.npz", images=images, labels=everything.target)
    outcome = evaluate(f"runs={outcome.folder}", "data=arrays", "data.path=digits.npz")
    assert len({image.tobytes() for image in images}) == len(images) == 1797
    assert "test, 359 images" in outcome.out, outcome.err
    assert "1,438 of 1,797 images are left out" in outcome.out
