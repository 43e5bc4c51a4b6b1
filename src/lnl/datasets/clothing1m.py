"""Clothing1M: a million photos from shopping sites, labelled by the words around them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from lnl.datasets.images import check_choice
from lnl.datasets.published import Listed, PublishedSet

CLASSES = 14


@dataclass(frozen=True, kw_only=True)
class Clothing1M(PublishedSet):
    """Clothing1M (Xiao et al., CVPR 2015): 1,000,000 photos in 14 classes, of whose labels about 38 % are wrong.

    Others have labels that people made: 47,570 for training, 14,313 for validation, 10,526 for testing.

    Args:
        val: ``noisy`` holds out training samples for validation, with the labels they were given. ``clean`` validates
            on the 14,313 photos with right labels, as the papers do.
        clean_train: whether the 47,570 photos with right labels are trained on as well, as trusted samples.
    """

    folder = "Clothing1M"
    home = "github.com/Cysu/noisy_label (its owners send a link on request)"
    counts: ClassVar = {
        "noisy_train": 1_000_000,
        "clean_train": 47_570,
        "clean_val": 14_313,
        "clean_test": 10_526,
        "classes": CLASSES,
    }

    val: Literal["noisy", "clean"] = "noisy"
    clean_train: bool = False

    def __post_init__(self) -> None:
        check_choice("val", self.val, ("noisy", "clean"))

    def listed(self) -> Listed:
        classes = [line.strip() for line in self.lines("category_names_eng.txt")]
        self.check_count("classes", classes, "category_names_eng.txt", "classes")
        noisy, clean = (self.labelled(f"{kind}_label_kv.txt", below=CLASSES) for kind in ("noisy", "clean"))
        trusted = self._part("clean_train", clean) if self.clean_train else {}
        val = self._part("clean_val", clean) if self.val == "clean" else {}
        train = self._part("noisy_train", noisy) | trusted | val
        return Listed(classes, train, self._part("clean_test", clean), clean_val=val, trusted=trusted)

    def _part(self, name: str, labels: dict[str, int]) -> dict[str, int]:
        """The labels of the files in ``<name>_key_list.txt``."""
        path = f"{name}_key_list.txt"
        keys = [line.strip() for line in self.lines(path)]
        self.check_count(name, keys, path)
        return dict(zip(keys, self.numbered(path, keys, labels), strict=True))
