"""Contact sheets: which labels are marked as wrong, which images are shown, and where the picture goes."""

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lnl.data import Digits
from lnl.noise import SymmetricNoise
from lnl.tracking import pictures as module
from lnl.tracking.pictures import LONGEST_NAME, captions, contact_sheet, labels_picture, short


def test_wrong_labels_are_marked_and_corrected():
    given, clean = np.array([0, 2, 1, 0]), np.array([0, 1, 1, 2])
    assert captions(given, clean, ["daisy", "rose", "tulip"]) == [
        ("daisy", False),
        ("\u2717 tulip\nis rose", True),
        ("rose", False),
        ("\u2717 daisy\nis tulip", True),
    ]


def test_nothing_is_called_wrong_where_the_truth_is_unknown():
    assert captions(np.array([1, 0]), None, ["daisy", "rose"]) == [("rose", False), ("daisy", False)]


@pytest.mark.parametrize("length", [1, LONGEST_NAME, LONGEST_NAME + 1, 60])
def test_a_name_is_cut_where_it_is_too_long(length):
    name = "".join(chr(ord("a") + i % 26) for i in range(length))
    cut = short(name)
    assert len(cut) <= LONGEST_NAME
    assert (cut == name) == (length <= LONGEST_NAME)
    assert cut[0] == name[0]
    assert cut[-1] == name[-1]


def red(picture):
    """Where a picture is red, ``[H, W]``."""
    return picture[..., 0].astype(int) - picture[..., 1] > 60


def test_only_wrong_labels_are_framed():
    grey = np.full((10, 8, 8, 1), 128, dtype=np.uint8)
    right, wrong = ("a", False), ("\u2717 b\nis a", True)
    assert not red(labels_picture(grey, [right] * 10, "heading")).any()
    picture = red(labels_picture(grey, [right] * 9 + [wrong], "heading"))
    rows, columns = np.nonzero(picture)
    height, width = picture.shape
    # The second image of the second row, and its caption.
    assert height / 2 < rows.min() < rows.max() < height
    assert width / 8 < columns.min() < columns.max() < 2.1 * width / 8
    frame = columns.max() - columns.min()
    assert picture[rows.max() - 1].sum() == pytest.approx(frame, abs=3)  # a whole side of the frame


@pytest.mark.parametrize(("count", "size"), [(1, (217, 610)), (7, (217, 1060)), (8, (217, 1210)), (32, (763, 1210))])
def test_a_sheet_is_as_large_as_its_images_need(count, size):
    images = np.zeros((count, 8, 8, 3), dtype=np.uint8)
    assert labels_picture(images, [("a", False)] * count, "heading").shape == (*size, 3)


@pytest.mark.parametrize("subset", [5, 200, None])
def test_the_images_shown_are_spread_over_the_training_set_and_have_their_own_labels(monkeypatch, subset):
    data = Digits(
        noise=SymmetricNoise(0.5), num_classes=10, channels=1, image_size=8, mean=[0.5], std=[0.5], subset=subset
    )
    data.setup()
    shown = {}
    monkeypatch.setattr(module, "labels_picture", lambda images, captions, heading: shown.update(locals()))
    contact_sheet(data)
    index = data.splits["train"]
    assert len(shown["images"]) == len(shown["captions"]) == min(32, len(index))
    for images, place in ((shown["images"][0], index[0]), (shown["images"][-1], index[-1])):
        np.testing.assert_array_equal(images, data.images("train")[index == place][0])
    all_images = data.images("train")
    places = [int(np.flatnonzero((all_images == image).all(axis=(1, 2, 3)))[0]) for image in shown["images"]]
    assert np.ptp(np.diff(places)) <= 1  # even steps
    labels = [(data.given[i], data.labels.truth[i]) for i in index[places]]
    assert [wrong for _, wrong in shown["captions"]] == [given != clean for given, clean in labels]
    rate = (data.given != data.labels.truth)[index].mean()
    assert f"{len(index):,} training labels, symmetric noise of 0.5: {rate:.1%} are wrong" in shown["heading"]


def test_the_callback_leaves_a_png_that_the_trackers_have_too(digits):
    outcome = digits("callbacks=[early_stopping,contact_sheet]", "logger=tensorboard", "noise.rate=0.5")
    assert outcome.code == 0, outcome.err
    sheet = np.asarray(Image.open(outcome.folder / "figures/labels.png"))
    assert sheet.shape == (763, 1210, 3)
    assert red(sheet).sum() > 1000
    events = EventAccumulator(str(outcome.folder / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    (picture,) = events.Images("labels")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(picture.encoded_image_string))), sheet)


def test_a_sheet_is_drawn_only_where_it_is_asked_for_and_is_no_part_of_the_identity(digits):
    with_sheet = digits("callbacks=contact_sheet", "trainer.max_epochs=1")
    assert (with_sheet.folder / "figures/labels.png").exists()
    without = digits("trainer.max_epochs=1", "force=true")
    assert without.folder == with_sheet.folder
    assert not (without.folder / "figures").exists()


def test_labels_from_a_file_have_no_rate_to_show(digits, tmp_path):
    np.save(tmp_path / "labels.npy", np.arange(1438) % 10)
    outcome = digits("noise=file", "noise.path=labels.npy", "callbacks=contact_sheet")
    assert outcome.code == 0, outcome.err
    assert (outcome.folder / "figures/labels.png").exists()
