"""Published sets in miniature: what is read from their owners' layout, and what is said of one that is not whole."""

import numpy as np
import pytest
from PIL import Image

import lnl.data
from lnl.data import Form
from lnl.datasets.animal10n import Animal10N
from lnl.datasets.clothing1m import Clothing1M
from lnl.datasets.food101n import Food101N
from lnl.datasets.tiny_imagenet import TinyImageNet
from lnl.datasets.webvision import WebVision, WebVisionImageNet
from lnl.errors import UserError
from lnl.noise import FileNoise, SymmetricNoise
from tests.datasets.published_copies import COPIES, PARTS, picture, write_clothing1m, write_lines

SETS = {
    "clothing1m": Clothing1M,
    "webvision": WebVision,
    "webvision_imagenet": WebVisionImageNet,
    "animal10n": Animal10N,
    "food101n": Food101N,
    "tiny_imagenet": TinyImageNet,
}
FORM = Form(image_size=8)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Writes a set's copy, and returns its root and its source."""

    def make(name, **options):
        root = COPIES[name](tmp_path / "data", monkeypatch)
        return root, SETS[name](data_dir=tmp_path / "data", cache_dir=tmp_path / "cache", **options)

    return make


def told(images):
    """The label and the part that pictures tell of themselves."""
    pixels = images[:, 4, 4]
    return pixels[:, 0].tolist(), [PARTS[part] for part in pixels[:, 1]]


@pytest.mark.parametrize(
    ("name", "count", "tested", "classes"),
    [
        ("clothing1m", 56, 14, ["Garment 0", "Garment 1"]),
        ("webvision", 100, 50, ["thing 0", "thing 1"]),
        ("webvision_imagenet", 100, 50, ["thing 0", "thing 1"]),
        ("animal10n", 40, 10, ["cat", "lynx"]),
        ("food101n", 202, 101, ["dish_0", "dish_1"]),
        ("tiny_imagenet", 400, 200, ["crane, bird", "crane, machine", "thing 2"]),
    ],
)
def test_every_picture_has_the_label_of_the_lists(copy, name, count, tested, classes):
    root, source = copy(name)
    dataset = source.read(FORM)
    labels, parts = told(dataset.images)
    assert dataset.labels.given.tolist() == labels
    assert parts == ["train"] * count
    labels, parts = told(dataset.test_images)
    assert dataset.test_labels.tolist() == labels
    assert parts == ["imagenet" if name == "webvision_imagenet" else "test"] * tested
    assert list(dataset.labels.classes[: len(classes)]) == classes
    assert (dataset.val, dataset.clean_val, len(dataset.labels.trusted)) == (None, False, 0)
    for names, images in ((dataset.labels.names, dataset.images), (dataset.test_names, dataset.test_images)):
        assert (np.asarray(Image.open(root / names[-1])) == images[-1]).all()
    assert dataset.originals[0] == root / dataset.labels.names[0]


@pytest.mark.parametrize("name", SETS)
def test_only_labels_that_are_taken_to_be_right_are_true(copy, name):
    labels = copy(name)[1].read(FORM).labels
    if name == "tiny_imagenet":
        assert labels.truth is labels.given
    else:
        assert labels.truth is None
        assert labels.noise.kind == "given"


@pytest.mark.parametrize("limit", [8.0, 0.0])
def test_pictures_are_streamed_if_they_take_too_much_room(copy, limit):
    dataset = copy("animal10n", cache_limit_gb=limit)[1].read(FORM)
    assert isinstance(dataset.images, np.ndarray) == (limit > 0)
    assert told(dataset.images[np.arange(40)])[0] == dataset.labels.given.tolist()


def test_published_counts_add_up():
    """Totals and counts per class that the owners and papers give."""
    clothing = Clothing1M.counts
    assert sum(clothing[f"clean_{part}"] for part in ("train", "val", "test")) == 72_409
    assert clothing["noisy_train"] == 1_037_497 - 37_497  # noisy labels that there are, and those of clean pictures
    assert WebVision.counts["test"] == 50 * 50
    assert Food101N.counts["test"] == 101 * 250
    assert (TinyImageNet.counts["train"], TinyImageNet.counts["test"]) == (200 * 500, 200 * 50)
    assert sum(Animal10N.counts.values()) == 55_000


# Clean labels


def clothing(tmp_path, **options):
    return lnl.data.Clothing1M(data_dir=tmp_path, cache_dir=tmp_path / "cache", image_size=8, **options)


def test_clean_validation_is_the_owners(tmp_path, monkeypatch):
    write_clothing1m(tmp_path, monkeypatch)
    data = clothing(tmp_path, val="clean")
    data.setup()
    assert data.val_best == "clean_val_best"
    for split, part, count in (("train", "train", 56), ("val", "val", 14), ("test", "test", 14)):
        assert told(data.images(split))[1] == [part] * count
    assert told(data.images("val"))[0] == data.given[data.splits["val"]].tolist()


def test_by_default_validation_labels_are_as_noisy_as_the_others(tmp_path, monkeypatch):
    write_clothing1m(tmp_path, monkeypatch)
    data = clothing(tmp_path, val_fraction=0.25)
    data.setup()
    assert data.val_best == "noisy_val_best"
    assert told(data.images("val"))[1] == ["train"] * 14
    assert np.bincount(data.given[data.splits["val"]]).tolist() == [1] * 14


def test_pictures_with_right_labels_can_be_trusted_samples(tmp_path, monkeypatch):
    write_clothing1m(tmp_path, monkeypatch)
    data = clothing(tmp_path, clean_train=True, val="clean")
    data.setup()
    assert told(data.clean.images["train"][data.trusted.index]) == (list(range(14)), ["clean_train"] * 14)
    assert data.trusted.labels.tolist() == list(range(14))
    assert sorted(told(data.images("train"))[1]) == ["clean_train"] * 14 + ["train"] * 56


def test_verified_pictures_of_food101n_can_be_trusted_samples(copy):
    dataset = copy("food101n", verified=True)[1].read(FORM)
    assert dataset.labels.trusted.index.tolist() == list(range(3, 202, 6))  # one with a verdict is not in the set
    np.testing.assert_array_equal(dataset.labels.trusted.labels, dataset.labels.given[3::6])


def test_noise_does_not_touch_clean_validation_labels(tmp_path, monkeypatch):
    write_clothing1m(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"noise=symmetric would change .* clean validation set: data\.val=noisy"):
        clothing(tmp_path, val="clean", noise=SymmetricNoise(0.9)).setup()
    clean = clothing(tmp_path, val="clean")
    clean.setup()
    labels = clean.given.copy()
    labels[clean.splits["train"]] = 3
    np.save(tmp_path / "labels.npy", labels)
    data = clothing(tmp_path, val="clean", noise=FileNoise(tmp_path / "labels.npy"))
    data.setup()
    assert set(data.given[data.splits["train"]]) == {3}


def test_folds_do_not_mix_clean_labels_with_noisy_ones(tmp_path, monkeypatch):
    write_clothing1m(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"data\.folds would train on the clean validation set"):
        clothing(tmp_path, val="clean", folds=2).setup()


def test_what_is_read_is_part_of_the_key():
    ways = [{}, {"val": "clean"}, {"clean_train": True}]
    assert len({Clothing1M(**way).key() for way in ways}) == 3
    assert Clothing1M(data_dir="here", cache_limit_gb=1).key() == Clothing1M(data_dir="there").key()
    with pytest.raises(ValueError, match=r"data\.val must be noisy or clean, got 'test'"):
        Clothing1M(val="test")


# Sets that are not whole


@pytest.mark.parametrize("name", SETS)
def test_a_set_that_is_not_there_says_where_it_is_from(tmp_path, name):
    source = SETS[name](data_dir=tmp_path / "nowhere")
    with pytest.raises(UserError) as caught:
        source.read(FORM)
    first, second = str(caught.value).splitlines()
    assert str(tmp_path / "nowhere") in first
    assert first.endswith("cannot be read: No such file or directory.")
    for part in (source.home, f"belongs in {tmp_path / 'nowhere'} as {source.folder}", "LNL_DATA_DIR"):
        assert part in second


def without_last(path):
    write_lines(path, path.read_text().splitlines()[:-1])


@pytest.mark.parametrize(
    ("name", "list_of", "message"),
    [
        ("clothing1m", "category_names_eng.txt", "has 13 classes, not 14"),
        ("clothing1m", "noisy_train_key_list.txt", "has 55 entries, not 56"),
        ("clothing1m", "clean_test_key_list.txt", "has 13 entries, not 14"),
        ("webvision", "info/synsets.txt", "has 999 entries, not 1,000"),
        ("food101n", "Food-101N_release/meta/classes.txt", "has 100 classes, not 101"),
        ("food101n", "Food-101N_release/meta/imagelist.tsv", "has 201 entries, not 202"),
        ("food101n", "food-101/meta/test.txt", "has 100 entries, not 101"),
        ("food101n", "Food-101N_release/meta/verified_train.tsv", "has 68 entries, not 69"),
        ("tiny_imagenet", "wnids.txt", "has 199 entries, not 200"),
        ("tiny_imagenet", "val/val_annotations.txt", "has 199 entries, not 200"),
    ],
)
def test_a_list_that_is_too_short_is_named(copy, name, list_of, message):
    root, source = copy(name, **({"verified": True} if name == "food101n" else {}))
    without_last(root / list_of)
    with pytest.raises(UserError) as caught:
        source.read(FORM)
    assert str(caught.value).startswith(f"{root / list_of} {message}.\nThe set is from {source.home}")


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("webvision_imagenet", "imagenet/val/n00000007/ILSVRC2012_val_00000007.JPEG", "49 pictures of the first 50"),
        ("animal10n", "training/3_13.jpg", "training has 39 pictures, not 40"),
        ("animal10n", "testing/3_3.jpg", "testing has 9 pictures, not 10"),
        ("tiny_imagenet", "train/n00000007/images/n00000007_0.JPEG", "train has 399 pictures, not 400"),
        ("clothing1m", "images/3/13/train13,13.jpg", "1 of 56 pictures are missing, first .*/train13,13.jpg"),
        ("webvision", "google/q0013/a 13.jpg", "1 of 100 pictures are missing, first .*/a 13.jpg"),
        ("webvision", "val_images_256/val000013.jpg", "1 of 50 pictures are missing, first .*/val000013.jpg"),
        ("food101n", "food-101/images/dish_3/3.jpg", "1 of 101 pictures are missing, first .*/dish_3/3.jpg"),
        ("tiny_imagenet", "val/images/val_7.JPEG", "1 of 200 pictures are missing, first .*/val_7.JPEG"),
    ],
)
def test_a_picture_that_is_missing_is_counted(copy, name, file, message):
    root, source = copy(name)
    (root / file).unlink()
    with pytest.raises(UserError, match=rf"{message}[^\n]*\nThe set is from "):
        source.read(FORM)


def test_a_picture_too_many_is_counted(copy):
    root, source = copy("animal10n")
    picture(root / "testing/3_99.jpg", 3, "test")
    with pytest.raises(UserError, match="testing has 11 pictures, not 10"):
        source.read(FORM)


def test_a_picture_that_cannot_be_read_is_named(copy):
    root, source = copy("animal10n")
    path = root / "training/3_13.jpg"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"1 picture cannot be read, first .*/training/3_13\.jpg: it is truncated"):
        source.read(FORM)


@pytest.mark.parametrize(
    ("name", "list_of", "line", "message"),
    [
        ("clothing1m", "noisy_label_kv.txt", "images/1.jpg", "a line without file and label: 'images/1.jpg'"),
        ("clothing1m", "noisy_label_kv.txt", "images/1.jpg -1", "a line without file and label: 'images/1.jpg -1'"),
        ("webvision", "info/synsets.txt", "n123", "a line with a single field: 'n123'"),
        ("tiny_imagenet", "words.txt", "n123 no tab", "a line with a single field: 'n123 no tab'"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(copy, name, list_of, line, message):
    root, source = copy(name)
    with (root / list_of).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(UserError, match=rf"{list_of} has {message}\.\nThe set is from"):
        source.read(FORM)


@pytest.mark.parametrize(
    ("name", "list_of", "old", "new", "message"),
    [
        ("clothing1m", "clean_test_key_list.txt", "test3,3", "test33,3", "list.txt has 'images/3/03/test33,3.jpg'"),
        ("food101n", "food-101/meta/test.txt", "dish_3/", "fish/", "test.txt has 'fish', which no other list knows"),
        ("tiny_imagenet", "val/val_annotations.txt", "n00000003", "n9", "has 'n9', which no other list knows"),
        (
            "webvision",
            "info/val_filelist.txt",
            "val000003.jpg",
            "../3.jpg",
            "val_images_256/../3.jpg, which is outside",
        ),
    ],
)
def test_an_entry_that_cannot_be_is_named(copy, name, list_of, old, new, message):
    root, source = copy(name)
    text = (root / list_of).read_text()
    assert text.count(old) == 1
    (root / list_of).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        source.read(FORM)
    assert message in str(caught.value)


def test_a_name_without_a_label_is_named(copy):
    root, source = copy("animal10n")
    (root / "training/3_13.jpg").rename(root / "training/cat_13.jpg")
    with pytest.raises(UserError, match=r"the name of .*/training/cat_13\.jpg does not start with a label"):
        source.read(FORM)
    (root / "training/cat_13.jpg").rename(root / "training/17_13.jpg")
    with pytest.raises(UserError, match=r"the label 17 of training/17_13\.jpg is not in 0\.\.9"):
        source.read(FORM)


# From the command line


def test_an_epoch_chosen_by_clean_labels_is_called_so(train, evaluate, report, tmp_path, monkeypatch):
    write_clothing1m(tmp_path, monkeypatch)
    size = ("data.image_size=8", "model=mlp_1x512", "trainer.max_epochs=2", f"paths.data_dir={tmp_path}")
    outcome = train("data=clothing1m", "data.val=clean", *size)
    assert outcome.code == 0, outcome.err
    assert list(outcome.result["protocol"]) == ["last", "clean_val_best"]
    assert outcome.result["noise"]["kind"] == "given"
    assert "own" not in outcome.result["data"]  # it is a benchmark
    assert "best epoch by CLEAN validation labels" in outcome.out
    assert "noisy validation" not in outcome.out
    assert {path.name for path in (outcome.folder / "checkpoints").iterdir()} == {"last.ckpt", "clean_val_best.ckpt"}
    tested = evaluate(f"runs={outcome.folder}", "protocol=clean_val_best", f"paths.data_dir={tmp_path}")
    assert tested.code == 0, tested.err
    record = outcome.folder / "evaluations/clothing1m-clean_val_best.json"
    assert record.exists()
    tested = evaluate(f"runs={outcome.folder}", "protocol=noisy_val_best", f"paths.data_dir={tmp_path}")
    assert "there is no checkpoint" in tested.err
    reported = report(f"runs={outcome.folder}")
    assert reported.code == 0, reported.err
    (page,) = (tmp_path / "outputs/reports").glob("*/report.md")
    assert "test accuracy, %, best epoch by CLEAN validation labels" in page.read_text()
    outcome = train("data=clothing1m", "force=true", *size)
    assert outcome.code == 0, outcome.err
    assert "best epoch by noisy validation labels" in outcome.out
