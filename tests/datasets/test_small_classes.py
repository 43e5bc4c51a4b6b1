"""data.min_per_class leaves out classes with few pictures, counted once, and says which."""

import shutil

import numpy as np
import pytest

from lnl.errors import UserError
from tests.datasets.own import arrays, folder, picture, table, write_arrays, write_folder, write_table


def read(data):
    data.setup()
    return data


def pets(root, owls=3, per_class=10):
    write_folder(root, per_class, classes=("cat", "dog"))
    return write_folder(root, owls, classes=("owl",))


def about_small(data):
    return [remark for remark in data.dataset.remarks if "min_per_class" in remark]


def test_a_small_class_is_left_out_counted_and_listed(tmp_path):
    data = read(folder(pets(tmp_path / "data"), min_per_class=5))
    assert data.classes == ["cat", "dog"]
    assert len(data.given) + len(data.test_labels) == 20
    (said,) = about_small(data)
    first, *rest = said.split("\n")
    assert (
        first
        == "3 samples are left out, of 1 class with fewer than 5 pictures (data.min_per_class): 'owl' has 3 pictures"
    )
    assert rest == [f"  owl/owl{number}.png: its class 'owl' has 3 pictures" for number in range(3)]
    assert [name for name, _ in data.dataset.skipped] == [f"owl/owl{number}.png" for number in range(3)]


def test_the_bound_is_the_least_number_that_stays(tmp_path):
    root = pets(tmp_path / "data")
    for bound in (None, 1, 3):
        data = read(folder(root, min_per_class=bound))
        assert data.classes == ["cat", "dog", "owl"]
        assert not about_small(data)
        assert not data.dataset.skipped
    assert read(folder(root, min_per_class=4)).classes == ["cat", "dog"]


def test_copies_count_once(tmp_path):
    root = pets(tmp_path / "data", owls=4)
    shutil.copy(root / "owl/owl0.png", root / "owl/copy.png")
    assert read(folder(root, min_per_class=5)).classes == ["cat", "dog"]
    assert read(folder(root, min_per_class=4)).classes == ["cat", "dog", "owl"]


def test_the_numbers_of_other_classes_follow(tmp_path):
    """A class before others is left out; its pictures go, and the others keep their labels."""
    write_folder(tmp_path / "data", 2, classes=("cat",))
    write_folder(tmp_path / "data", 10, classes=("dog", "owl"))
    data = read(folder(tmp_path / "data", min_per_class=3, classes=["cat", "dog", "owl"], test_fraction=0))
    assert data.classes == ["dog", "owl"]
    assert [name.split("/")[0] for name in data.labels.names] == [data.classes[label] for label in data.given]
    colour = data.clean.images["train"].mean(axis=(1, 2)).argmax(axis=1) - 1  # dogs are green, owls blue
    np.testing.assert_array_equal(colour, data.given)


def test_pictures_for_testing_do_not_count(tmp_path):
    write_folder(tmp_path / "data", 6, "train", classes=("cat", "dog"))
    write_folder(tmp_path / "data", 2, "train", classes=("owl",))
    write_folder(tmp_path / "data", 9, "test", first=50)
    data = read(folder(tmp_path / "data", min_per_class=3))
    assert data.classes == ["cat", "dog"]
    assert np.bincount(data.test_labels).tolist() == [9, 9]
    assert len(data.dataset.skipped) == 2 + 9


def test_a_class_that_only_the_test_set_has_is_left_out(tmp_path):
    write_folder(tmp_path / "data", 6, "train", classes=("cat", "dog"))
    write_folder(tmp_path / "data", 2, "test", first=50)
    with pytest.raises(UserError, match=r"test has the class 'owl' .* leave it out by data\.min_per_class=1"):
        read(folder(tmp_path / "data"))
    data = read(folder(tmp_path / "data", min_per_class=1))
    assert (data.classes, len(data.test_labels), len(data.dataset.skipped)) == (["cat", "dog"], 4, 2)


@pytest.mark.parametrize("limit", [1, 0])
def test_a_class_that_is_small_for_its_unreadable_pictures_is_left_out(tmp_path, limit):
    """Which is known after decoding; other unreadable pictures stay what they are."""
    root = pets(tmp_path / "data", owls=5)
    for name in ("owl/owl1.png", "cat/cat3.png"):
        (root / name).write_bytes(b"x")
    data = read(folder(root, min_per_class=5, on_error="skip", cache_limit_gb=limit, num_workers=0))
    assert data.classes == ["cat", "dog"]
    assert len(data.given) + len(data.test_labels) == 19
    assert sorted(name for name, _ in data.dataset.skipped) == [
        "cat/cat3.png",
        *(f"owl/owl{number}.png" for number in range(5)),
    ]
    images = data.clean.images["train"][np.arange(len(data.given))]
    np.testing.assert_array_equal(images.mean(axis=(1, 2)).argmax(axis=1), data.given)


def test_tables_and_arrays_have_it_too(tmp_path):
    path = write_table(tmp_path / "data")
    picture(tmp_path / "data/x.png", number=77)
    path.write_text(path.read_text() + "x.png,emu\n")
    assert read(table(path, min_per_class=2)).classes == ["cat", "dog", "owl"]
    labels = np.r_[np.zeros(14, int), np.ones(14, int), 2, 2]
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    data = read(
        arrays(write_arrays(tmp_path / "a.npz", images=images, labels=labels), min_per_class=3, test_fraction=0)
    )
    assert data.classes == ["0", "1"]
    np.testing.assert_array_equal(data.given, labels[:28])
    np.testing.assert_array_equal(data.clean.images["train"], images[:28])


def test_a_class_that_true_labels_name_stays(tmp_path):
    path = write_table(tmp_path / "data")
    rows = [line.split(",") for line in path.read_text().split()[1:]]
    lines = [f"{file},{label},{'owl' if file == 'cat/cat2.png' else label}" for file, label in rows if label != "owl"]
    path.write_text("\n".join(["file,label,true_label", *lines, "owl/owl1.png,owl,owl"]) + "\n")
    data = read(table(path, min_per_class=2, test_fraction=0))
    assert data.classes == ["cat", "dog", "owl"]
    assert np.bincount(data.given, minlength=3).tolist() == [10, 10, 0]
    assert data.labels.truth[data.labels.names.index("cat/cat2.png")] == 2


def test_no_two_classes_left_is_an_error(tmp_path):
    root = pets(tmp_path / "data")
    (root / "cat/cat9.png").unlink()
    with pytest.raises(UserError) as caught:
        read(folder(root, min_per_class=10))
    assert str(caught.value) == (
        "data.min_per_class=10 leaves 1 of 3 classes, and a classifier needs two; "
        "the largest are dog (10), cat (9), owl (3) (copies count once)."
    )
    with pytest.raises(ValueError, match=r"data\.min_per_class must be at least 1, got 0"):
        folder(root, min_per_class=0)
