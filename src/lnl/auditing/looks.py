"""What a picture's pixels say without a model: how bright, plain and sharp it is, and a small grey copy of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnl.datasets.images import Images
from lnl.datasets.threads import on_all_cores
from lnl.labels import Integers
from lnl.progress import tracked

SIDE = 112  # pixels, at which pictures are looked at: sharpness depends on the size
THUMBNAIL = 64  # pixels
TILES = 4  # a side: a picture is as sharp as its sharpest tile, because its background may be out of focus

Measures = NDArray[np.float32]


@dataclass(frozen=True)
class Looks:
    """Of ``n`` pictures, in grey, with 0 black and 1 white.

    Attributes:
        darkest, brightest: the 1st and 99th percentile of the pixels.
        contrast: their standard deviation.
        sharpness: the standard deviation of the Laplacian in the sharpest of 4x4 tiles, as a share of the contrast.
        thumbnails: uint8 ``[n, 64, 64]``.
    """

    darkest: Measures
    brightest: Measures
    contrast: Measures
    sharpness: Measures
    thumbnails: NDArray[np.uint8]


def look_at(images: Images, places: Integers, show: bool = False) -> Looks:
    """The looks of uint8 images ``[N, H, W, C]`` at ``places``; of streamed ones, each is read once more."""
    measures = np.zeros((4, len(places)), np.float32)
    thumbnails = np.zeros((len(places), THUMBNAIL, THUMBNAIL), np.uint8)

    def one(number: int) -> None:
        grey = _grey(images[int(places[number])])
        measures[:, number] = measure(np.asarray(grey))
        thumbnails[number] = np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))

    for _ in tracked(on_all_cores(one, range(len(places))), "looking at pictures", len(places), show):
        pass
    darkest, brightest, contrast, sharpness = measures
    return Looks(darkest, brightest, contrast, sharpness, thumbnails)


def _grey(pixels: NDArray[np.uint8]) -> Image.Image:
    """A picture in grey, no larger than 112 pixels a side."""
    grey = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("L")
    size = (min(grey.width, SIDE), min(grey.height, SIDE))
    return grey if grey.size == size else grey.resize(size, Image.Resampling.BOX)


def measure(grey: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """``darkest``, ``brightest``, ``contrast`` and ``sharpness`` of a grey picture ``[H, W]``."""
    values = grey.astype(np.float32) / 255
    darkest, brightest = np.percentile(values, (1, 99))
    contrast = float(values.std())
    middle = values[1:-1, 1:-1]
    laplacian = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:] - 4 * middle
    tiles = [part for row in np.array_split(laplacian, TILES) for part in np.array_split(row, TILES, axis=1)]
    sharpest = max((float(tile.std()) for tile in tiles if tile.size), default=0.0)
    return float(darkest), float(brightest), contrast, sharpest / max(contrast, 1e-3)
