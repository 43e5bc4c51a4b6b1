"""How good corrected labels are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def correction_metrics(
    given: NDArray[np.int64],
    new: NDArray[np.int64],
    kept: NDArray[np.bool_],
    clean: NDArray[np.int64] | None,
    num_classes: int,
) -> dict[str, Any]:
    """What a correction did to labels: counts and, with the truth known, shares in [0, 1] (None: a share of nothing).

    Args:
        given, new: ``[n]`` labels before and after, in ``[0, K)``.
        kept: ``[n]``, which samples are trained on under their new label.
        clean: ``[n]`` true labels, or None if unknown.
        num_classes: K.

    Returns:
        ``candidates``, ``kept``, ``changed`` (kept under another label than given), the last two also ``…_per_class``
        (by new class); ``kept_accuracy``, the share of kept samples whose new label is right; ``precision``, that of
        changed ones; ``recall``, the share of all wrong given labels that were put right.
    """
    changed = kept & (new != given)
    counts: dict[str, Any] = {"candidates": len(given), "kept": int(kept.sum()), "changed": int(changed.sum())}
    counts["kept_per_class"] = np.bincount(new[kept], minlength=num_classes).tolist()
    counts["changed_per_class"] = np.bincount(new[changed], minlength=num_classes).tolist()
    if clean is None:
        return counts
    right = new == clean
    shares = {"kept_accuracy": right[kept], "precision": right[changed], "recall": (kept & right)[given != clean]}
    return counts | {name: float(share.mean()) if share.size else None for name, share in shares.items()}
