"""The classifier for notebooks: as scikit-learn wants it, and the same training as the command's."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from lnl import NoisyLabelClassifier
from lnl.errors import UserError
from tests.conftest import above_chance, weights

IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES = np.round(IMAGES * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)[:600]
LABELS = LABELS[:600]
WORDS = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
SMALL = {"model": "mlp_1x512", "epochs": 2, "batch_size": 32}


# The rows of numbers that scikit-learn's checks make are laid out as images. None of the checks is expected to fail;
# check_array_api_input is skipped unless SCIPY_ARRAY_API is set.
@parametrize_with_checks([NoisyLabelClassifier(model="mlp_1x512", epochs=8, batch_size=16, learning_rate=0.005)])
@pytest.mark.slow
def test_it_is_an_estimator_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_it_learns_digits_and_says_what_it_learned():
    classifier = NoisyLabelClassifier(model="mlp_1x512", epochs=8, learning_rate=3e-3).fit(
        IMAGES[:500], WORDS[LABELS[:500]]
    )
    assert classifier.score(IMAGES[500:], WORDS[LABELS[500:]]) > above_chance(100)
    assert classifier.classes_.tolist() == sorted(WORDS)
    probabilities = classifier.predict_proba(IMAGES[500:])
    assert probabilities.shape == (100, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(classifier.predict(IMAGES[500:]), classifier.classes_[probabilities.argmax(axis=1)])
    assert classifier.history_["epoch"].tolist() == list(range(8))


def test_it_is_the_training_of_the_command(train, tmp_path):
    """The same images, settings and seed: the same split, the same weights."""
    np.savez(
        tmp_path / "digits.npz",
        images=IMAGES[:500],
        labels=LABELS[:500],
        test_images=IMAGES[500:],
        test_labels=LABELS[500:],
    )
    treatment = ["data.channels=1", "data.mean=[0.3]", "data.std=[0.4]", "augment=crop_flip"]
    settings = ["model=mlp_1x512", "loss=gce", "loss.q=0.4", "optimizer=adam", "seed=3", "trainer.max_epochs=2"]
    settings += ["scheduler=none"]  # own data has another
    data = ["data=arrays", "data.path=digits.npz", "data.batch_size=64", "data.val_fraction=0.25", "data.split_seed=3"]
    run = train(*data, *treatment, *settings, "trainer.precision=32-true")
    assert run.code == 0, run.err
    folder = run.folder
    classifier = NoisyLabelClassifier(
        model="mlp_1x512",
        loss="gce",
        epochs=2,
        validation_fraction=0.25,
        random_state=3,
        overrides=["loss.q=0.4", "trainer.precision=32-true", *treatment],
        folder=tmp_path / "kept",
    ).fit(IMAGES[:500], LABELS[:500])
    ours, expected = weights(tmp_path / "kept"), weights(folder)
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(ours[name], value), name
    own = pd.read_csv(folder / "predictions.csv")[[f"p_{name}" for name in range(10)]]
    np.testing.assert_allclose(classifier.predict_proba(IMAGES[500:]), own, atol=2e-6)


def test_the_same_seed_is_the_same_model_and_the_callers_generators_are_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002, it is what might be touched
    first, again = (NoisyLabelClassifier(**SMALL).fit(IMAGES, LABELS).predict_proba(IMAGES) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    other = NoisyLabelClassifier(**SMALL, random_state=np.random.RandomState(5)).fit(IMAGES, LABELS)
    assert np.abs(other.predict_proba(IMAGES) - first).max() > 0.01


def test_it_is_cloned_and_pickled():
    classifier = NoisyLabelClassifier(**SMALL, loss="gce", overrides=["loss.q=0.3"]).fit(IMAGES, LABELS)
    assert clone(classifier).get_params() == classifier.get_params()
    content = pickle.dumps(classifier)
    assert len(content) < 1_000_000  # the weights of 512 x 74 floats, and no images
    copy = pickle.loads(content)
    np.testing.assert_array_equal(copy.predict_proba(IMAGES), classifier.predict_proba(IMAGES))
    with pytest.raises(ValueError, match=r"find_label_issues\(X, y\) needs the images"):
        copy.find_label_issues()


@pytest.mark.slow
def test_it_takes_part_in_what_scikit_learn_does_with_estimators():
    classifier = NoisyLabelClassifier(**SMALL)
    assert cross_val_predict(classifier, IMAGES, WORDS[LABELS], cv=2).shape == (600,)
    scaled = make_pipeline(FunctionTransformer(lambda images: images / 255), NoisyLabelClassifier(**SMALL))
    np.testing.assert_array_equal(
        scaled.fit(IMAGES, LABELS).predict_proba(IMAGES), classifier.fit(IMAGES, LABELS).predict_proba(IMAGES)
    )
    rows = make_pipeline(StandardScaler(), NoisyLabelClassifier(**{**SMALL, "epochs": 6}))
    assert rows.fit(IMAGES.reshape(600, 64), LABELS).score(IMAGES.reshape(600, 64), LABELS) > above_chance(600)
    search = GridSearchCV(classifier, {"learning_rate": [1e-7, 1e-2], "loss": ["ce", "mae"]}, cv=2)
    assert search.fit(IMAGES, LABELS).best_params_ == {"learning_rate": 1e-2, "loss": "ce"}


@pytest.mark.parametrize("as_numbers", [False, True])
def test_trusted_samples_reach_the_method(as_numbers):
    """Two of three labels are each digit's next: only who trusts the others can tell which is right."""
    trusted = np.zeros(600, dtype=bool)
    trusted[np.random.default_rng(0).permutation(600)[:200]] = True
    wrong = np.where(trusted, LABELS, (LABELS + 1) % 10)
    options = {**SMALL, "epochs": 14, "learning_rate": 5e-3}
    classifier = NoisyLabelClassifier(
        "label_correction", **options, overrides=["method.stage1_epochs=12", "method.fresh_model=false"]
    )
    classifier.fit(IMAGES, wrong, trusted=np.flatnonzero(trusted) if as_numbers else trusted)
    told = classifier.score(IMAGES[~trusted], LABELS[~trusted])
    assert told > above_chance(400)
    assert told > NoisyLabelClassifier(**options).fit(IMAGES, wrong).score(IMAGES[~trusted], LABELS[~trusted])
    with pytest.raises(UserError, match=r"fit\(images, labels, trusted=...\)"):
        classifier.fit(IMAGES, wrong)


def test_wrong_labels_are_found():
    rng = np.random.default_rng(0)
    wrong = rng.permutation(600)[:60]
    given = WORDS[LABELS].copy()
    given[wrong] = WORDS[(LABELS[wrong] + rng.integers(1, 10, 60)) % 10]
    trusted = np.setdiff1d(np.arange(600), wrong)[:50]
    classifier = NoisyLabelClassifier(**{**SMALL, "epochs": 6}).fit(IMAGES, given, trusted)
    issues = classifier.find_label_issues(folds=3)
    assert sorted(issues["index"]) == np.setdiff1d(np.arange(600), trusted).tolist()
    assert issues["given_label"].tolist() == given[issues["index"]].tolist()
    assert issues["rank"].tolist() == list(range(1, 551))
    assert np.isin(issues["index"][:60], wrong).mean() > above_chance(60, classes=550 / 60)
    found = issues[np.isin(issues["index"], wrong)][:40]
    assert (found["suggested_label"] == WORDS[LABELS[found["index"]]]).mean() > above_chance(40)
    again = NoisyLabelClassifier(**{**SMALL, "epochs": 6}).find_label_issues(IMAGES, given, trusted, folds=3)
    pd.testing.assert_frame_equal(issues, again)


def test_copies_of_an_image_are_in_one_fold(monkeypatch):
    """Without copies the folds are scikit-learn's."""
    seen = []
    monkeypatch.setattr(
        "lnl.classifier.cross_val_predict", lambda *_, cv, **__: seen.append(cv) or np.full((len(given), 3), 1 / 3)
    )
    images, given = IMAGES[:90], np.arange(90) % 3
    NoisyLabelClassifier(**SMALL).find_label_issues(images, given, folds=3)
    expected = StratifiedKFold(3, shuffle=True, random_state=0).split(images, given)
    for (train, test), (their_train, their_test) in zip(seen[0], expected, strict=True):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)
    copied = images.copy()
    copied[60:] = copied[:30]  # of the same class
    NoisyLabelClassifier(**SMALL).find_label_issues(copied, given, folds=3)
    assert sorted(np.concatenate([test for _, test in seen[1]])) == list(range(90))
    for train, test in seen[1]:
        assert not set(test) & set(train)
        assert not set(test[test >= 60] - 60) & set(train)
        assert np.bincount(given[test]).tolist() == [10, 10, 10]


@pytest.mark.parametrize("dtype", [np.int64, str, object, bool, float])
def test_labels_are_of_any_type(dtype):
    labels = (WORDS[LABELS] if dtype is object else LABELS % 2).astype(dtype)
    classifier = NoisyLabelClassifier(**SMALL).fit(IMAGES, labels)
    assert classifier.predict(IMAGES).dtype == labels.dtype
    assert set(classifier.predict(IMAGES)) <= set(labels)


def test_images_of_any_kind_are_the_same_images():
    colour = np.repeat(IMAGES[..., None], 3, axis=3)
    expected = NoisyLabelClassifier(**SMALL).fit(IMAGES, LABELS)
    given = [IMAGES[..., None], IMAGES.astype(np.int32), IMAGES / np.float32(255), IMAGES.tolist()]
    for images in given:
        np.testing.assert_array_equal(expected.predict_proba(images), expected.predict_proba(IMAGES))
    read_only = IMAGES.copy()
    read_only.flags.writeable = False
    assert IMAGES.flags.writeable
    fitted = NoisyLabelClassifier(**SMALL).fit(read_only, LABELS)
    np.testing.assert_array_equal(fitted.predict_proba(IMAGES), expected.predict_proba(IMAGES))
    in_colour = NoisyLabelClassifier(**SMALL, image_size=12).fit(colour, LABELS)
    assert in_colour.model_.preparation.image_size == 12
    np.testing.assert_array_equal(in_colour.predict_proba(colour), in_colour.predict_proba(IMAGES))
    assert in_colour.predict(np.zeros((2, 30, 20, 3), dtype=np.uint8)).shape == (2,)


MISTAKES = {
    "channels first": (lambda c: c.fit(np.zeros((9, 3, 8, 8), np.uint8), LABELS[:9]), r"transpose\(0, 2, 3, 1\)"),
    "channels": (lambda c: c.fit(np.zeros((9, 8, 8, 4), np.uint8), LABELS[:9]), "of 1 or 3 channels"),
    "range": (lambda c: c.fit(IMAGES.astype(float), LABELS), r"floats in 0..1; got float64 in 0.0..255.0"),
    "nan": (lambda c: c.fit(np.full((9, 8, 8), np.nan), LABELS[:9]), "got float64 in nan..nan"),
    "labels": (lambda c: c.fit(IMAGES, LABELS[:-1]), "inconsistent numbers of samples"),
    "no images": (lambda c: c.fit(IMAGES[:0], LABELS[:0]), r"got \[0, 8, 8\]"),
    "one image": (lambda c: c.fit(IMAGES[:1], LABELS[:1]), "got n_samples=1"),
    "one class": (lambda c: c.fit(IMAGES, LABELS * 0), "at least 2 classes"),
    "trusted mask": (lambda c: c.fit(IMAGES, LABELS, np.ones(9, bool)), "trusted must be 600 booleans or numbers"),
    "trusted number": (lambda c: c.fit(IMAGES, LABELS, [600]), "trusted names sample 600"),
    "a class of one": (
        lambda c: c.find_label_issues(IMAGES[:61], np.arange(61) // 30),
        "the class .*2.* has 1 diff.*=5",
    ),
    "a class of copies": (
        lambda c: c.find_label_issues(IMAGES[[*range(30), *[30] * 9]], np.arange(39) // 30, folds=2),
        "has 1 different images, fewer than folds=2",
    ),
    "half the data": (lambda c: c.find_label_issues(IMAGES), "needs the images and the labels"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_a_value_error(name):
    call, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message):
        call(NoisyLabelClassifier(**SMALL))


PARAMETERS = {
    "loss": ({"loss": "gec"}, "loss has no option 'gec'; did you mean 'gce'?"),
    "override": ({"overrides": ["augmnt=flip"]}, "did you mean 'augment'?"),
    "value": ({"overrides": ["data.augment=rotate"]}, "augment has no option 'rotate'"),
    "protocol": ({"protocol": "best"}, "protocol must be last or noisy_val_best"),
    "model": ({"model": "cnn", "image_size": 2}, "images of 2x2 are too small"),
    "accelerator": ({"accelerator": "abacus"}, "trainer:"),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_that_cannot_be_is_explained_as_by_the_command(name):
    parameters, message = PARAMETERS[name]
    with pytest.raises(UserError) as error:
        NoisyLabelClassifier(**{**SMALL, **parameters}).fit(IMAGES, LABELS)
    assert message in str(error.value)


def test_it_is_to_be_fitted_first():
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        NoisyLabelClassifier().predict(IMAGES)


def test_the_chosen_epoch_is_the_one_that_is_kept(tmp_path):
    unlearns = ["scheduler=multistep", "scheduler.milestones=[2]", "scheduler.gamma=-1"]
    options = {**SMALL, "epochs": 3, "overrides": unlearns, "folder": tmp_path / "kept"}
    for protocol in ("last", "noisy_val_best"):
        classifier = NoisyLabelClassifier(**options, protocol=protocol).fit(IMAGES, LABELS)
        kept = weights(tmp_path / "kept", protocol)
        for name, value in classifier.model_.network.state_dict().items():
            assert torch.equal(value, kept[f"model.{name}"]), name
    assert classifier.history_["val/accuracy"].argmax() < 2  # so that the two differ
    assert (tmp_path / "kept/metrics.csv").is_file()


def test_a_folder_of_somebody_elses_run_is_left_alone(digits):
    folder = digits().folder
    with pytest.raises(UserError, match="holds a run of another configuration"):
        NoisyLabelClassifier(**SMALL, folder=folder).fit(IMAGES, LABELS)
    assert (folder / "result.json").exists()


def test_nothing_is_left_behind_or_said(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    NoisyLabelClassifier(**SMALL).fit(IMAGES, LABELS).predict(IMAGES)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_importing_lnl_does_not_load_torch():
    code = "import sys, lnl; assert 'torch' not in sys.modules; lnl.NoisyLabelClassifier; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
