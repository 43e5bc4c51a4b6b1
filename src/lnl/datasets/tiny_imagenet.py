"""Tiny ImageNet: 200 classes of ImageNet at 64x64."""

from dataclasses import dataclass
from typing import ClassVar

from lnl.datasets.published import Listed, PublishedSet, first_names


@dataclass(frozen=True, kw_only=True)
class TinyImageNet(PublishedSet):
    """Tiny ImageNet (Le and Yang, 2015): 100,000 pictures of 64x64 in 200 classes, taken to be right.

    The test set are its 10,000 validation pictures, as in papers: the labels of its test set are not public. Classes
    have the order of ``wnids.txt``.
    """

    folder = "tiny-imagenet-200"
    home = "cs231n.stanford.edu/tiny-imagenet-200.zip"
    counts: ClassVar = {"classes": 200, "train": 100_000, "test": 10_000}
    noisy = False

    def listed(self) -> Listed:
        synsets = [line.strip() for line in self.lines("wnids.txt")]
        self.check_count("classes", synsets, "wnids.txt")
        described = {row[0]: row[1] for row in self.rows("words.txt", "\t")}
        classes = first_names([described.get(synset, synset) for synset in synsets])
        number = {synset: label for label, synset in enumerate(synsets)}
        train = {name: label for synset, label in number.items() for name in self.pictures(f"train/{synset}/images")}
        self.check_count("train", train, "train", "pictures")
        rows = self.rows("val/val_annotations.txt", "\t")
        self.check_count("test", rows, "val/val_annotations.txt")
        labels = self.numbered("val/val_annotations.txt", (row[1] for row in rows), number)
        test = {f"val/images/{row[0]}": label for row, label in zip(rows, labels, strict=True)}
        return Listed(classes, train, test)
