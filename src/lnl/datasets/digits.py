"""The handwritten digits that come with scikit-learn: real data that needs no download."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

from lnl.datasets.images import Form
from lnl.datasets.source import Dataset, Source, hold_out_test


@dataclass(frozen=True)
class Digits(Source):
    """1,797 handwritten digits of 8x8 in 10 classes (UCI Optical Recognition of Handwritten Digits, its test part).

    A fixed, stratified fifth (359) is the test set.
    """

    def read(self, form: Form, progress: bool = False) -> Dataset:
        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
        return hold_out_test(images, digits.target.astype(np.int64), [str(name) for name in digits.target_names])
