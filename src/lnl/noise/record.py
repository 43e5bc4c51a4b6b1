"""What was done to the labels: kept with every run, so that it can be checked and used again."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lnl.noise.corrupt import Labels
from lnl.noise.transition import Matrix


@dataclass(frozen=True)
class NoisyLabels:
    """Noisy labels with the record of how they were made.

    Attributes:
        noisy: ``[N]`` int64, what a method is trained on.
        clean: ``[N]`` int64, what the labels were, or None where nobody knows. For metrics alone.
        transition: ``[K, K]``, the matrix the labels were drawn by (for instance noise, its mean over each class); of
            labels that were not drawn, the shares that were counted; None where the truth is not known.
        kind, convention: e.g. ``symmetric``, ``exclusive``.
        rate, seed, exact: as asked for; rate is None where none was (labels from a file).
    """

    noisy: Labels
    clean: Labels | None
    transition: Matrix | None
    kind: str
    convention: str
    rate: float | None
    seed: int
    exact: bool

    @property
    def sha256(self) -> str:
        """Of the noisy labels as little-endian int64: two runs with the same hash saw the same wrong labels."""
        return hashlib.sha256(self.noisy.astype("<i8").tobytes()).hexdigest()

    def actual_rate(self, index: Labels | None = None) -> float | None:
        """The share of labels that are wrong, in all or at ``index``; None where the truth is not known."""
        if self.clean is None:
            return None
        chosen = slice(None) if index is None else index
        wrong = self.noisy[chosen] != self.clean[chosen]
        return float(wrong.mean()) if wrong.size else 0.0

    @property
    def expected_rate(self) -> float | None:
        """The share of labels that the transition matrix makes wrong in the mean; None where it is not known."""
        if self.clean is None or self.transition is None:
            return None
        return round(float(1 - self.transition.diagonal()[self.clean].mean()), 6)  # 0.2, not 0.20000000000000004

    def describe(self) -> dict[str, Any]:
        """The part of ``result.json`` that is about noise."""
        return {
            "kind": self.kind,
            "convention": self.convention,
            "rate": self.rate,
            "seed": self.seed,
            "exact": self.exact,
            "actual_rate": self.actual_rate(),
            "sha256": self.sha256,
        }

    def save(self, path: Path) -> None:
        """Writes ``noise.npz`` with ``noisy_labels`` and, where known, ``transition_matrix`` and ``clean_labels``."""
        arrays: dict[str, Any] = {"noisy_labels": self.noisy}
        known = {"transition_matrix": self.transition, "clean_labels": self.clean}
        arrays |= {name: array for name, array in known.items() if array is not None}
        np.savez_compressed(path, **arrays)
