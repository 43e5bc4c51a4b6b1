import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from lnl.noise import HumanNoise
from tests.conftest import DATA_DIR, needs_cifar10
from tests.noise.drawn import record_of

CLASSES = [str(i) for i in range(10)]
CLEAN = np.arange(40) % 10
IMAGES = np.zeros((40, 1, 1, 1), dtype=np.uint8)
NAMES = ("worse_label", "aggre_label", "random_label1", "random_label2", "random_label3")


def arrays():
    rng = np.random.default_rng(0)
    return {"clean_label": CLEAN, **{name: rng.integers(0, 10, 40) for name in NAMES}}


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **content) if path.suffix == ".npz" else torch.save(content, path)
    return path


@pytest.mark.parametrize("name", ["cifar-n/cifar10n.npz", "cifar-n/CIFAR-10_human.pt", "CIFAR-10_human.pt"])
def test_the_labels_are_those_of_the_file(tmp_path, name):
    content = arrays()
    write(tmp_path / name, content)
    chosen = dict(zip(("worse", "aggre", "random1", "random2", "random3"), NAMES, strict=True))
    for labels, array in {None: "worse_label", **chosen}.items():
        record = record_of(HumanNoise(labels), CLEAN, IMAGES, CLASSES, tmp_path)
        np.testing.assert_array_equal(record.labels, content[array])
        assert record.labels.dtype == np.int64
        assert (record.kind, record.rate) == (f"human {labels or 'worse'}", None)
        assert record.actual_rate() == pytest.approx((content[array] != CLEAN).mean())


def test_a_pt_of_numpy_1_is_read(tmp_path):
    """As the authors saved it: numpy 1 calls the module of an array's constructor numpy.core."""
    path = write(tmp_path / "CIFAR-10_human.pt", arrays())
    unzipped, rewritten = torch.serialization._open_zipfile_reader(str(path)), tmp_path / "old.pt"
    content = unzipped.__enter__().get_record("data.pkl").replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core.multiarray" in content
    with open(rewritten, "wb") as file:  # the format before zip files, which the authors' torch may have written
        for part in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
            pickle.dump(part, file, protocol=2)
        file.write(content)
        pickle.dump([], file, protocol=2)
    record = record_of(HumanNoise("aggre", path=rewritten), CLEAN, IMAGES, CLASSES)
    np.testing.assert_array_equal(record.labels, arrays()["aggre_label"])


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_code_in_a_pt_is_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({**arrays(), "more": Harmful()}, "CIFAR-10_human.pt")
    with pytest.raises(ValueError, match="holds more than arrays, which is not executed"):
        record_of(HumanNoise(), CLEAN, IMAGES, CLASSES, Path("."))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clean_label": np.roll(CLEAN, 1)}, "not of this training set: .* at 40 of 40 samples, first at 0"),
        ({"clean_label": CLEAN[:30]}, "30 labels, but the training set has 40"),
        ({"worse_label": CLEAN + 1}, r"labels must be in 0\.\.9, got 1\.\.10"),
        ({"clean_label": np.array(["a"] * 40, dtype=object)}, "cannot be read as labels of CIFAR-N"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, change, message):
    write(tmp_path / "cifar-n/cifar10n.npz", arrays() | change)
    with pytest.raises(ValueError, match=message):
        record_of(HumanNoise(), CLEAN, IMAGES, CLASSES, tmp_path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match="worse, aggre, random1, random2, random3, noisy, got 'worst'"):
        HumanNoise("worst")
    with pytest.raises(ValueError, match=r"put CIFAR-10_human\.pt .* there, or say where it is by noise\.path"):
        record_of(HumanNoise(), CLEAN, IMAGES, CLASSES, tmp_path)
    with pytest.raises(ValueError, match="CIFAR-10 and CIFAR-100, but this data has 5 classes"):
        record_of(HumanNoise(), CLEAN, IMAGES, CLASSES[:5], tmp_path)
    write(tmp_path / "cifar-n/cifar10n.npz", arrays())
    with pytest.raises(ValueError, match="no labels 'noisy': it has worse, aggre"):
        record_of(HumanNoise("noisy"), CLEAN, IMAGES, CLASSES, tmp_path)
    broken = tmp_path / "broken.pt"
    for content in (b"", b"PK\x03\x04 cut off", b"labels\n"):
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.pt cannot be read as labels of CIFAR-N"):
            record_of(HumanNoise(path=broken), CLEAN, IMAGES, CLASSES)


def test_the_hundred_classes_have_labels_of_their_own(tmp_path):
    clean = np.arange(200) % 100
    write(tmp_path / "cifar-n/cifar100n.npz", {"clean_label": clean, "noisy_label": (clean + 1) % 100})
    record = record_of(HumanNoise(), clean, np.zeros((200, 1, 1, 1)), [str(i) for i in range(100)], tmp_path)
    assert record.actual_rate() == 1
    assert record.kind == "human noisy"


@needs_cifar10
@pytest.mark.skipif(not (DATA_DIR / "cifar-n").is_dir(), reason="LNL_DATA_DIR has no cifar-n")
@pytest.mark.slow
def test_cifar10n_has_the_rates_that_it_is_known_for():
    from lnl.data import CIFAR10

    for labels, rate in (("worse", 0.4021), ("aggre", 0.0901), ("random1", 0.1723), ("random2", 0.1812)):
        data = CIFAR10(
            noise=HumanNoise(labels),
            data_dir=DATA_DIR,
            num_classes=10,
            channels=3,
            image_size=32,
            mean=[0.5] * 3,
            std=[0.5] * 3,
        )
        data.setup()
        assert data.labels.noise.actual_rate() == pytest.approx(rate, abs=2e-4)


@pytest.mark.skipif(not (DATA_DIR / "cifar-n").is_dir(), reason="LNL_DATA_DIR has no cifar-n")
def test_cifar100n_has_the_rate_that_it_is_known_for():
    """Its images are not needed to read its labels."""
    clean = np.load(DATA_DIR / "cifar-n/cifar100n.npz")["clean_label"]
    record = record_of(HumanNoise(), clean, np.zeros((50_000, 1, 1, 1)), [str(i) for i in range(100)], DATA_DIR)
    assert record.actual_rate() == pytest.approx(0.402, abs=1e-4)
