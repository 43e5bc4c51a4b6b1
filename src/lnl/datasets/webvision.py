"""WebVision 1.0: pictures found by searching for the names of ImageNet's classes."""

from dataclasses import dataclass
from typing import ClassVar

from lnl.datasets.published import Listed, PublishedSet, first_names

CLASSES = 50
OF_CLASSES = f"pictures of the first {CLASSES} classes"


@dataclass(frozen=True, kw_only=True)
class WebVision(PublishedSet):
    """Mini-WebVision (arXiv:1905.05040): what Google found for the first 50 classes of WebVision (arXiv:1708.02862).

    65,944 training pictures are labelled with the class that was searched for; about 20 % of these labels are wrong.
    The test set are WebVision's 2,500 validation pictures of these classes, which people have checked. All are read in
    the version whose shorter side has 256 pixels.
    """

    folder = "WebVision"
    home = "data.vision.ee.ethz.ch/cvl/webvision (info.tar, google_resized_256.tar, val_images_256.tar)"
    counts: ClassVar = {"classes": 1000, "train": 65_944, "test": 2_500}

    def listed(self) -> Listed:
        rows = self.rows("info/synsets.txt")
        self.check_count("classes", rows, "info/synsets.txt")
        synsets = {row[0]: " ".join(row[1:]) for row in rows[:CLASSES]}
        train = self.labelled("info/train_filelist_google.txt", below=CLASSES)
        self.check_count("train", train, "info/train_filelist_google.txt", OF_CLASSES)
        return Listed(first_names(list(synsets.values())), train, self.tested(list(synsets)))

    def tested(self, synsets: list[str]) -> dict[str, int]:
        """The label of each test picture; ``synsets`` are the names of the classes in WordNet's files."""
        test = self.labelled("info/val_filelist.txt", below=CLASSES, folder="val_images_256/")
        self.check_count("test", test, "info/val_filelist.txt", OF_CLASSES)
        return test


@dataclass(frozen=True, kw_only=True)
class WebVisionImageNet(WebVision):
    """Mini-WebVision, tested on the validation pictures of ImageNet (ILSVRC2012) of the same classes, 50 of each.

    They are in ``imagenet/val/<synset>/`` beside WebVision's folders.
    """

    home = f"{WebVision.home}, imagenet/val/<synset>/ in it from image-net.org (ILSVRC2012),"

    def tested(self, synsets: list[str]) -> dict[str, int]:
        folders = {f"imagenet/val/{synset}": label for label, synset in enumerate(synsets)}
        test = {name: label for folder, label in folders.items() for name in self.pictures(folder)}
        self.check_count("test", test, "imagenet/val", OF_CLASSES)
        return test
