"""Image corruption: pixels that tell less of the class or nothing, drawn with a seed of its own."""

from lnl.corruption.pixels import GaussianPixels, ImageCorruption, NoCorruption, RandomPixels, ShuffledPixels

__all__ = ["GaussianPixels", "ImageCorruption", "NoCorruption", "RandomPixels", "ShuffledPixels"]
