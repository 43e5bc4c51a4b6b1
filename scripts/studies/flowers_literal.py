"""The mistake of a study (docs/studies/flowers.md), to be looked at."""

from dataclasses import dataclass, replace

from lnl.data import Dataset, Form, TFFlowers
from lnl.datasets.flowers import TFFlowersSunflower
from lnl.labels import Labels


@dataclass(frozen=True)
class SunflowerOfFive(TFFlowersSunflower):
    """Sunflower or not, with three further classes that no image has.

    Most wrong labels of noise over these five classes are no answer to the question; the model has outputs for them.
    """

    def read(self, form: Form, progress: bool = False) -> Dataset:
        two = super().read(form, progress)
        classes = (*two.labels.classes, "label 2", "label 3", "label 4")
        return replace(two, labels=Labels.true(two.labels.given, classes))


class TFFlowersSunflowerLiteral(TFFlowers):
    """The photographs of tf_flowers under those labels."""

    reads = SunflowerOfFive
