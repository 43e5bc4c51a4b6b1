"""Instance-dependent noise: how likely a label is wrong, and how, depends on the image."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import truncnorm

from lnl.labels import Integers, Labels, Matrix
from lnl.labels.choice import check_labels, round_half_up
from lnl.noise.kinds import LabelNoise
from lnl.noise.transition import draw_rows

RATE_DEVIATION = 0.1


class InstanceNoise(LabelNoise):
    r"""Part-dependent instance noise, PMD (arXiv:2006.07836, algorithm 2).

    Each sample has its own flip rate :math:`q_i \sim \mathcal N(r, 0.1^2)` truncated to [0, 1]; each class has a matrix
    :math:`W_y \in \mathbb R^{d \times K}` of standard normal entries; and
    :math:`P_i = q_i\,\mathrm{softmax}(x_i W_y \text{ without } y) + (1 - q_i)\,\mathrm{onehot}(y)`,
    where x are the pixels scaled to [0, 1].

    Args:
        rate: centre r of the flip rates, in [0, 1]. Truncation moves their mean inwards: at 0 about 8 % of labels are
            wrong, at 1 about 92 %. The record has the ``actual_rate``.
        seed: of rates, W and draw.
        exact: ``round(r n_c)`` samples of class c change, drawn without replacement in proportion to q; the recorded
            transition matrix is scaled to those counts.

    Raises:
        ValueError: if a label is outside ``[0, K)``.
    """

    kind, convention, uses_images = "instance", "PMD, exclusive of the true class", True

    def draw(self, labels: Labels, images: NDArray[np.uint8]) -> tuple[Integers, Matrix]:
        clean, num_classes = labels.given, len(labels.classes)
        check_labels(clean, num_classes)
        rng = np.random.default_rng(self.seed)
        bounds = (0 - self.rate) / RATE_DEVIATION, (1 - self.rate) / RATE_DEVIATION
        flip_rate = truncnorm.rvs(*bounds, loc=self.rate, scale=RATE_DEVIATION, size=len(clean), random_state=rng)
        changes = rng.random(len(clean)) < flip_rate
        pixels = images.reshape(len(images), -1)
        wrong_class = np.empty((len(clean), num_classes))
        transition = np.eye(num_classes)
        for label in range(num_classes):
            members = np.flatnonzero(clean == label)
            weights = rng.standard_normal((pixels.shape[1], num_classes), dtype=np.float32)
            if not len(members):
                continue
            scores = (pixels[members].astype(np.float32) / 255) @ weights
            scores[:, label] = -np.inf
            wrong_class[members] = softmax(scores.astype(np.float64), axis=1)
            share = flip_rate[members]
            if self.exact:
                count = round_half_up(self.rate * len(members))
                changes[members] = np.isin(members, rng.choice(members, count, replace=False, p=share / share.sum()))
                share = share * count / share.sum()
            transition[label] = (share[:, None] * wrong_class[members]).mean(axis=0)
            transition[label, label] = 1 - transition[label].sum()
        return np.where(changes, draw_rows(wrong_class, rng), clean), transition
