import numpy as np
import pytest

from lnl.noise import FileNoise
from tests.noise.drawn import record_of

CLASSES = ("cat", "dog", "fox")
LABELS = [2, 0, 1, 1, 0]


def written(tmp_path):
    (tmp_path / "labels.csv").write_text("\n".join(map(str, LABELS)) + "\n")
    return FileNoise(tmp_path / "labels.csv")


def test_noise_from_a_file_is_what_the_file_says(tmp_path):
    clean = np.array([2, 0, 0, 1, 1])
    record = record_of(written(tmp_path), clean, np.zeros((5, 1, 1, 1)), CLASSES)
    assert record.labels.tolist() == LABELS
    assert (record.kind, record.rate) == ("file", None)
    assert record.actual_rate() == pytest.approx(2 / 5)
    np.testing.assert_allclose(record.transition, [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])


def test_a_file_of_another_length_is_refused(tmp_path):
    with pytest.raises(ValueError, match="5 labels, but the training set has 6 samples"):
        record_of(written(tmp_path), np.zeros(6, dtype=np.int64), np.zeros((6, 1, 1, 1)), CLASSES)
