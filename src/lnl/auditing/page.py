"""The audit's HTML page, to keep or change the worst suspects one by one in a browser."""

import hashlib
import json
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lnl.auditing.estimate import pairs_of
from lnl.auditing.pictures import Picture
from lnl.auditing.unusual import Unusual
from lnl.labels import Integers
from lnl.reporting.html import page_text

MOST_CLASSES = 100  # of the matrix
SCRIPTS = ("decisions.js", "left.js", "cards.js", "page.js", "unusual.js")

Pairs = Counter[tuple[int, int]]  # how many samples have a given and a suggested class


def write_page(
    path: Path,
    issues: pd.DataFrame,
    pictures: Sequence[Picture],
    classes: Sequence[str],
    estimate: dict[str, Any],
    title: str,
    unusual: Unusual | None = None,
) -> str:
    """Writes the page, one file that needs no network; returns its size, for the user.

    It shows the first m of the ``issues`` with their m ``pictures`` (:func:`lnl.auditing.pictures.pictures_of`).
    ``estimate`` has ``can_tell``, ``wrong``, ``wrong_interval`` and ``advice``, ``quality`` if the truth is known, and
    in ``audited`` the name of the data, by which the page recognises decisions about other data. ``unusual`` pictures
    have sections of their own.
    """
    unusual = unusual or Unusual()
    quality, shown = estimate.get("quality", {}), issues[: len(pictures)]
    pairs: Pairs = Counter(zip(*pairs_of(shown, classes), strict=True))
    files = any(picture.file for picture in pictures) or any(picture["link"] for picture in unusual.pictures())
    linked = sum(bool(picture.file) and not picture.embedded for picture in pictures)
    text = page_text(
        "lnl.auditing",
        payload(issues, pictures, classes, estimate, unusual),
        scripts=SCRIPTS,
        # 'self' is for a page that a server shows: there files have no addresses of their own.
        images="data: file: 'self'" if files else "data:",
        kind="audit",
        name=title,
        facts=f"{estimate['samples']:,} given labels, {estimate['issues']:,} of them flagged",
        flagged=int(shown["issue"].sum()),
        shown=len(pictures),
        estimate=estimate_text(estimate),
        advice=" ".join(estimate["advice"]),
        # Without flagged labels there is no precision.
        quality={QUALITY[name]: f"{quality[name]:.3f}" for name in QUALITY if quality.get(name) is not None},
        megabytes=f"{(sum(len(picture.embedded) for picture in pictures) + unusual.size()) / 1e6:.1f}",
        unusual=unusual.counted(),
        linked=linked,
        files=files,
        command=f"lnl audit apply=decisions.csv {shlex.quote(f'output={os.path.relpath(path.parent)}')}",
        cut=sum(count > 0 for count in _by_class(pairs, classes)) - MOST_CLASSES,
        matrix=_matrix(shown, pairs, classes),
        pairs=pairs.most_common(),
        arrow=lambda pair: _arrow(pair, classes),
    )
    # A file name that is not valid text has no encoding: a question mark stands for it.
    content = text.encode("utf-8", errors="replace")
    path.write_bytes(content)
    return f"{len(content) / 1e6:.1f} MB" + (f"; {linked:,} of {len(pictures):,} pictures are links" if linked else "")


def estimate_text(estimate: dict[str, Any]) -> str:
    """How many labels are wrong, in one sentence."""
    share, samples = estimate["wrong"], estimate["samples"]
    fewest, most = (f"{round(part * samples):,}" for part in estimate["wrong_interval"])
    if not estimate["can_tell"]:
        return f"The audit cannot tell how many of the {samples:,} labels are wrong: at most {most}."
    of = f"{round(share * samples):,} of the {samples:,} labels are wrong"
    return f"About {of} ({100 * share:.1f} %; 95 % interval {fewest} to {most})."


def payload(
    issues: pd.DataFrame,
    pictures: Sequence[Picture],
    classes: Sequence[str],
    estimate: dict[str, Any],
    unusual: Unusual | None = None,
) -> dict[str, Any]:
    """All that the page's scripts draw; labels are places in ``classes``."""
    suspects = issues.iloc[: len(pictures)]
    given, suggested = pairs_of(suspects, classes)
    shown = {
        "classes": list(classes),
        "index": suspects["index"].astype(int).tolist(),
        "file": suspects["file"].fillna("").astype(str).tolist(),
        "given": given.tolist(),
        "suggested": suggested.tolist(),
    }
    rows, unusual = suspects.to_dict("records"), unusual or Unusual()
    return {
        # The browser keeps decisions under this key: the same suspects have the same one, with any scores.
        "key": "lnl-audit-" + hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16],
        **shown,
        "audited": estimate.get("audited", ""),
        "samples": estimate["samples"],
        "title": [f"{row['given_label']} → {row['suggested_label']}, rank {row['rank']}" for row in rows],
        "rank": [f"#{row['rank']} · {row['score']:.3f}" for row in rows],
        "flagged": suspects["issue"].astype(bool).tolist(),
        "unusual": unusual.of_samples(shown["index"]),
        "sections": unusual.sections,
        "picture": [picture.embedded or picture.file for picture in pictures],
        "link": [picture.file for picture in pictures],
        "fault": [picture.fault for picture in pictures],
        "tiny": {picture.tiny for picture in pictures if not picture.fault} == {True},
    }


def _arrow(pair: tuple[int, int], classes: Sequence[str]) -> str:
    return " → ".join(classes[label] for label in pair)


def _by_class(pairs: Pairs, classes: Sequence[str]) -> Integers:
    """How many suspects have each class, given or suggested."""
    counts = np.zeros(len(classes), dtype=np.int64)
    for pair, count in pairs.items():
        counts[list(pair)] += count
    return counts


def _matrix(shown: pd.DataFrame, pairs: Pairs, classes: Sequence[str]) -> dict[str, list[dict[str, Any] | None]]:
    """The suspects of the page by given class (row) and suggested class: of the classes that most of them have."""
    counts = _by_class(pairs, classes)
    kept = sorted(label for label in np.argsort(-counts, kind="stable")[:MOST_CLASSES].tolist() if counts[label])
    flagged: Pairs = Counter(zip(*pairs_of(shown[shown["issue"]], classes), strict=True))

    def cell(pair: tuple[int, int]) -> dict[str, Any] | None:
        count = pairs[pair]
        title = f"{_arrow(pair, classes)}: {count:,} on this page, {flagged[pair]:,} of them flagged"
        share = count / max(pairs.values(), default=1)
        value = f"{pair[0]},{pair[1]}"
        return {"count": f"{count:,}", "title": title, "pair": value, "share": f"{share:.4g}"} if count else None

    return {classes[given]: [cell((given, suggested)) for suggested in kept] for given in kept}


QUALITY = {
    "average_precision": "Average precision of this ranking",
    "cleanlab_average_precision": "of cleanlab's ranking",
    "chance": "of a random ranking",
    "precision": "Precision of the flagged labels",
    "recall": "Recall of the flagged labels",
}
