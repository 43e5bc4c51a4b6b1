"""The audit's HTML page, to keep or change the worst suspects one by one in a browser."""

import base64
import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from lnl.auditing.estimate import pairs_of
from lnl.reporting.html import page_text

TINY = 96  # pixels; pictures up to this size are kept without loss and shown pixel by pixel
LARGEST = 256  # pixels of the longer side; larger pictures are scaled down
MOST_CLASSES = 100  # of the matrix

Pairs = Counter[tuple[int, int]]  # how many samples have a given and a suggested class


def write_page(
    path: Path,
    issues: pd.DataFrame,
    pictures: NDArray[np.uint8],
    classes: Sequence[str],
    estimate: dict[str, Any],
    title: str,
) -> None:
    """Writes the page, one file that needs no network.

    It shows the first m of the ``issues``, with their ``pictures`` ``[m, H, W, C]`` (C 1 or 3); its matrix counts all.
    ``estimate`` has ``quality`` if the truth is known, and in ``audited`` the name of the data, by which the page
    recognises decisions about other data.
    """
    quality, flagged, samples = estimate.get("quality", {}), estimate["issues"], estimate["samples"]
    pairs: Pairs = Counter(zip(*pairs_of(issues[: len(pictures)], classes), strict=True))
    text = page_text(
        "lnl.auditing",
        payload(issues, pictures, classes, estimate),
        kind="audit",
        name=title,
        facts=f"{samples:,} given labels",
        flagged=flagged,
        shown=len(pictures),
        numbers={
            "Wrong labels, if they are wrong at random": _rate(estimate["at_random"], estimate["at_random_interval"]),
            "Wrong labels by confident learning": _rate(estimate["noise_rate"], estimate["noise_rate_interval"]),
            "Flagged labels": f"{flagged:,} of {samples:,} ({100 * flagged / samples:.1f} %)",
        },
        # Without flagged labels there is no precision.
        quality={QUALITY[name]: f"{quality[name]:.3f}" for name in QUALITY if quality.get(name) is not None},
        cut=len(classes) - MOST_CLASSES,
        matrix=_matrix(issues, pairs, classes),
        pairs=pairs.most_common(),
        arrow=lambda pair: _arrow(pair, classes),
    )
    # A file name that is not valid text has no encoding: a question mark stands for it.
    path.write_text(text, encoding="utf-8", errors="replace")


def payload(
    issues: pd.DataFrame, pictures: NDArray[np.uint8], classes: Sequence[str], estimate: dict[str, Any]
) -> dict[str, Any]:
    """All that the page's script draws; labels are places in ``classes``."""
    suspects, place = issues.iloc[: len(pictures)], {name: i for i, name in enumerate(classes)}
    given, suggested = pairs_of(suspects, classes)
    shown = {
        "classes": list(classes),
        "index": suspects["index"].astype(int).tolist(),
        "file": suspects["file"].fillna("").astype(str).tolist(),
        "given": given.tolist(),
        "suggested": suggested.tolist(),
    }
    rows = suspects.to_dict("records")
    return {
        # The browser keeps decisions under this key: the same suspects have the same one, with any scores.
        "key": "lnl-audit-" + hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16],
        **shown,
        "audited": estimate.get("audited", ""),
        "title": [f"{row['given_label']} → {row['suggested_label']}, rank {row['rank']}" for row in rows],
        "rank": [f"#{row['rank']} · {row['score']:.3f}{'' if row['issue'] else ' · not flagged'}" for row in rows],
        "tiny": max(pictures.shape[1:3], default=0) <= TINY,
        "pictures": [data_uri(picture) for picture in pictures],
        "rates": {
            f"{place[pair['given']]},{place[pair['suggested']]}": (
                f"Estimated share of {pair['given']} that is truly {pair['suggested']}: "
                f"{_rate(pair['rate'], pair['interval'])}."
            )
            for pair in estimate["pairs"]
        },
    }


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture ``[H, W, C]`` as WebP, without loss if it is tiny."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("RGB")
    buffer = io.BytesIO()
    if max(image.size) <= TINY:
        image.save(buffer, "WEBP", lossless=True, quality=0, method=0)  # method 6 saves 4 % and takes tenfold
    else:
        image.thumbnail((LARGEST, LARGEST))
        image.save(buffer, "WEBP", quality=85, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _arrow(pair: tuple[int, int], classes: Sequence[str]) -> str:
    return " → ".join(classes[label] for label in pair)


def _matrix(issues: pd.DataFrame, here: Pairs, classes: Sequence[str]) -> dict[str, list[dict[str, Any] | None]]:
    """Flagged labels by given class (row) and suggested class: of all classes, or of those with the most suspects."""
    labels = pairs_of(issues[issues["issue"]], classes)
    flagged, counts = Counter(zip(*labels, strict=True)), np.bincount(np.ravel(labels), minlength=len(classes))
    kept = sorted(np.argsort(-counts, kind="stable")[:MOST_CLASSES].tolist())

    def cell(pair: tuple[int, int]) -> dict[str, Any] | None:
        count, on_page = flagged[pair], here[pair]
        title = f"{_arrow(pair, classes)}: {count:,} flagged; {on_page:,} suspects on this page"
        value = f"{pair[0]},{pair[1]}" if on_page else ""
        share = count / max(flagged.values(), default=1)
        return {"count": f"{count:,}", "title": title, "pair": value, "share": f"{share:.4g}"} if count else None

    return {classes[given]: [cell((given, suggested)) for suggested in kept] for given in kept}


def _rate(rate: float, interval: Sequence[float]) -> str:
    return "{:.1f} % (95 % interval {:.1f} % to {:.1f} %)".format(*(100 * share for share in (rate, *interval)))


QUALITY = {
    "average_precision": "Average precision of this ranking",
    "cleanlab_average_precision": "of cleanlab's ranking",
    "chance": "of a random ranking",
    "precision": "Precision of the flagged labels",
    "recall": "Recall of the flagged labels",
}
