"""The evidence of cross-validated runs about every label, read from their folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lnl.auditing.estimate import Floats, noise_of
from lnl.errors import UserError
from lnl.files import read_arrays
from lnl.labels import Integers
from lnl.noise.estimate import NoiseEstimate
from lnl.runs.folder import RunFolder


@dataclass(frozen=True)
class Evidence:
    """Predictions of models for ``n`` samples in ``K`` classes.

    Attributes:
        index: the numbers of the samples in the training set, ``[n]``, sorted.
        labels: given, ``[n]``.
        probabilities: out of sample, ``[n, K]``, of the last epoch.
        epoch_probabilities: the same, the mean over the epochs.
        training_margin: ``[n]``, the area under the margin (arXiv:2001.10528): the logit of the given class minus the
            largest other one, the mean over the epochs of the models that were trained on the sample.
        wrong_events: ``[n]`` in [0, 1], the share of the epochs in which their prediction was not the given class
            (arXiv:2505.00812).
        neighbours: ``[n, K]``, the share of each label among a sample's neighbours in feature space.

        posterior: ``[n, K]``, of features: the probability of each true class, the given label considered.
        noise: what the given labels say of the noise.
        kinds: of photographs by features: which of them are unusual (:func:`lnl.auditing.kinds.table_of`).

    All but the first three are None if the runs kept no history (``callbacks=sample_history``); ``neighbours`` also if
    the model has no features.
    """

    index: Integers
    labels: Integers
    probabilities: Floats
    epoch_probabilities: Floats | None = None
    training_margin: Floats | None = None
    wrong_events: Floats | None = None
    neighbours: Floats | None = None
    posterior: Floats | None = None
    noise: NoiseEstimate | None = None
    kinds: pd.DataFrame | None = None


HELD_OUT = ("epoch_probabilities", "neighbours")  # from the fold that held the sample out
TRAINED = ("training_margin", "wrong_events")  # from all other folds
HISTORY = (*HELD_OUT, *TRAINED)


def read_evidence(runs: Sequence[Path]) -> Evidence:
    """The mean evidence of cross-validated runs of the same labels.

    Raises:
        UserError: if a run is not cross-validated, or has other samples or labels than the first.
    """
    read = [_of_run(run) for run in runs]
    first = read[0]
    for run, other in zip(runs[1:], read[1:], strict=True):
        same = np.array_equal(first.index, other.index) and np.array_equal(first.labels, other.labels)
        if not same or first.probabilities.shape != other.probabilities.shape:
            raise UserError(f"{run} has other samples or labels than {runs[0]}: they cannot be averaged")
    means = {
        name: np.mean([getattr(evidence, name) for evidence in read], axis=0)
        for name in ("probabilities", *HISTORY)
        if all(getattr(evidence, name) is not None for evidence in read)
    }
    return Evidence(first.index, first.labels, **means, noise=noise_of(first.labels, means["probabilities"]))


def _of_run(run: Path) -> Evidence:
    folder = RunFolder(run)
    if not folder.out_of_fold.is_file():
        raise UserError(f"{run} has no out_of_fold.npz: it is not a finished run with data.folds=...")
    arrays = read_arrays(folder.out_of_fold)
    index, labels, probabilities = (arrays[name] for name in ("index", "labels", "probabilities"))
    parts = [fold.sample_history for fold in folder.folds()]
    if not parts or not all(part.is_file() for part in parts):
        return Evidence(index, labels, probabilities)
    folds = [read_arrays(part) for part in parts]
    known = [name for name in folds[0] if all(name in fold for fold in folds)]
    of = {name: np.concatenate([fold[name] for fold in folds]) for name in known}
    history: dict[str, Any] = {}
    for name in set(HELD_OUT) & set(known):
        history[name] = np.zeros((len(index), *of[name].shape[1:]))
        history[name][np.searchsorted(index, of["index"])] = of[name]
    asked = np.isin(of["train_index"], index)  # trusted samples are trained on and never held out
    place = np.searchsorted(index, of["train_index"][asked])
    for name in set(TRAINED) & set(known):
        total = np.bincount(place, of[name][asked], minlength=len(index))
        history[name] = total / np.maximum(np.bincount(place, minlength=len(index)), 1)
    return Evidence(index, labels, probabilities, **history)
