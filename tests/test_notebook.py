"""What a notebook may give the classifier: files, PIL images, tensors, arrays of several sizes; and what it may not."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lnl import NoisyLabelClassifier
from lnl.datasets.pictures import read_picture

SMALL = {"model": "mlp_1x512", "epochs": 2, "batch_size": 8, "image_size": 12}
COUNT = 24
LABELS = np.arange(COUNT) % 3


def pixels(number, height=17, width=14, channels=3):
    """An image whose brightness tells its class."""
    rng = np.random.default_rng(number)
    return np.clip(rng.normal(60 + 70 * (number % 3), 30, (height, width, channels)), 0, 255).astype(np.uint8)


@pytest.fixture
def files(tmp_path):
    """Picture files of several sizes and modes."""
    modes = ("RGB", "L", "RGBA", "P", "CMYK", "1")
    names = []
    for number in range(COUNT):
        mode = modes[number // 3 % len(modes)]
        names.append(tmp_path / f"{number}.{'tif' if mode == 'CMYK' else 'png'}")
        Image.fromarray(pixels(number, 17 + number, 14 + number % 5)).convert(mode).save(names[-1])
    return names


def expected(files, size=12, channels=3):
    """The files as a user's own data is read."""
    return np.stack([read_picture(file, size, channels) for file in files])


def same(one, other):
    for name, value in one.model_.state_dict().items():
        torch.testing.assert_close(other.model_.state_dict()[name], value, rtol=0, atol=0, msg=name)


def opened(file):
    with Image.open(file) as picture:
        picture.load()
        return picture


KINDS = {
    "paths": lambda files: files,
    "text": lambda files: [str(file) for file in files],
    "array of text": lambda files: np.array([str(file) for file in files]),
    "column": lambda files: pd.Series([str(file) for file in files], index=range(100, 100 + COUNT)),
    "table of a column": lambda files: pd.DataFrame({"file": [str(file) for file in files]}),
    "PIL images": lambda files: [opened(file) for file in files],
    "files and PIL images": lambda files: [*files[:10], *(opened(file) for file in files[10:])],
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_any_kind_are_read_as_own_data(files, kind):
    """The same training and predictions as of the arrays that a user's own data would be."""
    arrays, given = expected(files), KINDS[kind](files)
    one = NoisyLabelClassifier(**SMALL).fit(arrays, LABELS)
    other = NoisyLabelClassifier(**SMALL).fit(given, LABELS)
    same(one, other)
    np.testing.assert_array_equal(one.predict_proba(arrays), other.predict_proba(given))
    np.testing.assert_array_equal(one.predict_proba(arrays), one.predict_proba(given))


def test_the_form_is_that_of_the_settings(files):
    options = {**SMALL, "overrides": ["data.channels=1", "data.fit=center_crop"]}
    classifier = NoisyLabelClassifier(**options).fit(files, LABELS)
    assert (classifier.model_.preparation.channels, classifier.model_.preparation.fit) == (1, "center_crop")
    cropped = np.stack([read_picture(file, 12, 1, "center_crop") for file in files])
    same(NoisyLabelClassifier(**SMALL).fit(cropped, LABELS), classifier)
    sizes = {"image_size": None}
    assert NoisyLabelClassifier(**{**SMALL, **sizes}).fit(files, LABELS).model_.preparation.image_size == 64
    square = [Image.fromarray(pixels(number, 20, 20)) for number in range(COUNT)]
    assert NoisyLabelClassifier(**{**SMALL, **sizes}).fit(square, LABELS).model_.preparation.image_size == 20


def test_arrays_of_several_sizes_are_pictures():
    arrays = [pixels(number, 17 + number % 4, 14, 1 if number % 2 else 3) for number in range(COUNT)]
    arrays[1] = arrays[1][..., 0] / 255  # floats, grey
    bytes_ = [array if array.dtype == np.uint8 else (array * 255).round().astype(np.uint8) for array in arrays]
    pictures = [Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array) for array in bytes_]
    one, other = (NoisyLabelClassifier(**SMALL).fit(given, LABELS) for given in (pictures, arrays))
    same(one, other)


def test_tensors_have_their_channels_first():
    images = np.stack([pixels(number, 12, 12) for number in range(COUNT)])
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    one = NoisyLabelClassifier(**SMALL).fit(images, LABELS)
    for given in (tensor, tensor.float() / 255, list(tensor), torch.from_numpy(images)):
        same(one, NoisyLabelClassifier(**SMALL).fit(given, torch.from_numpy(LABELS)))
        np.testing.assert_array_equal(one.predict_proba(images), one.predict_proba(given))


def test_images_of_another_size_and_number_of_channels_are_brought_to_those_of_training():
    images = np.stack([pixels(number, 12, 12) for number in range(COUNT)])
    classifier = NoisyLabelClassifier(**SMALL).fit(images, LABELS)
    grey = np.stack([pixels(number, 30, 20, 1) for number in range(COUNT)])
    shape = classifier.predict_proba(grey).shape
    assert shape == (COUNT, 3)
    np.testing.assert_array_equal(classifier.predict_proba(grey[..., 0]), classifier.predict_proba(grey.repeat(3, 3)))


def test_issues_of_files_are_those_of_their_arrays(files):
    one, other = (
        NoisyLabelClassifier(**SMALL).find_label_issues(given, LABELS, folds=2) for given in (expected(files), files)
    )
    pd.testing.assert_frame_equal(one, other)
    assert sorted(other["index"]) == list(range(COUNT))


def test_a_picture_of_the_user_stays_as_it_is(files):
    given = [Image.open(file) for file in files]
    sizes = [picture.size for picture in given]
    NoisyLabelClassifier(**SMALL).fit(given, LABELS)
    assert [picture.size for picture in given] == sizes
    assert given[0].mode == "RGB"
    assert given[4].mode == "L"
    for picture in given:
        picture.close()


IMAGES = np.stack([pixels(number, 12, 12) for number in range(COUNT)])
FITTED = {}


def fitted(rows=False):
    if rows not in FITTED:
        FITTED[rows] = NoisyLabelClassifier(**SMALL).fit(IMAGES.reshape(COUNT, -1) if rows else IMAGES, LABELS)
    return FITTED[rows]


MISTAKES = {
    "missing labels": (lambda c: c.fit(IMAGES, [*LABELS[:-2], None, None]), "y has 2 missing labels .* at position 22"),
    "labels that are NaN": (lambda c: c.fit(IMAGES, np.where(LABELS == 1, np.nan, LABELS)), "y has 8 missing labels"),
    "words and NaN": (lambda c: c.fit(IMAGES, ["a", float("nan"), *"ab" * 11]), "y has 1 missing .* at position 1"),
    "labels that are NA": (lambda c: c.fit(IMAGES, pd.array([*LABELS[:-1], pd.NA])), "y has 1 missing label "),
    "issues": (lambda c: c.find_label_issues(IMAGES, [*LABELS[:-1], None]), "y has 1 missing label "),
    "one file": (lambda c: c.fit("a.png", LABELS), r"got one file name: put it in a list, \[X\]"),
    "one PIL image": (lambda c: fitted().predict(Image.new("L", (9, 9))), "got one image: put it in a list"),
    "one array": (lambda c: fitted().predict(IMAGES[0]), r"X of shape \[12, 12, 3\] is one image: X\[None\]"),
    "no file": (
        lambda c: c.fit(["nowhere.png"] * COUNT, LABELS),
        r"24 of 24 images cannot be read: X\[0\] \(nowhere.png\): there is no such file; .*; \.\.\.$",
    ),
    "a missing image": (
        lambda c: c.fit([None, *IMAGES[1:]], LABELS),
        "X has 1 missing image, the first at position 0",
    ),
    "a missing name": (lambda c: c.fit(["a.png", float("nan")], [0, 1]), "X has 1 missing image, .* position 1"),
    "of two kinds": (
        lambda c: c.fit([*IMAGES[:-1], 7], LABELS),
        r"X must be file names, PIL images or arrays, got int \(X\[23\]\)",
    ),
    "floats in 0..255": (
        lambda c: c.fit(IMAGES.astype(np.float32), LABELS),
        r"got float32 in 0.0..255.0; X / 255 scales",
    ),
    "one of them": (
        lambda c: c.fit([*IMAGES[:-1], np.full((5, 5), 300.0)], LABELS),
        r"X\[23\]: images must be uint8, .*; got float64 in 300.0..300.0$",
    ),
    "nothing": (lambda c: c.fit([], []), "X has no images"),
    "nothing to predict": (lambda c: fitted().predict([]), "X has no images"),
    "no array to predict": (lambda c: fitted().predict(IMAGES[:0]), r"X has no images, got \[0, 12, 12, 3\]"),
    "rows after images": (
        lambda c: fitted().predict(IMAGES.reshape(COUNT, -1)),
        r"trained on images, and X has rows of numbers of shape \(24, 432\)",
    ),
    "images after rows": (lambda c: fitted(rows=True).predict(IMAGES), "trained on rows of numbers, and X has images"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_meant_is_one_line(name):
    call, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message) as error:
        call(NoisyLabelClassifier(**SMALL))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


def test_a_classifier_may_be_fitted_to_another_kind():
    classifier = NoisyLabelClassifier(**SMALL).fit(IMAGES.reshape(COUNT, -1), LABELS)
    assert classifier.n_features_in_ == 432
    classifier.fit(IMAGES, LABELS)
    assert not hasattr(classifier, "n_features_in_")
    assert classifier.predict(IMAGES).shape == (COUNT,)
