"""The audit beside cleanlab's on the same features: what docs/audit.md compares, where the true labels are known.

    python scripts/audit_baselines.py data.path=labels.csv data.root=photos
    python scripts/audit_baselines.py data=cifar10 noise=human noise.labels=aggre data.subset=10000

Arguments are those of an audit by features. "logistic regression" and "kNN" judge each label by scikit-learn's models
on the directions of the features, cross-validated in five parts; the strength and k are those whose predictions equal
most of the given labels. cleanlab ranks by their self-confidence, prunes by its defaults, and estimates the noise rate.
T's error is the mean absolute one of its entries, P(labelled j | truly i), against the shares in this draw of labels.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from cleanlab.count import estimate_joint
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from hydra import compose, initialize_config_dir
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from lnl.app.arguments import prepare
from lnl.app.resolvers import register_resolvers
from lnl.auditing.by_features import evidence_of_features, mean_directions
from lnl.auditing.command import make_audit
from lnl.config import CONF_DIR
from lnl.training.assembly import build_data

STRENGTHS = (0.3, 1, 3, 10, 30)
NEIGHBOURS = (5, 10, 20, 50)


def judged(models: Sequence[Any], rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The probabilities ``[n, K]`` of that of the models which predicts most of the labels, out of sample."""
    parts = StratifiedKFold(5, shuffle=True, random_state=0)
    found = [cross_val_predict(model, rows, labels, cv=parts, method="predict_proba") for model in models]
    return max(found, key=lambda probabilities: (probabilities.argmax(axis=1) == labels).mean())


def row(name: str, scores: np.ndarray, flags: np.ndarray, share: float, error: float, wrong: np.ndarray) -> str:
    """A line of the table."""
    precision = f"{wrong[flags].mean():.1%}" if flags.any() else "none"
    quality = f"average precision {average_precision_score(wrong, scores):.3f}" if wrong.any() else "no label is wrong"
    recall = f", recall {flags[wrong].mean():.1%}" if wrong.any() else ""
    flagged = f"{flags.sum():,} flagged, {precision} wrong{recall}"
    says = "cannot tell" if np.isnan(share) else f"says {share:.1%} wrong"
    return f"{name:20} {quality}; {flagged}; {says}; T off by {error:.3f}"


def main(overrides: Sequence[str]) -> None:
    """Prints a line for each."""
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        cfg = compose("audit", overrides=prepare(overrides, "audit"))
    data = build_data(cfg)
    evidence = evidence_of_features(cfg, data)
    issues, estimate = make_audit(evidence, data)
    if data.labels.truth is None:
        sys.exit("the true labels are not known: a table needs a column true_label")
    labels, truth = evidence.labels, data.labels.truth[evidence.index]
    wrong, classes = labels != truth, data.num_classes
    counts = np.zeros((classes, classes))
    np.add.at(counts, (truth, labels), 1)
    transition = counts / counts.sum(axis=1, keepdims=True)
    print(f"{len(labels):,} labels, {wrong.mean():.1%} wrong")

    issues = issues.sort_values("index")
    error = np.abs(np.array(estimate["transition"]) - transition).mean()
    share = np.nan if estimate["wrong"] is None else estimate["wrong"]
    print(row("lnl", issues["score"].to_numpy(), issues["issue"].to_numpy(), share, error, wrong))
    rows = mean_directions(data, evidence.index)
    kinds: dict[str, tuple[Callable[..., Any], str, Sequence[Any]]] = {
        "logistic regression": (partial(LogisticRegression, max_iter=300, tol=1e-3), "C", STRENGTHS),
        "kNN": (KNeighborsClassifier, "n_neighbors", NEIGHBOURS),
    }
    for name, (kind, option, values) in kinds.items():
        probabilities = judged([kind(**{option: value}) for value in values], rows, labels)
        joint = estimate_joint(labels, probabilities)
        error = np.abs(joint.T / joint.sum(axis=0)[:, None] - transition).mean()
        scores = -get_label_quality_scores(labels, probabilities)
        print(row(name, scores, find_label_issues(labels, probabilities), 1 - joint.trace(), error, wrong))


if __name__ == "__main__":
    main(sys.argv[1:])
