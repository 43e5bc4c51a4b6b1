"""From probabilities to the labels that are likely wrong, and a page to look at them."""

from lnl.auditing.decisions import corrected_labels
from lnl.auditing.estimate import estimate_noise
from lnl.auditing.evidence import Evidence, read_evidence
from lnl.auditing.issues import find_issues, ranking_quality

__all__ = ["Evidence", "corrected_labels", "estimate_noise", "find_issues", "ranking_quality", "read_evidence"]
