"""Labels with known mistakes, and probabilities as a model would give them that is right and says how sure it is."""

import numpy as np

CLASSES = ["cat", "dog", "fox", "owl"]


def noisy_problem(n=2000, rate=0.2, sureness=3.0, seed=0, classes=4):
    """Given and true labels, and calibrated out-of-sample probabilities of the given ones; noise is symmetric.

    The true label is drawn from a softmax of random logits, so that those are its exact probabilities.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, sureness, (n, classes))
    of_truth = np.exp(logits - logits.max(axis=1, keepdims=True))
    of_truth /= of_truth.sum(axis=1, keepdims=True)
    true = (of_truth.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=classes - 1)
    flipped = rng.random(n) < rate
    given = np.where(flipped, (true + rng.integers(1, classes, n)) % classes, true)
    transition = np.full((classes, classes), rate / (classes - 1)) + (1 - rate * classes / (classes - 1)) * np.eye(
        classes
    )
    return given, true, of_truth @ transition
