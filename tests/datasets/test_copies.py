"""Copies of a picture are never divided, every class keeps its share, and without copies nothing has changed."""

import hashlib
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnl.datasets.copies import choose_pictures, deal_pictures, not_alone, picture_numbers
from lnl.errors import UserError
from lnl.labels import Trusted
from lnl.labels.labels import stratified_choice
from tests.datasets.own import arrays, folder, picture, table, write_arrays, write_folder
from tests.datasets.test_splits import splitting, trusted_of

NOBODY = Trusted(np.arange(0), np.arange(0))


def drawn(n, classes, several, seed, alike=True):
    """Labels and pictures of ``n`` samples, some of them copies of others (with their label if they are ``alike``)."""
    rng = np.random.default_rng(seed)
    pictures = np.where(rng.random(n) < several, rng.integers(0, max(1, n // 5), n), n + np.arange(n))
    labels = rng.integers(0, classes, n)
    return labels[np.unique(pictures, return_inverse=True)[1]] if alike else labels, pictures


def is_whole(chosen, pictures):
    return not np.isin(pictures[chosen], np.delete(pictures, chosen)).any()


many = {"n": st.integers(1, 200), "classes": st.integers(1, 9), "several": st.floats(0, 1), "seed": st.integers(0, 9)}


@given(**many, parts=st.integers(2, 7), alike=st.booleans())
def test_pictures_are_dealt_whole_and_evenly(n, classes, several, seed, parts, alike):
    labels, pictures = drawn(n, classes, several, seed, alike)
    dealt = deal_pictures(labels, pictures, parts)
    assert all(len(set(dealt[pictures == number])) == 1 for number in np.unique(pictures))
    most = np.unique(pictures, return_counts=True)[1].max()
    if alike:  # each goes to where its class is least
        each = [np.bincount(labels[dealt == part], minlength=classes) for part in range(parts)]
        assert np.ptp(each, axis=0).max() <= most


def test_single_pictures_fill_up_what_copies_left_uneven():
    labels, pictures = np.repeat(np.arange(3), [50, 30, 20]), np.arange(100)
    pictures[:8], pictures[10:14], pictures[60:63], pictures[90:93] = 0, 10, 60, 90
    order = np.random.default_rng(0).permutation(100)
    dealt = deal_pictures(labels[order], pictures[order], 5)
    assert [np.bincount(labels[order][dealt == part]).tolist() for part in range(5)] == [[10, 6, 4]] * 5


@given(**many, share=st.floats(0, 1), alike=st.booleans())
def test_pictures_are_chosen_whole_and_every_class_in_its_share(n, classes, several, seed, share, alike):
    labels, pictures = drawn(n, classes, several, seed, alike)
    count = round(share * n)
    chosen = choose_pictures(labels, pictures, count, np.random.default_rng(seed))
    assert is_whole(chosen, pictures)
    if alike:
        for label in range(classes):
            sizes = np.unique(pictures[labels == label], return_counts=True)[1]
            wanted = count * (labels == label).sum() / n
            assert abs((labels[chosen] == label).sum() - wanted) < 1 + max(sizes, default=0) / 2


def test_the_only_picture_of_a_class_is_known_whatever_its_copies_are_called():
    labels, pictures = np.array([0, 0, 0, 1, 1, 2, 2, 3]), np.array([10, 11, 12, 13, 13, 14, 12, 15])
    # The one of class 1 is there twice; of class 2 there is another than 12; 15 is alone.
    assert not_alone(labels, pictures).tolist() == [True] * 3 + [False] * 2 + [True] * 2 + [False]
    assert picture_numbers(["a", "b", "", "", "b", "a", "a", "c"]).tolist() == [0, 1, 2, 3, 1, 0, 0, 7]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "4a315378825f"),
        ({"folds": 5, "fold": 2}, "4d525725b29e"),
        ({"subset": 900}, "f88403deab23"),
        ({"folds": 3, "fold": 3, "subset": 500}, "894f8e6d2942"),
        ({"trusted_test": 20}, "0eeda60cac50"),
    ],
)
def test_without_copies_splits_are_what_they_have_always_been(options, expected):
    labels = np.random.default_rng(3).integers(0, 7, 5000)
    trusted = Trusted(np.arange(0, 300, 3), labels[:300:3]) if "trusted_test" in options else NOBODY
    for pictures in (None, np.random.default_rng(0).permutation(5000)):
        parts = splitting(**options)(labels, labels[:0], trusted, {"pictures": pictures})
        numbers = [parts[name].tolist() for name in sorted(parts)]
        assert hashlib.sha256(repr(numbers).encode()).hexdigest()[:12] == expected
    rng = np.random.default_rng(1), np.random.default_rng(1)
    np.testing.assert_array_equal(
        choose_pictures(labels, np.arange(5000), 700, rng[0]), stratified_choice(labels, 700, rng[1])
    )


def test_without_copies_the_held_out_files_are_what_they_have_always_been(tmp_path):
    data = folder(write_folder(tmp_path / "data", 23))
    data.setup()
    names = sorted(data.dataset.test_names), sorted(data.labels.names[place] for place in data.splits["val"])
    assert hashlib.sha256(repr(names).encode()).hexdigest()[:12] == "2160b7617699"


@given(n=st.integers(60, 200), several=st.floats(0, 0.5), seed=st.integers(0, 3), trusted=st.integers(0, 20))
def test_no_model_is_trained_on_a_copy_of_what_it_judges(n, several, seed, trusted):
    labels, pictures = drawn(n, 3, several, seed)
    known, told = trusted_of(labels, trusted), {"pictures": pictures}
    parts = [splitting(folds=4, fold=fold, split_seed=seed)(labels, labels[:0], known, told) for fold in range(1, 5)]
    parts.append(splitting(split_seed=seed)(labels, labels[:0], known, told))
    for part in parts:
        assert not np.isin(pictures[part["val"]], pictures[part["train"]]).any()
        assert not np.isin(part["val"], known.index).any()
    judged = np.sort(np.concatenate([part["val"] for part in parts[:4]]))
    np.testing.assert_array_equal(judged, np.setdiff1d(np.arange(n), known.index))
    np.testing.assert_array_equal(np.sort(np.concatenate([parts[4]["train"], parts[4]["val"]])), np.arange(n))


def test_trusted_samples_to_test_on_have_no_copies_that_are_trained_on():
    labels, pictures = np.arange(100) % 2, np.arange(100)
    pictures[50:60] = np.arange(10)  # of the first ten of twenty trusted ones
    trusted, told = Trusted(np.arange(20), labels[:20]), {"pictures": pictures}
    parts = splitting(trusted_test=10)(labels, labels[:0], trusted, told)
    assert parts["trusted_test"].tolist() == list(range(10, 20))
    with pytest.raises(UserError, match=r"trusted_test=11, but 10 of 20 .* copies that are not trusted: 10 can be"):
        splitting(trusted_test=11)(labels, labels[:0], trusted, told)


def copied(root, of=range(0, 40, 4), times=3):
    """A folder in which some pictures are there more than once."""
    write_folder(root, 40)
    for label in ("cat", "dog", "owl"):
        for number in of:
            for time in range(times):
                shutil.copy(root / label / f"{label}{number}.png", root / label / f"z{number}_{time}.png")
    return root


def contents(root, names):
    return {(root / name).read_bytes() for name in names}


@pytest.mark.parametrize("options", [{"folds": 5, "fold": 1}, {"folds": 5, "fold": 4}, {}, {"cache_limit_gb": 0}])
def test_files_of_the_same_content_are_in_one_split(tmp_path, options):
    root = copied(tmp_path / "data")
    for _ in range(2):  # the second time copies are known
        data = folder(root, **options)
        data.setup()
        train, val = (
            contents(root, [data.labels.names[place] for place in data.splits[part]]) for part in ("train", "val")
        )
        test = contents(root, data.dataset.test_names)
        for one, other in ((train, val), (train, test), (val, test)):
            assert not one & other
        assert len(data.splits["val"]) == (42 if "folds" in options else 34)  # a fifth of 210, or of the rest
        assert any(remark.startswith("90 pictures are copies of another") for remark in data.dataset.remarks)
        if not options:
            assert np.bincount(data.test_labels).tolist() == [14] * 3


def test_copies_in_a_table_follow_what_it_says_and_the_trusted_stay(tmp_path):
    root = tmp_path / "data"
    files = [picture(root / f"{number}.png", ("cat", "dog")[number % 2], number).name for number in range(40)]
    lines = [f"{name},{number % 2},{number < 8}" for number, name in enumerate(files)]
    for number in range(8):  # of trusted ones
        shutil.copy(root / files[number], root / f"copy{number}.png")
        lines.append(f"copy{number}.png,{number % 2},false")
    (root / "labels.csv").write_text("\n".join(["file,label,trusted", *lines]) + "\n")
    data = table(root / "labels.csv", val_fraction=0.4)
    data.setup()
    held_out = {*data.dataset.test_names, *(data.labels.names[place] for place in data.splits["val"])}
    assert not [name for name in held_out if name.startswith("copy")]
    assert len(data.dataset.test_names) == round(0.2 * 32)


def test_images_in_arrays_may_be_copies_too(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    images[40:] = images[:20]
    data = arrays(write_arrays(tmp_path / "a.npz", images=images, labels=np.arange(60) % 4), folds=3, fold=2)
    data.setup()
    train, val = ({image.tobytes() for image in data.images(part)} for part in ("train", "val"))
    assert len(data.splits["val"]) == 20
    assert not train & val
    assert any(remark.startswith("20 pictures are copies") for remark in data.dataset.remarks)
