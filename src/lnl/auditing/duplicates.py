"""Near-duplicates: pictures that were saved again, resized, cropped a little or mirrored."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lnl.auditing.probe import Neighbours, nearest
from lnl.labels import Integers

# Chosen on flower photos and copies made of them: docs/audit.md has what they find.
ALIKE = 0.65  # cosine of features, below which pixels are not compared
SAME = 0.96  # correlation of the pixels of near-duplicates
CANDIDATES = 5  # nearest neighbours of a picture, of which pixels are compared
ROUNDS = 5  # at most: more pictures are alike than a picture has candidates
AT_ONCE = 512  # pairs
COMPARED = 16  # pixels a side
SHARES = (0.97, 0.94, 0.9, 0.86, 0.8)  # of a side, which a copy may show

Thumbnails = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Pairs:
    """Pairs of samples, ``first < second``, and the correlation of their pixels, ``similar``; all ``[p]``."""

    first: Integers
    second: Integers
    similar: Floats


def near_duplicates(
    rows: Floats, thumbnails: Thumbnails, exact: Integers, count: int
) -> tuple[Pairs, Integers, Neighbours]:
    """Pairs of near-duplicates, the groups that they make, and each sample's ``count`` neighbours outside its group.

    Neighbours are looked for again, without the groups found, until none of them is a near-duplicate: there may be more
    copies of a picture than its nearest neighbours.

    Args:
        rows: features of length 1, ``[n, F]``, for which a picture and its mirror image are alike.
        thumbnails: the pictures, small and grey, uint8 ``[n, T, T]``.
        exact: ``[n]``, the same number for pictures whose files are equal.
        count: of neighbours.
    """
    n, groups, seen = len(rows), joined(_none(), exact), np.zeros(0, np.int64)
    found = [_none()]
    for _ in range(ROUNDS):
        near, cosines = nearest(rows, count, groups)
        sample, place = np.nonzero(cosines[:, :CANDIDATES] >= ALIKE)
        other = near[sample, place]
        keys = np.setdiff1d(np.minimum(sample, other) * n + np.maximum(sample, other), seen)
        seen = np.union1d(seen, keys)
        pairs = _confirmed(thumbnails, *np.divmod(keys, n))
        if not len(pairs.first):
            break
        found.append(pairs)
        groups = joined(pairs, groups)
    else:
        near, cosines = nearest(rows, count, groups)
    every = (np.concatenate([getattr(pairs, name) for pairs in found]) for name in ("first", "second", "similar"))
    return Pairs(*every), groups, (near, cosines)


def _none() -> Pairs:
    return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


def _confirmed(thumbnails: Thumbnails, first: Integers, second: Integers) -> Pairs:
    same = correlation(thumbnails, first, second)
    kept = same >= SAME
    return Pairs(first[kept], second[kept], same[kept])


def joined(pairs: Pairs, groups: Integers) -> Integers:
    """Groups ``[n]`` with those joined that a pair connects; each has the number of its first sample."""
    count = len(groups)
    _, start, number = np.unique(groups, return_index=True, return_inverse=True)
    row, column = np.concatenate([pairs.first, start[number]]), np.concatenate([pairs.second, np.arange(count)])
    graph = coo_array((np.ones(len(row), bool), (row, column)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, start, number = np.unique(component, return_index=True, return_inverse=True)
    joint: Integers = start[number]
    return joint


def correlation(thumbnails: Thumbnails, first: Integers, second: Integers) -> Floats:
    """The largest correlation ``[p]`` of the pixels of each pair, with one of them cropped, or mirrored, or both."""
    best = np.zeros(len(first), np.float32)
    windows, parts = _windows(thumbnails.shape[1])
    for start in range(0, len(first), AT_ONCE):
        pairs = slice(start, start + AT_ONCE)
        one, other = (_parts(thumbnails[places[pairs]], windows, parts) for places in (first, second))
        for cut, whole in ((one, other[:, 0]), (other, one[:, 0])):
            for turned in (whole, whole[..., ::-1]):
                found = np.einsum("qpyx,qyx->qp", cut, turned, optimize=True).max(axis=1)
                best[pairs] = np.maximum(best[pairs], found)
    return best


def _windows(side: int) -> tuple[Floats, list[tuple[int, int]]]:
    """Windows of a side of ``side`` pixels, each a matrix ``[16, side]`` of means; pairs of them are parts of pictures.

    The first is the whole side; the others are shares of it at the beginning, in the middle and at the end. Parts
    have the same share of both sides, or the whole of one.
    """
    spans = [(0.0, 1.0)] + [(start * (1 - share), share) for share in SHARES for start in (0, 0.5, 1)]
    pixel = np.arange(side)
    windows = np.zeros((len(spans), COMPARED, side), np.float32)
    for number, (start, share) in enumerate(spans):
        edges = side * (start + share * np.arange(COMPARED + 1) / COMPARED)
        covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
        windows[number] = np.maximum(covered, 0) / (edges[1] - edges[0])
    same = [(y, x) for y, x in product(range(len(spans)), repeat=2) if spans[y][1] == spans[x][1] or 0 in (y, x)]
    return windows, same


def _parts(thumbnails: Thumbnails, windows: Floats, parts: list[tuple[int, int]]) -> Floats:
    """Parts of pictures, ``[q, parts, 16, 16]``, of mean 0 and length 1; a plain one is 0, which nothing is like."""
    rows = np.einsum("wyi,qij->qwyj", windows, thumbnails.astype(np.float32), optimize=True)
    found = np.stack([rows[:, y] @ windows[x].T for y, x in parts], axis=1)
    found -= found.mean(axis=(2, 3), keepdims=True)
    result: Floats = found / np.maximum(np.sqrt(np.square(found).sum(axis=(2, 3), keepdims=True)), COMPARED)
    return result
