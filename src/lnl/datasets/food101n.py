"""Food-101N: pictures of dishes found on the web, tested on those of Food-101."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lnl.datasets.published import Listed, PublishedSet

NOISY, CLEAN = "Food-101N_release", "food-101"


@dataclass(frozen=True, kw_only=True)
class Food101N(PublishedSet):
    """Food-101N (arXiv:1711.07131): 310,009 pictures in 101 classes, of whose labels about 20 % are wrong.

    The test set are the 25,250 test pictures of Food-101 (Bossard et al., ECCV 2014), which is a set of its own.

    Args:
        verified: whether training pictures whose label people have found right are trusted samples: those marked 1 in
            ``verified_train.tsv``, which has a verdict on 52,868 of them.
    """

    folder = f"{NOISY} and {CLEAN}"
    home = f"kuanghuei.github.io/Food-101N ({NOISY}) and data.vision.ee.ethz.ch/cvl/datasets_extra/food-101 ({CLEAN})"
    counts: ClassVar = {"classes": 101, "train": 310_009, "verified": 52_868, "test": 25_250}

    verified: bool = False

    @property
    def root(self) -> Path:
        return Path(self.data_dir).expanduser()

    def listed(self) -> Listed:
        classes = [line.strip() for line in self.lines(f"{NOISY}/meta/classes.txt")[1:]]
        self.check_count("classes", classes, f"{NOISY}/meta/classes.txt", "classes")
        number = {name: label for label, name in enumerate(classes)}
        train = self._part(
            "train", f"{NOISY}/meta/imagelist.tsv", self.lines(f"{NOISY}/meta/imagelist.tsv")[1:], number
        )
        names = [f"{line.strip()}.jpg" for line in self.lines(f"{CLEAN}/meta/test.txt")]
        test = self._part("test", f"{CLEAN}/meta/test.txt", names, number)
        return Listed(classes, train, test, trusted=self._right() if self.verified else ())

    def _part(self, part: str, name: str, keys: list[str], number: Mapping[str, int]) -> dict[str, int]:
        """The label of each picture ``<class>/<file>`` of a list; ``number`` is that of each class."""
        self.check_count(part, keys, name)
        labels = self.numbered(name, (key.partition("/")[0] for key in keys), number)
        folder = name.partition("/")[0]
        return {f"{folder}/images/{key.strip()}": label for key, label in zip(keys, labels, strict=True)}

    def _right(self) -> set[str]:
        """The files whose label was found right. One of those with a verdict is not in the list of the set."""
        verdicts = self.rows(f"{NOISY}/meta/verified_train.tsv", "\t")[1:]
        self.check_count("verified", verdicts, f"{NOISY}/meta/verified_train.tsv")
        return {f"{NOISY}/images/{row[0]}" for row in verdicts if row[1] == "1"}
