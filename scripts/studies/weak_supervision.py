"""The blocks of docs/studies/weak_supervision.md."""

import numpy as np

from studies.common import Blocks, Study, cost


def weak_models(study: Study) -> str:
    runs = study.runs("weak_supervision", "weak_supervision_best")
    label = runs["model"] + ", " + runs["method"] + np.where(runs["sweep"] == "weak_supervision", "", " (best)")
    accuracies = {"trusted test %": "trusted_test/accuracy", "test %": "test/accuracy"}
    return cost(runs.assign(label=label), accuracies, "model, method")


BLOCKS: Blocks = {"models": weak_models}
