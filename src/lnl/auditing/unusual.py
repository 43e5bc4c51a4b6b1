"""The unusual pictures on the audit's page, a section for each kind, apart from the doubtful labels."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lnl.auditing.kinds import COPIES, KINDS
from lnl.auditing.pictures import Picture

MOST = 60  # rows of a kind on the page

TITLES = {
    "copy": "Copies",
    "near_duplicate": "Near-duplicates",
    "odd": "Odd ones out",
    "blank": "Blank",
    "dark": "Dark",
    "bright": "Too bright",
    "blurred": "Blurred",
}
NOTES = {
    "copy": "The files are equal. None of them was used to judge the label of another.",
    "near_duplicate": "The same picture, saved again, resized, cropped a little or mirrored. None of them was used to "
    "judge the label of another.",
    "odd": "Much farther from all other pictures than is usual here: perhaps no class fits.",
    "blank": "Of one colour.",
    "dark": "Even the brightest parts are dark.",
    "bright": "Even the darkest parts are bright.",
    "blurred": "No part is sharp.",
}


@dataclass(frozen=True)
class Unusual:
    """All unusual pictures, as in ``pictures.csv`` (None if nobody looked), and the :func:`sections` of the page."""

    kinds: pd.DataFrame | None = None
    sections: list[dict[str, Any]] = field(default_factory=list)

    def of_samples(self, index: Sequence[int]) -> list[str]:
        """What each sample's card says that it is; empty of ordinary ones."""
        said = defaultdict(list)
        for row in [] if self.kinds is None else self.kinds.to_dict("records"):
            said[row["index"]].append(KINDS[row["kind"]][0])
        return [", ".join(said[sample]) for sample in index]

    def pictures(self) -> list[dict[str, Any]]:
        """All that are drawn; one that has several copies is drawn with each."""
        return [picture for part in self.sections for row in part["rows"] for picture in row["pictures"]]

    def size(self) -> int:
        """The bytes of the pictures in the page."""
        return sum(len(picture["picture"]) for picture in self.pictures() if picture["picture"] != picture["link"])

    def counted(self) -> str:
        """How many there are of each kind."""
        return ", ".join(f"{part['title'].lower()} {part['total']:,}" for part in self.sections)


def on_page(kinds: pd.DataFrame | None) -> pd.DataFrame:
    """The first rows of each kind."""
    return pd.DataFrame() if kinds is None else kinds.groupby("kind", sort=False).head(MOST)


def samples_of(shown: pd.DataFrame) -> list[int]:
    """The samples whose pictures the rows need, each once."""
    if not len(shown):
        return []
    both = pd.concat([shown["index"], shown["of_index"].dropna()])
    return [int(index) for index in both.unique()]


def sections(kinds: pd.DataFrame | None, shown: pd.DataFrame, pictures: Mapping[int, Picture]) -> list[dict[str, Any]]:
    """What the page draws of each kind that there is: ``title``, ``note``, ``total`` and ``rows`` of pictures."""
    if kinds is None or not len(kinds):
        return []
    found = []
    for kind in KINDS:
        rows = shown[shown["kind"] == kind].to_dict("records")
        if rows:
            total = int((kinds["kind"] == kind).sum())
            part = {"title": TITLES[kind], "note": NOTES[kind], "total": total}
            found.append(part | {"rows": [_row(row, pictures) for row in rows]})
    return found


def _row(row: Mapping[Any, Any], pictures: Mapping[int, Picture]) -> dict[str, Any]:
    shown = [_shown(pictures[row["index"]], row["index"], row["file"], row["given_label"])]
    if row["kind"] in COPIES:
        of = int(row["of_index"])
        shown.insert(0, _shown(pictures[of], of, row["of_file"], row["of_label"]))
    return {"pictures": shown, "differs": len({one["label"] for one in shown}) > 1}


def _shown(picture: Picture, index: int, file: str, label: str) -> dict[str, Any]:
    return {
        "picture": picture.embedded or picture.file,
        "link": picture.file,
        "fault": picture.fault,
        "name": file or f"sample {index}",
        "label": label,
    }
