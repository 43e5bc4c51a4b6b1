"""Pictures that need a look for another reason than their label: copies, odd ones out, blank, dark and blurred ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lnl.auditing.duplicates import Pairs, joined
from lnl.auditing.looks import SIDE, Looks
from lnl.errors import many
from lnl.labels import Integers

# Chosen on flower photos: docs/audit.md has what they find.
PLAIN = 0.03  # between the darkest and the brightest pixels of a blank picture
DARK = 0.2  # the brightest pixels of a dark picture
BRIGHT = 0.8  # the darkest pixels of a bright one
UNSHARP = 0.3  # the sharpness of a blurred one
FAR = 1.5  # the distance of an odd one, above the median, as a multiple of the 95th percentile's

KINDS = {  # what one and several of them are called
    "copy": ("copy", "copies"),
    "near_duplicate": ("near-duplicate", "near-duplicates"),
    "odd": ("odd one out", "odd ones out"),
    "blank": ("blank", "blank"),
    "dark": ("dark", "dark"),
    "bright": ("too bright", "too bright"),
    "blurred": ("blurred", "blurred"),
}
UNCLEAR = ("odd", "blank")  # no class can be seen in them, so that no suggestion is right
COPIES = ("copy", "near_duplicate")

Mask = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]


def are_photographs(shape: tuple[int, ...]) -> bool:
    """Whether images ``[N, H, W, C]`` may be photographs, as small grey ones are not."""
    return shape[3] == 3 or min(shape[1:3]) > 64


def is_blank(looks: Looks) -> Mask:
    """Which pictures ``[n]`` show nothing: they have one colour."""
    return np.asarray(looks.brightest - looks.darkest < PLAIN)


def faults(looks: Looks, own_side: Callable[[int], int]) -> dict[str, Mask]:
    """Which pictures ``[n]`` are ``blank``, ``dark``, ``bright`` and ``blurred``; each is at most one of these.

    ``own_side`` says how many pixels the shorter side of a picture has in its file: small ones, made larger, are never
    blurred.
    """
    blank = is_blank(looks)
    dark = ~blank & (looks.brightest < DARK)
    bright = ~blank & (looks.darkest > BRIGHT)
    blurred = ~(blank | dark | bright) & (looks.sharpness < UNSHARP)
    for number in np.flatnonzero(blurred):
        blurred[number] = own_side(int(number)) >= SIDE
    return {"blank": blank, "dark": dark, "bright": bright, "blurred": blurred}


def oddness(distance: Scores) -> Scores:
    """How far pictures are from their nearest ones, above the median, ``[n]``; 1 is the 95th percentile."""
    middle, high = np.percentile(distance, (50, 95))
    found: Scores = (distance - middle) / max(float(high - middle), 1e-6)
    return found


def kinds_of(looks: Looks, pairs: Pairs, exact: Integers, far: Scores, fault: dict[str, Mask]) -> pd.DataFrame:
    """A row for each picture and kind, by the numbers 0 to n - 1: ``kind``, ``score``, ``number``, ``of``.

    Args:
        looks: of the pictures.
        pairs: of near-duplicates.
        exact: ``[n]``, the same number for pictures whose files are equal.
        far: their :func:`oddness`.
        fault: of :func:`faults`.
    """
    scores = {
        "blank": looks.brightest - looks.darkest,
        "dark": looks.brightest,
        "bright": looks.darkest,
        "blurred": looks.sharpness,
    }
    faulty = np.any(list(fault.values()), axis=0)
    odd = ~faulty & (far >= FAR)
    tables = [_copies(pairs, exact)]
    for kind, mask, score, first in [
        ("odd", odd, far, -far),
        *((kind, fault[kind], scores[kind], scores[kind] * (-1 if kind == "bright" else 1)) for kind in scores),
    ]:
        numbers = np.flatnonzero(mask)
        numbers = numbers[np.argsort(first[numbers], kind="stable")]
        tables.append(pd.DataFrame({"kind": kind, "score": score[numbers], "number": numbers, "of": -1}))
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _copies(pairs: Pairs, exact: Integers) -> pd.DataFrame:
    """Each picture but the first of its group, as a copy of the first one that has the same file, else of the first."""
    groups, numbers = joined(pairs, exact), np.arange(len(exact))
    _, start, place = np.unique(exact, return_index=True, return_inverse=True)
    same = start[place]
    best = np.ones(len(groups), np.float32)  # of copies; of others, the largest correlation with any of the group
    best[np.union1d(pairs.first, pairs.second)] = 0
    for end in (pairs.first, pairs.second):
        np.maximum.at(best, end, pairs.similar)
    copied, near = same != numbers, (same == numbers) & (groups != numbers)
    rows = [
        pd.DataFrame({"kind": kind, "score": score[mask], "number": numbers[mask], "of": of[mask]})
        for kind, mask, score, of in (
            ("copy", copied, np.ones(len(groups)), same),
            ("near_duplicate", near, best, groups),
        )
    ]
    return pd.concat(rows, ignore_index=True)


def table_of(found: pd.DataFrame, index: Integers, labels: Integers, classes: list[str], names: Any) -> pd.DataFrame:
    """The rows of :func:`kinds_of` as a user reads them: ``index`` in the training set, files and given labels."""
    number, of = found["number"].to_numpy(), found["of"].to_numpy()
    known = np.array(classes, dtype=object)[labels]
    files = np.array(["" for _ in index] if names is None else [names[i] for i in index], dtype=object)
    another = of >= 0
    return pd.DataFrame(
        {
            "kind": found["kind"],
            "score": found["score"].round(4),
            "index": index[number],
            "file": files[number],
            "given_label": known[number],
            "of_index": pd.array(np.where(another, index[of], 0), dtype="Int64"),
            "of_file": np.where(another, files[of], ""),
            "of_label": np.where(another, known[of], ""),
        }
    ).assign(of_index=lambda table: table["of_index"].mask(~another))


def counts_of(table: pd.DataFrame) -> dict[str, int]:
    """How many pictures are of each kind, and how many copies have another label than the picture that they copy."""
    counts = {kind: int((table["kind"] == kind).sum()) for kind in KINDS}
    other = table["kind"].isin(COPIES) & (table["given_label"] != table["of_label"])
    return counts | {"different_labels": int(other.sum())}


def told(counts: dict[str, int]) -> str:
    """What :func:`counts_of` found, in one line; empty if nothing."""
    found = [many(counts[kind], *names) for kind, names in KINDS.items() if counts.get(kind)]
    other = counts.get("different_labels", 0)
    return ", ".join(found) + (f"; copies with another label: {other:,}" if other else "")
