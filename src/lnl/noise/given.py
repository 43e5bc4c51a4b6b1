"""What is known of noisy labels where the labels that noise was added to were somebody's, and may be wrong."""

import dataclasses

from lnl.noise.corrupt import Labels
from lnl.noise.files import empirical_transition
from lnl.noise.record import NoisyLabels


def of_given(labels: NoisyLabels, truth: Labels | None, drawn: bool, num_classes: int) -> NoisyLabels:
    """The record of ``labels`` that were made of given ones.

    Args:
        labels: as noise made them, taking the given labels to be the true ones.
        truth: ``[N]``, None where nobody knows. Noise that was drawn is then compared with the labels it was added to.
        drawn: whether noise was drawn. If not, the labels are as somebody gave them, and no rate was asked for.
        num_classes: K.
    """
    if not drawn:
        labels = dataclasses.replace(labels, rate=None, clean=None, transition=None)
        if labels.kind == "none":
            labels = dataclasses.replace(labels, kind="given", convention="labels as they were given")
    if truth is None:
        return labels
    transition = empirical_transition(truth, labels.noisy, num_classes)
    return dataclasses.replace(labels, clean=truth.copy(), transition=transition)
