"""The audit's HTML page: the worst suspects, to be kept or changed one by one in a browser."""

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

from lnl.reporting.html import page_text

TINY = 96  # pixels; up to here pictures are kept as they are, and shown with their pixels to be seen
LARGEST = 256  # pixels of the longer side; no larger picture is shown
MOST_CLASSES = 100  # of the matrix


def write_page(
    path: Path,
    issues: pd.DataFrame,
    pictures: NDArray[np.uint8],
    classes: Sequence[str],
    estimate: dict[str, Any],
    title: str,
) -> None:
    """Writes the page: one file, which asks nothing of a network.

    Args:
        path: of the page.
        issues: columns ``index, file, given_label, suggested_label, score, rank, issue``, the most suspect first;
            labels are class names. The matrix counts all rows with ``issue``.
        pictures: of its first m rows, which the page shows: ``[m, H, W, C]``, C 1 or 3.
        classes: K names, all different.
        estimate: of :func:`~lnl.auditing.estimate.estimate_noise`, and ``quality`` where the truth is known;
            ``audited`` names the data, so that decisions on other data are not taken for ones on this.
        title: over the page.

    Raises:
        ValueError: there are more pictures than issues.
    """
    if len(pictures) > len(issues):
        raise ValueError(f"{len(pictures)} pictures of {len(issues)} issues")
    text = page_text(
        "lnl.auditing",
        payload(issues, pictures, classes, estimate),
        kind="audit",
        name=title,
        facts=f"{estimate['samples']:,} given labels",
        flagged=estimate["issues"],
        shown=len(pictures),
        numbers=_numbers(estimate),
        quality=_quality(estimate.get("quality")),
        cut=len(classes) - MOST_CLASSES,
    )
    # A file name that is no text at all has no encoding: it is shown with a question mark.
    path.write_text(text, encoding="utf-8", errors="replace")


def payload(
    issues: pd.DataFrame, pictures: NDArray[np.uint8], classes: Sequence[str], estimate: dict[str, Any]
) -> dict[str, Any]:
    """All that the page's script draws; labels as places in ``classes``."""
    place = {name: i for i, name in enumerate(classes)}
    suspects = issues.iloc[: len(pictures)]
    shown = {
        "classes": list(classes),
        "index": [int(index) for index in suspects["index"]],
        "file": ["" if pd.isna(file) else str(file) for file in suspects["file"]],
        "given": [place[label] for label in suspects["given_label"]],
        "suggested": [place[label] for label in suspects["suggested_label"]],
    }
    flagged = issues[issues["issue"].astype(bool)]
    pairs = Counter(zip(flagged["given_label"], flagged["suggested_label"], strict=True))
    confusions = [[place[given], place[suggested], count] for (given, suggested), count in pairs.items()]
    return {
        # Decisions are kept in the browser under what they are about: the same suspects, whatever their scores.
        "key": "lnl-audit-" + hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16],
        **shown,
        "audited": estimate.get("audited", ""),
        "score": [round(float(score), 4) for score in suspects["score"]],
        "rank": [int(rank) for rank in suspects["rank"]],
        "flagged": [bool(flag) for flag in suspects["issue"]],
        "tiny": max(pictures.shape[1:3], default=0) <= TINY,
        "pictures": [data_uri(picture) for picture in pictures],
        "matrix": _worst(confusions, len(classes)),
        "confusions": confusions,
        "rates": {
            f"{place[pair['given']]},{place[pair['suggested']]}": _rate(pair["rate"], pair.get("interval"))
            for pair in estimate["pairs"]
        },
    }


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture ``[H, W, C]`` as WebP: without loss where it is tiny."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("RGB")
    buffer = io.BytesIO()
    if max(image.size) <= TINY:
        image.save(buffer, "WEBP", lossless=True, quality=0, method=0)  # method 6 saves 4 % and takes tenfold
    else:
        image.thumbnail((LARGEST, LARGEST))
        image.save(buffer, "WEBP", quality=85, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _worst(confusions: list[list[int]], num_classes: int) -> list[int]:
    """The classes of the matrix, in their order: all, or those with the most suspects."""
    counts = np.zeros(num_classes, dtype=np.int64)
    for given, suggested, count in confusions:
        counts[[given, suggested]] += count
    return sorted(np.argsort(-counts, kind="stable")[:MOST_CLASSES].tolist())


def _rate(rate: float, interval: Sequence[float] | None) -> str:
    if interval is None:
        return _percent(rate)
    low, high = interval
    return f"{_percent(rate)} (95 % interval {_percent(low)} to {_percent(high)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _numbers(estimate: dict[str, Any]) -> dict[str, str]:
    """What the audit says of the whole set."""
    share = estimate["issues"] / max(estimate["samples"], 1)
    return {
        "Wrong labels, if they fell at random": _rate(estimate["at_random"], estimate["at_random_interval"]),
        "Wrong labels by confident learning": _rate(estimate["noise_rate"], estimate["noise_rate_interval"]),
        "Flagged labels": f"{estimate['issues']:,} of {estimate['samples']:,} ({_percent(share)})",
    }


def _quality(quality: dict[str, float | None] | None) -> dict[str, str]:
    """How good the audit is, where the truth is known."""
    names = {
        "average_precision": "Average precision of this ranking",
        "cleanlab_average_precision": "of cleanlab's own ranking",
        "chance": "of a ranking by chance",
        "precision": "Precision of the flagged labels",
        "recall": "Recall of the flagged labels",
    }
    # Of no flagged label there is no precision.
    return {text: f"{quality[name]:.3f}" for name, text in names.items() if quality and quality.get(name) is not None}
