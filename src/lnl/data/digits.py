"""The handwritten digits that come with scikit-learn: real data that needs no download."""

import numpy as np
from sklearn.datasets import load_digits

from lnl.data.images import Dataset, LabelledImages, hold_out_test
from lnl.data.module import NoisyDataModule


class Digits(NoisyDataModule):
    """1,797 handwritten digits of 8x8 in 10 classes (UCI Optical Recognition of Handwritten Digits, its test part).

    A fixed, stratified fifth (359) is the test set.
    """

    def load(self) -> Dataset:
        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
        everything = LabelledImages(images, digits.target.astype(np.int64))
        return hold_out_test(everything, [str(name) for name in digits.target_names])
