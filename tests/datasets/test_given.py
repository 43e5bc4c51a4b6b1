"""Labels that somebody gave: splits, truth, trust, and what is said of them."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from lnl.datasets.userdata.remarks import some
from lnl.errors import UserError
from lnl.noise import FileNoise, InstanceNoise, LabelNoise, SymmetricNoise, corrupt, symmetric
from tests.data.conftest import CPU, whole
from tests.datasets.own import COLOURS, arrays, folder, picture, table, write_arrays, write_folder, write_table


def read(data):
    data.setup()
    return data


def colour(data, split):
    """The class that the pixels of each image of a split show."""
    return data.images(split).mean(axis=(1, 2)).argmax(axis=1)


def labels_of(data, split):
    everything = data.test_labels if split == "test" else data.given
    return everything[data.splits[split]]


def test_a_folder_of_folders_is_divided_with_every_class_in_its_share(tmp_path):
    data = read(folder(write_folder(tmp_path / "data", 50)))
    assert data.classes == ["cat", "dog", "owl"]
    assert (data.num_classes, data.image_size) == (3, 12)
    for split, count in (("test", 10), ("val", 8), ("train", 32)):
        assert np.bincount(labels_of(data, split)).tolist() == [count] * 3
        np.testing.assert_array_equal(colour(data, split), labels_of(data, split))
    assert data.labels.truth is None
    assert (data.labels.noise.kind, data.labels.noise.rate, data.labels.noise.transition) == ("given", None, None)
    assert data.labels.noise.actual_rate() is None
    assert [name.split("/")[0] for name in data.labels.names] == [data.classes[label] for label in data.given]
    assert [name.split("/")[0] for name in data.dataset.test_names] == [
        data.classes[label] for label in data.test_labels
    ]
    assert any("30 of 150 samples are held out" in remark for remark in data.dataset.remarks)


def test_seeds_move_validation_and_never_the_test_set(tmp_path):
    root = write_folder(tmp_path / "data", 50)
    one, other = (read(folder(root, split_seed=seed)) for seed in (1, 2))
    assert one.dataset.test_names == other.dataset.test_names
    assert one.splits["val"].tolist() != other.splits["val"].tolist()


@pytest.mark.parametrize("val", ["val", "Validation"])
def test_folders_of_splits_are_kept(tmp_path, val):
    for number, split in enumerate(("train", val, "test")):
        write_folder(tmp_path / "data", 5 + number, split, first=10 * number)
    data = read(folder(tmp_path / "data"))
    for split, count in (("train", 5), ("val", 6), ("test", 7)):
        assert np.bincount(labels_of(data, split)).tolist() == [count] * 3
    assert {data.labels.names[place].split("/")[0] for place in data.splits["val"]} == {val}
    assert data.labels.names == sorted(data.labels.names)  # whatever the order on the disk is
    assert data.dataset.remarks == ["models see pictures of 12x12 pixels (data.image_size)"]
    assert not read(folder(tmp_path / "data", image_size=12)).dataset.remarks


def test_a_class_may_be_called_train(tmp_path):
    write_folder(tmp_path / "data", classes=("train", "car"))
    assert read(folder(tmp_path / "data")).classes == ["car", "train"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_gives_labels_splits_trust_and_truth(tmp_path, delimiter):
    lines = [["picture", "given", "part", "sure", "truth"]]
    for number in range(40):
        picture(tmp_path / f"images/{number}.png", "dog" if number % 2 else "cat", number)
        part = "test" if number < 8 else "val" if number < 16 else "train"
        given = "dog" if number % 2 or number % 10 == 0 else "cat"
        truth = "dog" if number % 2 else "cat"
        lines.append([f"images/{number}.png", given, part, str(number % 5 == 1).lower(), truth])
    (tmp_path / "a.csv").write_text("\ufeff" + "\n".join(map(delimiter.join, lines)), encoding="utf-8")
    columns = {"file": "picture", "label": "given", "split": "part", "trusted": "sure", "true_label": "truth"}
    data = read(table(tmp_path / "a.csv", columns=columns))
    assert [len(data.splits[split]) for split in ("train", "val", "test")] == [25, 7, 8]  # 11 is trusted
    numbers = np.array([int(name.split("/")[1].removesuffix(".png")) for name in data.labels.names])
    np.testing.assert_array_equal(data.labels.truth, numbers % 2)
    assert (numbers[data.given != data.labels.truth] % 10 == 0).all()
    assert data.labels.noise.actual_rate() == 3 / 32
    np.testing.assert_allclose(data.labels.noise.transition, [[13 / 16, 3 / 16], [0, 1]])
    assert (numbers[data.trusted.index] % 5 == 1).all()
    assert len(data.trusted) == 6
    np.testing.assert_array_equal(data.trusted.labels, data.labels.truth[data.trusted.index])
    np.testing.assert_array_equal(data.test_labels, np.arange(8) % 2)  # the true ones


def test_labels_that_are_numbers_are_in_their_order(tmp_path):
    labels = np.array([10, 9, 2])[np.arange(30) % 3].astype(float)
    data = read(arrays(write_arrays(tmp_path / "a.npz", labels=labels)))
    assert data.classes == ["2", "9", "10"]
    labels = np.array(["10", "\u00b2", "9"])[np.arange(30) % 3]  # a digit that is no number
    assert read(arrays(write_arrays(tmp_path / "b.npz", labels=labels))).classes == ["9", "10", "\u00b2"]
    labels = np.array(["01", "1", "001"])[np.arange(30) % 3]  # the same number, and always in the same order
    assert read(arrays(write_arrays(tmp_path / "c.npz", labels=labels))).classes == ["001", "01", "1"]


def test_named_classes_may_be_given_by_number(tmp_path):
    path = write_arrays(tmp_path / "a.npz", labels=np.arange(30) % 3)
    assert read(arrays(path, classes=["x", "y", "z", "unseen"])).num_classes == 4
    names = read(arrays(path, classes=["x", "y", "z"]))
    np.testing.assert_array_equal(np.bincount(names.given), [8, 8, 8])


def test_arrays_keep_their_pixels_and_splits(tmp_path):
    rng = np.random.default_rng(1)
    images, test = (rng.integers(0, 256, (count, 8, 8), dtype=np.uint8) for count in (30, 9))
    path = write_arrays(tmp_path / "a.npz", images=images, test_images=test, test_labels=np.arange(9) % 3)
    data = read(arrays(path, channels=1, mean=[0.5], std=[0.5]))
    assert data.image_size == 8
    np.testing.assert_array_equal(data.images("test")[..., 0], test)
    np.testing.assert_array_equal(data.images("train")[..., 0], images[data.splits["train"]])


def test_a_sample_of_arrays_has_the_name_of_its_place_there(tmp_path):
    path = write_arrays(tmp_path / "a.npz")
    images = np.load(path)["images"]
    data = read(arrays(path))
    for names, part, source in (
        (data.labels.names, slice(None), "train"),
        (data.dataset.test_names, data.splits["test"], "test"),
    ):
        assert names[0].startswith("sample ")
        places = [int(name.removeprefix("sample ")) for name in names]
        np.testing.assert_array_equal(data.clean.tensors[source].numpy()[part], images[places])
    labels = corrected(tmp_path / "l.csv", read(arrays(path, test_fraction=0)), {"sample 17": "0"})
    whole = read(arrays(path, test_fraction=0, noise=FileNoise(labels))).given
    assert np.flatnonzero(whole != np.arange(30) % 3).tolist() == [17]


def test_names_of_folders_stay_as_they_are(tmp_path):
    """What means a missing value or a number in a table is a class there."""
    names = ["1", "1.0", "NaN", "--1", "\u2460", "\u0661", "-2"]
    data = read(folder(write_folder(tmp_path / "data", classes=names), test_fraction=0))
    assert data.classes == ["-2", "1", *sorted({*names} - {"-2", "1"})]
    assert [name.split("/")[0] for name in data.labels.names] == [data.classes[label] for label in data.given]
    assert np.bincount(data.given).tolist() == [10] * 7


def test_numbers_in_a_table_are_classes_by_their_value(tmp_path):
    path = write_table(tmp_path / "data")
    path.write_text(path.read_text().replace(",cat", ",1").replace(",dog", ",1.0").replace(",owl", ",2."))
    assert read(table(path)).classes == ["1", "2"]


def test_two_npy_are_images_and_labels(tmp_path):
    np.save(tmp_path / "i.npy", np.random.default_rng(0).integers(0, 256, (20, 100, 40, 3), dtype=np.uint8))
    np.save(tmp_path / "l.npy", np.array(["a", "b"] * 10))
    data = read(arrays(tmp_path / "i.npy", labels=tmp_path / "l.npy"))
    assert (data.classes, data.image_size) == (["a", "b"], 64)
    assert "models see pictures of 64x64 pixels (data.image_size)" in data.dataset.remarks


def test_noise_is_drawn_from_given_labels_and_compared_with_the_truth_where_there_is_one(tmp_path):
    labels = np.arange(900) % 3
    truth = np.where(np.arange(900) < 90, (labels + 1) % 3, labels)
    images = np.random.default_rng(0).integers(0, 256, (900, 2, 2, 3), dtype=np.uint8)
    path = write_arrays(tmp_path / "a.npz", images=images, labels=labels)
    unknown = read(arrays(path, noise=SymmetricNoise(0.2, exact=True)))
    given = read(arrays(path)).given
    np.testing.assert_array_equal(unknown.labels.truth, given)
    assert abs(unknown.labels.noise.actual_rate() - 0.2) < 0.01
    path = write_arrays(tmp_path / "b.npz", images=images, labels=labels, true_labels=truth)
    noisy, quiet = read(arrays(path, noise=SymmetricNoise(0.2))).labels.noise, read(arrays(path)).labels.noise
    np.testing.assert_array_equal(quiet.labels, given)
    np.testing.assert_array_equal(noisy.labels, corrupt(given, symmetric(3, 0.2), seed=0))
    np.testing.assert_array_equal(noisy.truth, quiet.truth)
    assert abs(quiet.actual_rate() - 0.1) < 0.03
    # Wrong are those that were and stayed so (noise puts one in ten of them right), and those that noise made wrong.
    assert abs(noisy.actual_rate() - (0.1 * (1 - 0.2 / 2) + 0.9 * 0.2)) < 0.05
    for record in (noisy, quiet):
        np.testing.assert_allclose(np.diag(record.transition).mean(), 1 - record.actual_rate(), atol=0.02)


def test_labels_of_a_file_in_place_of_given_ones_are_wrong_nobody_knows_how_often(tmp_path):
    path = write_arrays(tmp_path / "a.npz")
    np.save(tmp_path / "l.npy", np.zeros(24, np.int64))
    data = read(arrays(path, noise=FileNoise(tmp_path / "l.npy")))
    assert data.labels.truth is None
    assert data.labels.noise.kind == "file"
    assert (data.given == 0).all()


def corrected(path, data, changes):
    """A file of labels of the training set, in an order of its own, with other labels for some files."""
    labels = {name: data.classes[label] for name, label in zip(data.labels.names, data.given, strict=True)} | changes
    path.write_text(
        "\n".join(["file,label", *(f"{name},{labels[name]}" for name in reversed(data.labels.names))]) + "\n"
    )
    return path


def test_labels_of_a_file_belong_to_the_files_that_it_names(tmp_path):
    """Whatever the order of the data: there and in the file of labels."""
    path = write_table(tmp_path / "data", "cat/cat3.png,dog\n")  # one file twice
    before = read(table(path, test_fraction=0))
    labels = corrected(tmp_path / "l.csv", before, {"cat/cat0.png": "owl", "owl/owl1.png": "dog"})
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *sorted(rows, key=lambda row: row[::-1])]) + "\n")
    after = read(table(path, test_fraction=0, noise=FileNoise(labels)))
    assert after.labels.names != before.labels.names
    named = dict(zip(after.labels.names, after.given, strict=True))
    expected = dict(zip(before.labels.names, before.given, strict=True)) | {"cat/cat0.png": 2, "owl/owl1.png": 1}
    del named["cat/cat3.png"], expected["cat/cat3.png"]
    assert named == expected
    trusted = tmp_path / "right.csv"
    trusted.write_text("index,file,label\n0,owl/owl1.png,dog\n1,cat/cat0.png,owl\n")
    data = read(table(path, test_fraction=0, trusted=str(trusted)))
    assert {
        data.labels.names[place]: label for place, label in zip(data.trusted.index, data.trusted.labels, strict=True)
    } == {
        "owl/owl1.png": 1,
        "cat/cat0.png": 2,
    }


def test_labels_of_other_files_are_refused_and_the_first_is_named(tmp_path):
    root = write_folder(tmp_path / "data")
    labels = corrected(tmp_path / "l.csv", read(folder(root, test_fraction=0)), {})
    with pytest.raises(ValueError, match=r"l\.csv is of other files: 6 of 30 .*\n.*data\.test_fraction=0"):
        read(folder(root, noise=FileNoise(labels)))
    (root / "owl/owl3.png").rename(root / "cat/owl3.png")  # as many files, in another class
    with pytest.raises(ValueError, match=r": 1 of 30 .* first owl/owl3\.png\.\n.*data=table data\.path="):
        read(folder(root, test_fraction=0, noise=FileNoise(labels)))
    (root / "cat/owl3.png").rename(root / "owl/owl3.png")
    picture(root / "owl/new.png", "owl", 99)
    with pytest.raises(ValueError, match=r"30 labels, but .* 31 samples.*the first that has none is owl/new\.png"):
        read(folder(root, test_fraction=0, noise=FileNoise(labels)))


def test_trust_is_not_drawn_from_labels_that_may_be_wrong(tmp_path):
    path = write_arrays(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="may all be wrong"):
        read(arrays(path, trusted=10))
    data = read(arrays(path, trusted="first-5"))
    np.testing.assert_array_equal(data.trusted.labels, data.given[:5])
    assert len(read(arrays(write_arrays(tmp_path / "b.npz", true_labels=np.arange(30) % 3), trusted=10)).trusted) == 10


def test_trusted_samples_keep_their_given_label_whatever_the_truth_is(tmp_path):
    """True labels are for metrics; only a number of trusted samples is drawn from them."""
    labels, truth = np.arange(30) % 2, np.zeros(30, np.int64)
    path = write_arrays(tmp_path / "a.npz", labels=labels, true_labels=truth, trusted=np.arange(30) < 20)
    for options, trusted in (({}, 20), ({"trusted": "first-6"}, 6)):
        data = read(arrays(path, test_fraction=0, trusting=True, **options))
        assert len(data.trusted) == trusted
        np.testing.assert_array_equal(data.trusted.labels, labels[data.trusted.index])
        np.testing.assert_array_equal(data.given, labels)
        (said,) = (remark for remark in data.dataset.remarks if "trusted" in remark)
        assert said.startswith("10 samples are trusted with a label that is not the true one: sample 1, sample 3")
    assert not read(arrays(path, test_fraction=0, trusted=10)).trusted.labels.any()


def test_the_only_sample_of_a_class_is_trained_on(tmp_path):
    write_folder(tmp_path / "data", 20, classes=("cat", "dog"))
    write_folder(tmp_path / "data", 1, classes=("owl",))
    for seed in range(5):
        data = read(folder(tmp_path / "data", split_seed=seed))
        assert 2 in labels_of(data, "train")
        assert 2 not in labels_of(data, "val")
        assert 2 not in data.test_labels
    assert any("a single training sample" in remark and "owl" in remark for remark in data.dataset.remarks)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda root: (root / "cow").mkdir(), "no pictures and is left out: cow"),
        (lambda root: (root / "cat").rename(root / "cat "), "10 labels had spaces.*'cat'"),
        (lambda root: write_folder(root, classes=("Cat",)), "Cat and cat are different classes|cat and Cat"),
        (lambda root: (root / "cat/note.txt").write_text("x"), r"not those of pictures: 1 \(.txt\)"),
        (lambda root: (root / "cat/deeper").mkdir(), r"not those of pictures: 1 \(folders\)"),
        (lambda root: picture(root / "cat/2023/a/b.png"), r"1 picture is left out, being in folders .*: cat \(1\)"),
        (lambda root: picture(root / "loose.png"), "in no class's folder"),
        (
            lambda root: shutil.copy(root / "cat/cat0.png", root / "dog/x.png"),
            r"cat/cat0.png \(cat\) = dog/x.png \(d",
        ),
        (lambda root: shutil.copy(root / "cat/cat0.png", root / "cat/x.png"), "1 picture is a copy"),
    ],
)
def test_what_is_odd_in_a_folder_is_said_and_no_more(tmp_path, change, words):
    root = write_folder(tmp_path / "data")
    usual = read(folder(root)).dataset.remarks
    assert len(usual) == 2  # that some are held out, and the size
    change(root)
    remarks = read(folder(root)).dataset.remarks
    assert any(re.search(words, remark.split("\n")[0]) for remark in remarks), remarks
    assert len(remarks) <= len(usual) + 2


def test_what_is_odd_in_a_table_is_said(tmp_path):
    path = write_table(tmp_path / "data", "cat/cat0.png,cat\ndog/dog0.png, dog\ncat/cat1.png,owl\n")
    data = read(table(path))
    said = "\n".join(data.dataset.remarks)
    assert "1 row of labels.csv" in said
    assert "1 label had spaces" in said
    assert "cat/cat1.png (cat) = cat/cat1.png (owl)" in said
    assert len(data.labels.names) + len(data.dataset.test_names) == 32


def test_pictures_of_a_split_that_have_no_class_are_counted(tmp_path):
    """As those that a competition tests on."""
    write_folder(tmp_path / "data", split="train")
    for number in range(5):
        picture(tmp_path / "data/test" / f"{number}.png", number=100 + number)
    data = read(folder(tmp_path / "data"))
    assert len(data.labels.names) + len(data.dataset.test_names) == 30
    assert any(
        re.match("5 pictures are left out of .*test, being in no class's", remark) for remark in data.dataset.remarks
    )


def test_classes_may_be_called_like_splits_where_they_are_asked_for(tmp_path):
    write_folder(tmp_path / "data", classes=("train", "test"))
    assert read(folder(tmp_path / "data", classes=["test", "train"])).classes == ["test", "train"]


@pytest.mark.parametrize("several", [["cat", "owl"], {"choices": ["cat", "owl"]}])
def test_samples_of_several_labels_are_left_out_and_make_no_class(tmp_path, several):
    """In a CSV as JSON, in Parquet as lists or objects, in arrays as text."""
    csv = write_table(tmp_path / "data")
    frame = pd.read_csv(csv)
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    chosen = frame.index % 5 == 0
    frame["label"] = [json.dumps(several) if odd else label for odd, label in zip(chosen, frame["label"], strict=True)]
    frame.to_csv(csv, index=False)
    lists = frame[chosen].assign(label=[several] * 6)
    lists.to_parquet(csv.with_suffix(".parquet"))
    for data in (
        table(csv, on_error="skip"),
        arrays(write_arrays(tmp_path / "a.npz", images=images, labels=frame["label"].to_numpy(str)), on_error="skip"),
    ):
        data.setup()
        assert data.classes == ["cat", "dog", "owl"]
        assert len(data.dataset.skipped) == 6
    with pytest.raises(UserError, match=r"labels.parquet, row 1, .*several labels(.|\n)*6 of 6 samples"):
        read(table(csv.with_suffix(".parquet")))


def test_labels_that_may_name_several_classes_are_said(tmp_path):
    path = write_table(tmp_path / "data", "cat/cat0.png,cat|owl\ndog/dog0.png,dog|wolf\n")
    (said,) = (remark for remark in read(table(path)).dataset.remarks if "several" in remark)
    assert said == "1 label may name several classes, and are read as one: 'cat|owl'"


def test_a_picture_in_training_and_in_test_is_said(tmp_path):
    write_folder(tmp_path / "data", split="train")
    write_folder(tmp_path / "data", split="test", first=50)
    shutil.copy(tmp_path / "data/train/cat/cat3.png", tmp_path / "data/test/cat/x.png")
    (leak, _, _) = read(folder(tmp_path / "data")).dataset.remarks
    assert leak.startswith("1 picture is in several splits: train/cat/cat3.png (cat) = test/cat/x.png (cat)")


class DarkIsWrong(LabelNoise):
    """Noise of a user's own that depends on the images."""

    kind, convention, uses_images = "dark", "dark images are of the first class", True

    def draw(self, labels, images):
        raise AssertionError("it is drawn")


def test_pictures_that_are_streamed_are_those_that_are_kept(tmp_path):
    root = write_folder(tmp_path / "data", 20)
    (root / "cat/bad.png").write_bytes(b"x")
    kept, streamed = (read(folder(root, on_error="skip", cache_limit_gb=limit, num_workers=0)) for limit in (1, 0))
    assert kept.labels.names == streamed.labels.names
    assert len(streamed.dataset.skipped) == 1
    for split in ("train", "val", "test"):
        np.testing.assert_array_equal(kept.images(split), streamed.images(split))
        one, other = (whole(data.loader(split, CPU)) for data in (kept, streamed))
        np.testing.assert_allclose(one.images, other.images, atol=1e-5)
        np.testing.assert_array_equal(one.index, other.index)
    for noise in (InstanceNoise(0.2), DarkIsWrong(0.2)):
        with pytest.raises(UserError, match=rf"noise={noise.kind} needs images that fit .* data\.cache_limit_gb"):
            read(folder(root, on_error="skip", cache_limit_gb=0, noise=noise))
    (root / streamed.labels.names[3]).unlink()
    with pytest.raises(UserError, match=f"{streamed.labels.names[3]} could be read when the run started"):
        streamed.clean.tensors["train"][3]


def test_images_keep_their_labels_if_some_of_both_parts_are_left_out(tmp_path):
    for split in ("train", "test"):
        write_folder(tmp_path / "data", 4, split)
        (tmp_path / "data" / split / "dog/dog1.png").write_bytes(b"x")
    for limit in (1, 0):
        dataset = read(folder(tmp_path / "data", on_error="skip", cache_limit_gb=limit, image_size=12)).dataset
        for images, labels in ((dataset.images, dataset.labels.given), (dataset.test_images, dataset.test_labels)):
            assert np.bincount(labels).tolist() == [4, 3, 4]
            np.testing.assert_array_equal(images[np.arange(11)][:, 6, 6].argmax(axis=1), labels)


def test_names_are_cut():
    assert some(list("abcd")) == "a, b, c and 1 more"
    assert some(list(COLOURS)) == "cat, dog, owl"
