"""How good a ranking of doubtful labels is, where the truth is known."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from lnl.labels import Integers


def ranking_quality(
    issues: pd.DataFrame, given: Integers, true: Integers, suggested: Integers
) -> dict[str, Any] | None:
    """What the ranking and the flagged issues are worth.

    Args:
        issues: with ``score``, ``issue`` and cleanlab's ``self_confidence`` and ``normalized_margin``.
        given, true, suggested: labels ``[n]``, in the order of ``issues``.

    Returns:
        ``average_precision`` of the ranking; ``cleanlab_average_precision`` of cleanlab's own (its default,
        self-confidence) and ``cleanlab_margin_average_precision``, from the same probabilities; ``chance``, the share
        of wrong labels, which a random ranking has; ``precision`` and ``recall`` of the issues; ``wrong_before``, and
        ``wrong_after`` all suggestions for issues are accepted. None where no label is wrong: nothing can be found.
    """
    wrong = given != true
    if not wrong.any():
        return None
    issue = issues["issue"].to_numpy()
    found = int((wrong & issue).sum())
    accepted = np.where(issue, suggested, given)
    return {
        "average_precision": float(average_precision_score(wrong, issues["score"])),
        "cleanlab_average_precision": float(average_precision_score(wrong, -issues["self_confidence"])),
        "cleanlab_margin_average_precision": float(average_precision_score(wrong, -issues["normalized_margin"])),
        "chance": float(wrong.mean()),
        "precision": found / int(issue.sum()) if issue.any() else None,
        "recall": found / int(wrong.sum()),
        "wrong_before": float(wrong.mean()),
        "wrong_after": float((accepted != true).mean()),
    }
