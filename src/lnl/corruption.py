"""Image corruption (arXiv:1611.03530): pixels that tell less of the class, or nothing."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
BLOCK = 256  # images at a time, which limits the random numbers in memory


class ImageCorruption(ABC):
    """Corrupts images: a function of the seed, the split and an image's number in the split.

    Args:
        seed: of the draw, at least 0, independent of the training seed.
    """

    def __init__(self, seed: int = 0) -> None:
        if seed < 0:
            raise ValueError(f"corruption.seed must be at least 0, got {seed}")
        self.seed = seed

    def fit(self, images: Images) -> None:  # noqa: B027, most kinds need nothing
        """Sees the uncorrupted training images ``[N, H, W, C]`` first."""

    def __call__(self, images: Images, split: str) -> Images:
        """The images of a whole split, corrupted, uint8 ``[N, H, W, C]``.

        ``split`` is ``train`` (which includes validation) or ``test``; each has its own draw.
        """
        count, height, width, channels = images.shape
        rng = np.random.default_rng([self.seed, *split.encode()])
        pixels = images.reshape(count, height * width, channels)
        corrupted = np.empty_like(pixels, order="C")
        for start in range(0, count, BLOCK):
            here = slice(start, start + BLOCK)
            corrupted[here] = self.corrupt(pixels[here], rng)
        return corrupted.reshape(images.shape)

    @abstractmethod
    def corrupt(self, pixels: Images, rng: np.random.Generator) -> Images:
        """The next images of the split, uint8 ``[n, H * W, C]``; ``rng`` continues from the ones before."""


class NoCorruption(ImageCorruption):
    """Images as they are."""

    def __init__(self) -> None:
        super().__init__()

    def __call__(self, images: Images, split: str) -> Images:
        return images

    def corrupt(self, pixels: Images, rng: np.random.Generator) -> Images:
        return pixels


class ShuffledPixels(ImageCorruption):
    """One permutation of the pixels' places, the same for all images of training and test. Channels stay together."""

    def corrupt(self, pixels: Images, rng: np.random.Generator) -> Images:
        return pixels[:, np.random.default_rng(self.seed).permutation(pixels.shape[1])]


class RandomPixels(ImageCorruption):
    """A permutation of the pixels' places for each image, drawn independently. Channels stay together."""

    def corrupt(self, pixels: Images, rng: np.random.Generator) -> Images:
        count, size, _ = pixels.shape
        places = rng.permuted(np.tile(np.arange(size), (count, 1)), axis=1)
        return np.take_along_axis(pixels, places[:, :, None], axis=1)


class GaussianPixels(ImageCorruption):
    """Values from a normal distribution with each channel's mean and variance over all training images.

    The paper only says that they match "the original image dataset". Values are rounded and clipped to 0..255, which
    lowers the variance a little.
    """

    def fit(self, images: Images) -> None:
        # By counts of the 256 values, because the images as floats would take many times the memory.
        values = np.arange(256)
        counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[3])])
        share = counts / counts.sum(axis=1, keepdims=True)
        self.mean = share @ values
        self.std = np.sqrt(share @ values**2 - self.mean**2)

    def corrupt(self, pixels: Images, rng: np.random.Generator) -> Images:
        values = rng.standard_normal(pixels.shape, dtype=np.float32) * self.std + self.mean
        return values.round().clip(0, 255).astype(np.uint8)
