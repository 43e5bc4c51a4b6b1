"""ANIMAL-10N: pictures of animals that look alike, labelled by students."""

from dataclasses import dataclass
from typing import ClassVar

from lnl.datasets.published import Listed, PublishedSet

CLASSES = (
    *("cat", "lynx", "wolf", "coyote", "cheetah"),
    *("jaguar", "chimpanzee", "orangutan", "hamster", "guinea pig"),
)


@dataclass(frozen=True, kw_only=True)
class Animal10N(PublishedSet):
    """ANIMAL-10N (Song et al., ICML 2019): 50,000 pictures of 64x64 in 10 classes, of whose labels about 8 % are wrong.

    The 5,000 test pictures are those on whose class people and the search agreed. The name of a file starts with its
    label and an underscore.
    """

    folder = "ANIMAL-10N"
    home = "dm.kaist.ac.kr/datasets/animal-10n (the raw images, not the binary version)"
    counts: ClassVar = {"training": 50_000, "testing": 5_000}

    def listed(self) -> Listed:
        return Listed(CLASSES, self._part("training"), self._part("testing"))

    def _part(self, folder: str) -> dict[str, int]:
        names = self.pictures(folder)
        self.check_count(folder, names, folder, "pictures")
        found = {name: name.removeprefix(f"{folder}/").partition("_")[0] for name in names}
        if wrong := next((name for name, label in found.items() if not label.isdecimal()), None):
            raise self.incomplete(f"the name of {self.root / wrong} does not start with a label")
        return {name: int(label) for name, label in found.items()}
