"""The share of wrong labels, the classes that are mistaken for others, and whether the models can tell."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from cleanlab.count import compute_confident_joint, estimate_joint, get_confident_thresholds
from numpy.typing import NDArray
from scipy.stats import binomtest

from lnl.labels import Integers
from lnl.noise.estimate import NoiseEstimate, estimate_transition

Floats = NDArray[np.floating[Any]]
TINY = float(np.finfo(np.float32).tiny)
TENTH = 0.1  # only the surest tenth of the predictions counts
TIMES = 20  # the mistakes of weak models reached 10 times the median
ENOUGH = 0.45  # skill; of weaker models half of the flags were wrong, on simulated labels (docs/audit.md)
DOUBTFUL = 0.25  # own doubt of networks, above which they take much of it for wrong labels (docs/audit.md)
OWN = 0.35  # part of a head's own doubt; chosen on flower photos that docs/audit.md does not use
IN_A_ROW = 20  # right labels, after which a reviewer may stop


@dataclass(frozen=True)
class Verdict:
    """How good the models are as judges of labels, and what may be concluded.

    Attributes:
        accuracy: share of the given labels that the models predict without having seen them, with Wilson's lower end.
        chance: share of the largest class, which naming it for every sample would predict.
        skill: the accuracy above chance, (low - chance) / (1 - chance), divided by what wrong labels leave of it for a
            perfect judge. 0 is guessing, 1 is perfect.
    """

    accuracy: float
    low: float
    chance: float
    skill: float

    @property
    def can_tell(self) -> bool:
        """Whether the skill is at least 0.45. Labels that weaker models doubt are mostly right."""
        return self.skill >= ENOUGH


def judge(labels: Integers, probabilities: Floats) -> Verdict:
    """The verdict on models with out-of-sample ``probabilities[n, K]`` for samples with given ``labels[n]``.

    A judge that is always right predicts 1 - a of the labels if a share a is wrong at random, and with K classes its
    accuracy above chance is smaller by the factor 1 - a K / (K - 1). a is the lower end of :func:`wrong_at_random`,
    which weak judges make too large: the factor is at least 0.4.
    """
    counts = np.bincount(labels)
    hits, classes = int((probabilities.argmax(axis=1) == labels).sum()), int((counts > 0).sum())
    accuracy, low, chance = hits / len(labels), _wilson(hits, len(labels))[0], float(counts.max() / len(labels))
    _, (wrong, _) = wrong_at_random(labels, probabilities)
    left = max(1 - wrong * classes / (classes - 1), 0.4)
    return Verdict(accuracy, low, chance, (low - chance) / (1 - chance) / left)


def estimate_noise(
    labels: Integers,
    probabilities: Floats,
    classes: Sequence[str],
    issues: pd.DataFrame | None = None,
    noise: NoiseEstimate | None = None,
    by_features: bool = False,
) -> dict[str, Any]:
    """The noise that makes the labels most likely, and beside it confident learning's estimate (arXiv:1911.00068).

    Intervals are Wilson's, of 95 %. For a class pair they count the confident samples labelled ``given``; for the noise
    rate, the samples that give the variance of the sum over the classes. They cover other samples, not the models'
    errors: if a model confuses two classes, the joint counts wrong labels.

    Args:
        labels: given, ``[n]`` in ``[0, K)``.
        probabilities: out of sample, ``[n, K]``.
        classes: K names.
        issues: of :func:`lnl.auditing.find_issues`, to be counted.
        noise: ``transition`` is its own; None for that of the ``probabilities``.
        by_features: whether a head on features judges. Then ``wrong`` is of ``noise`` and ``systematic`` of
            :func:`often_mistaken`. Networks have learned some of the noise: if they are in much doubt themselves,
            ``wrong`` is ``at_random``, and ``systematic`` is of :func:`systematic_pairs`.

    Returns:
        ``classes``; ``samples`` and ``issues``, numbers; all of :func:`conclusion`; ``noise_rate``,
        ``noise_rate_interval``; ``at_random``, ``at_random_interval``, of :func:`wrong_at_random`; ``joint[i][j]``, the
        share of samples that are labelled i and are truly j; ``transition[j][i]``, P(labelled i | truly j); ``pairs``,
        the most issues first, of ``given`` and ``suggested`` class, ``rate`` (the share of samples labelled ``given``
        that are truly ``suggested``), its ``interval``, ``count`` of issues, and ``systematic``, of
        :func:`systematic_pairs`.
    """
    flagged = np.zeros((len(classes), len(classes)), dtype=np.int64)  # issues by given and suggested class
    if issues is not None:
        np.add.at(flagged, pairs_of(issues[issues["issue"]], classes), 1)
    noise = noise_of(labels, probabilities) if noise is None else noise
    sizes = np.bincount(labels, minlength=len(classes))
    systematic = often_mistaken(noise.transition, sizes) if by_features else systematic_pairs(labels, probabilities)
    at_random, at_random_interval = wrong_at_random(labels, probabilities)
    counts = compute_confident_joint(labels, probabilities, calibrate=False)
    joint = estimate_joint(labels, probabilities)
    trials, weights = counts.sum(axis=1), sizes / len(labels)
    wrong = 1 - counts.diagonal() / trials
    rate = float(weights @ wrong)
    variance = float(weights**2 @ (wrong * (1 - wrong) / trials))
    # A rate of 0 or 1 has no variance.
    effective = round(rate * (1 - rate) / variance) if variance else int(trials.sum())
    pairs = [
        {
            "given": classes[given],
            "suggested": classes[true],
            "count": int(flagged[given, true]),
            "rate": float(counts[given, true] / trials[given]),
            "interval": _wilson(counts[given, true], trials[given]),
            "systematic": bool(systematic[given, true]),
        }
        for given, true in np.argwhere(counts + flagged)
        if given != true
    ]
    rate_interval = _wilson(rate * effective, effective)
    verdict = judge(labels, probabilities)
    by_accident = not by_features and own_doubt(noise) > DOUBTFUL
    believed, low = (at_random, at_random_interval[0]) if by_accident else share_of(noise, labels)
    return {
        "samples": len(labels),
        "issues": int(flagged.sum()),
        "classes": list(classes),
        **conclusion(verdict, believed, low, rate_interval[1], len(labels), by_accident),
        "noise_rate": rate,
        "noise_rate_interval": rate_interval,
        "at_random": at_random,
        "at_random_interval": at_random_interval,
        "joint": joint.tolist(),
        "transition": noise.transition.tolist(),
        "pairs": sorted(pairs, key=lambda pair: (-pair["count"], -pair["rate"])),
    }


def noise_of(labels: Integers, probabilities: Floats) -> NoiseEstimate:
    """:func:`lnl.noise.estimate.estimate_transition` by the out-of-sample ``probabilities[n, K]`` of networks."""
    return estimate_transition(np.log(np.maximum(probabilities, TINY)), labels)


def share_of(noise: NoiseEstimate, labels: Integers) -> tuple[float, float]:
    """The share of wrong labels, and the lower end of its interval.

    It is below the share by two standard errors and a part of :func:`own_doubt`: so much of a head's mistakes was taken
    for wrong labels, on flower photos.
    """
    share = float(noise.wrong(labels).mean())
    low = share - 2 * math.sqrt(share * (1 - share) / len(labels)) - OWN * own_doubt(noise)
    return share, max(low, 0.0)


def own_doubt(noise: NoiseEstimate) -> float:
    """How unsure the models are themselves: 1 - their largest probability, on average."""
    return float(1 - noise.clean.max(axis=1).mean())


def conclusion(
    verdict: Verdict, share: float, low: float, high: float, samples: int, by_accident: bool = False
) -> dict[str, Any]:
    """The estimate to believe, of those of the share of wrong labels.

    Args:
        verdict: on the models.
        share, low: of :func:`share_of` or :func:`wrong_at_random`, with the lower end of its interval.
        high: the upper end of confident learning's interval.
        samples: number of labels.
        by_accident: whether ``share`` supposes that labels are wrong by accident.

    Returns:
        ``judges``, the verdict, and ``can_tell``; ``wrong`` and ``wrong_interval``: ``share`` between ``low`` and
        ``high``, or null between 0 and ``high`` if the models cannot tell; ``advice``, sentences that say so.
    """
    wrong = min(share, high) if verdict.can_tell else None
    return {
        "judges": asdict(verdict),
        "can_tell": verdict.can_tell,
        "wrong": wrong,
        "wrong_interval": [0.0 if wrong is None else min(low, wrong), high],
        "advice": advice(verdict, wrong, samples, by_accident),
    }


def advice(verdict: Verdict, wrong: float | None, samples: int, by_accident: bool = False) -> list[str]:
    """What the estimate means, and how far down the ranking to look, for a reader who knows no statistics."""
    stop = f"go on until about {IN_A_ROW} in a row are right"
    if wrong is not None:
        least = min(samples, max(IN_A_ROW, math.ceil(wrong * samples)))
        supposed = "This holds if labels are wrong by accident, such as slips of the hand. " if by_accident else ""
        otherwise = (
            "similar classes were mistaken for each other" if by_accident else "people erred where models err too"
        )
        return [
            f"{supposed}If {otherwise}, the share is nearer to the upper end.",
            f"Look at the first {least:,} pictures at least, and {stop}.",
        ]
    order = f"The most doubtful pictures still come first: {stop}."
    if verdict.skill <= 0:
        order = "The order of the pictures is chance: only a look at all of them finds the wrong labels."
    return [
        f"The models predict {verdict.accuracy:.0%} of the labels that they have not seen; one answer for all would be "
        f"right for {verdict.chance:.0%}. They are too weak to judge labels, so nothing is flagged.",
        order,
        "Models judge better with more pictures of each class.",
    ]


def wrong_at_random(labels: Integers, probabilities: Floats) -> tuple[float, list[float]]:
    """The noise rate if labels are wrong at random, by comparison with labels that are surely wrong.

    The classes that a sample was *not* given serve as wrong labels, which the models have not seen either. t is the
    tenth percentile of their :func:`margins` (of :func:`relative` log probabilities). A tenth of the labels that are
    wrong at random lie below t too (with ties, more), and hardly any right ones: if a share s of the given labels does,
    a = s / 0.1 of them are wrong. Where the given label is wrong, one of the K - 1 others is right:
    a (K - 1) / (K - 1 + a).

    A weak model moves t, not the rate, as long as right labels stay above t. For mistakes between similar classes the
    rate is too low. This estimates a mixture proportion where the other component is absent (Scott, 2015, A rate of
    convergence for mixture proportion estimation, AISTATS).

    Returns:
        The rate and, from both ends of Wilson's interval of s, its interval; all in [0, 1].
    """
    present, place = np.unique(labels, return_inverse=True)
    margin = margins(relative(labels, probabilities)[:, present])
    rows, others = np.arange(len(labels)), len(present) - 1
    given = margin[rows, place]
    margin[rows, place] = np.nan
    threshold = np.nanquantile(margin, TENTH)
    doubted, below = int((given <= threshold).sum()), (margin <= threshold).sum() / (len(labels) * others)
    shares = np.array([doubted / len(labels), *_wilson(doubted, len(labels))]) / below  # a tenth, or more with ties
    rate, low, high = np.minimum(shares * others / (others + shares), 1).tolist()
    return rate, [low, high]


def systematic_pairs(labels: Integers, probabilities: Floats) -> NDArray[np.bool_]:
    """Pairs ``[i, j]`` of classes such that samples that are truly j are labelled i far more often than by chance.

    t is the probability of j that a tenth of the samples labelled j exceed. Samples labelled i exceed it if their label
    is wrong, or if models err. i is given for j systematically if their share is twenty times the share of the median
    class, and twenty samples more.

    Returns:
        ``[K, K]``; all false for two classes, because there is no other class to compare with.
    """
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    share = np.full((len(counts), len(counts)), np.nan)
    present = np.flatnonzero(counts)
    for j in present:
        sure = probabilities[:, j] >= np.quantile(probabilities[labels == j, j], 1 - TENTH)
        share[present, j] = np.bincount(labels[sure], minlength=len(counts))[present] / counts[present]
    np.fill_diagonal(share, np.nan)
    systematic = np.zeros(share.shape, dtype=bool)
    within = np.ix_(present, present)
    systematic[within] = share[within] >= TIMES * (np.nanmedian(share[within], axis=0) + 1 / counts[present, None])
    return systematic


def often_mistaken(transition: Floats, sizes: Integers) -> NDArray[np.bool_]:
    """Pairs ``[i, j]`` of classes such that samples that are truly j are labelled i far more often than otherwise.

    That is a tenth of them at least, by two standard errors, and four times the median of j's other wrong labels plus
    one in a hundred.

    Args:
        transition: ``T[j, i]``, of :func:`lnl.noise.estimate.estimate_transition`.
        sizes: ``[K]``, number of labels of each class.

    Returns:
        ``[K, K]``; all false for two classes, because there is no other class to compare with.
    """
    classes = len(transition)
    wrong = np.where(np.eye(classes, dtype=bool), np.nan, transition)
    if classes < 3:
        return np.zeros((classes, classes), dtype=bool)
    usual = np.array([[np.nanmedian(np.delete(row, i)) for i in range(classes)] for row in wrong])
    wrong = np.nan_to_num(wrong)
    error = np.sqrt(wrong * (1 - wrong) / np.maximum(sizes, 1)[:, None])
    result: NDArray[np.bool_] = (wrong - 2 * error >= 0.1) & (wrong >= 4 * (usual + 0.01))
    return result.T


def pairs_of(issues: pd.DataFrame, classes: Sequence[str]) -> tuple[Integers, Integers]:
    """The given and the suggested label of each of the issues, as places in ``classes``."""
    names = pd.Index(classes)
    given, suggested = (names.get_indexer(pd.Index(issues[f"{kind}_label"])) for kind in ("given", "suggested"))
    return given, suggested


def _wilson(successes: float, trials: int) -> list[float]:
    return list(map(float, binomtest(round(successes), int(trials)).proportion_ci(method="wilson")))


def relative(labels: Integers, probabilities: Floats) -> Floats:
    """Log probabilities ``[n, K]``, each minus the log of its class's confident threshold (cleanlab).

    They compare a class with its average where it is given, so that hard and rare classes are not doubted as a whole.
    """
    thresholds = get_confident_thresholds(labels, probabilities)
    return np.log(np.maximum(probabilities, TINY)) - np.log(np.maximum(thresholds, TINY))


def margins(values: Floats) -> Floats:
    """Each of the values ``[n, K]`` minus the largest other one of its row."""
    rows, order = np.arange(len(values)), values.argsort(axis=1)
    first, second = values[rows, order[:, -1]], values[rows, order[:, -2]]
    result: Floats = values - first[:, None]
    result[rows, order[:, -1]] = first - second
    return result
