"""Labels as people write them: the same classes whoever reads them, and however many are read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnl.errors import UserError
from lnl.labels.classes import class_numbers
from lnl.noise import FileNoise
from lnl.noise.transition import class_index
from tests.datasets.own import arrays, write_arrays
from tests.noise.drawn import record_of


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (["dog", "cat"], ["cat", "dog"], [1, 0]),
        (["1", "0"], ["cat", "dog"], [1, 0]),
        (["1.0", "0."], ["cat", "dog"], [1, 0]),
        (["1", "2", "3"], ["1", "2", "3"], [0, 1, 2]),
        (["1.0", "2.0"], ["1", "2", "3"], [0, 1]),
        (["1", "2"], ["1.0", "2.0"], [0, 1]),
        (["1", "1.0"], ["1.0", "1"], [1, 0]),
        (["3", "7"], ["3", "7"], [0, 1]),
        (["0", "1"], ["3", "7"], [0, 1]),  # which no class is called
        (["0", "1", "2"], ["0", "1", "3"], [0, 1, 2]),  # where those that are called by numbers have their own
        (["0", "1", "2"], ["1", "2", "3"], [None, 0, 1]),
        (["0"], ["1", "2", "3"], [None]),
        (["cat", "1"], ["cat", "dog"], [0, None]),
        (["cat", "wolf"], ["cat", "dog"], [0, None]),
        (["1", "2", "-1", "1.5", "\u00b2", ""], ["cat", "dog"], [1, None, None, None, None, None]),
    ],
)
def test_labels_are_names_or_all_are_numbers(labels, classes, expected):
    assert [class_numbers(labels, classes).get(label) for label in labels] == expected


names = st.sampled_from(["0", "1", "2", "3", "1.0", "01", "cat", "dog", "7"])


@given(
    classes=st.lists(names, min_size=2, max_size=4, unique=True), labels=st.lists(names, unique=True), data=st.data()
)
def test_a_part_of_the_labels_means_the_same_classes_as_all(classes, labels, data):
    numbers = class_numbers(labels, classes)
    if len(numbers) == len(labels):
        part = data.draw(st.lists(st.sampled_from(labels))) if labels else []
        assert class_numbers(part, classes) == {label: numbers[label] for label in part}


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ("012", ["1", "2", "3"], "'0' is no class; the classes are 1, 2, 3, by name and not by number"),
        ("123", ["1", "2", "3"], [0, 1, 2]),
        ("012", ["3", "4", "5"], [0, 1, 2]),
        (["1.0", "2.0", "3.0"], ["1", "2", "3"], [0, 1, 2]),
        (["cat", "cat", "1"], ["cat", "dog"], "'1' is no class; the classes are cat, dog"),
        (["cafe\u0301", " dog", "dog"], ["caf\u00e9", "dog"], [0, 1, 1]),
    ],
)
def test_data_and_noise_from_a_file_read_the_same_labels_alike(tmp_path, labels, classes, expected):
    written = [labels[number % 3] for number in range(30)]
    data = arrays(write_arrays(tmp_path / "a.npz", labels=np.array(written)), classes=classes, test_fraction=0)
    (tmp_path / "labels.csv").write_text("\n".join(["label", *written]))
    noise = FileNoise(tmp_path / "labels.csv")
    images = np.zeros((30, 1, 1, 1), dtype=np.uint8)
    if isinstance(expected, str):
        for read in (data.setup, lambda: record_of(noise, np.zeros(30, dtype=np.int64), images, classes)):
            with pytest.raises((UserError, ValueError)) as error:
                read()
            assert expected in str(error.value)
    else:
        data.setup()
        assert data.given.tolist() == expected * 10
        assert record_of(noise, data.given, images, classes).labels.tolist() == expected * 10


def test_a_map_names_classes_as_labels_do():
    assert [class_index(name, ["1", "2", "3"]) for name in ("1", 2)] == [0, 1]
    with pytest.raises(ValueError, match="'0' is no class"):
        class_index(0, ["1", "2", "3"])
