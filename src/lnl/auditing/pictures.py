"""The pictures of the audit's page, as they were before models saw them: in the page, or links to their files."""

import base64
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnl.datasets.pictures import PictureError, shrunk_picture
from lnl.datasets.source import Dataset
from lnl.progress import tracked

TINY = 96  # pixels; pictures up to this size are kept without loss
LARGE, SMALL = 512, 256  # pixels of the longer side at most: while there is room in the page, and beyond it
BROWSERS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")  # what every browser shows
AT_ONCE = 64  # pictures

Original = Path | bytes | NDArray[np.uint8] | PictureError


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        embedded: the picture as a data URI; empty for a link.
        file: relative URL of the file, if there is one that browsers show.
        tiny: whether no side is longer than 96 pixels, as far as known.
        fault: why it cannot be read; then nothing else is there.
    """

    embedded: str = ""
    file: str = ""
    tiny: bool = False
    fault: str = ""


def pictures_of(
    dataset: Dataset,
    samples: Sequence[int],
    folder: Path,
    megabytes: float,
    largest: int = LARGE,
    progress: bool = False,
) -> list[Picture]:
    """The pictures of training ``samples`` for a page in ``folder``, in this order.

    They are embedded, at up to ``largest`` pixels a side, while they take ``megabytes`` (of 10^6 bytes) together.
    Further ones are links to their files. Those without a file that browsers show are embedded, at up to 256 pixels a
    side.
    """
    each = _each(dataset, samples, folder, megabytes * 1e6, largest)
    return list(tracked(each, "reading the pictures of the page", len(samples), progress))


def _each(dataset: Dataset, samples: Sequence[int], folder: Path, room: float, largest: int) -> Iterator[Picture]:
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(samples), AT_ONCE):
            originals = [_original(dataset, sample) for sample in samples[start : start + AT_ONCE]]
            links = [_link(original, folder) for original in originals]
            sides = [largest if room > 0 else 0 if link else SMALL for link in links]
            made = pool.map(_picture, originals, links, sides)
            for original, link, side, picture in zip(originals, links, sides, made, strict=True):
                fits = side < largest or len(picture.embedded) <= room
                kept = picture if fits else _picture(original, link, 0 if link else SMALL)
                room -= len(kept.embedded)
                yield kept


def _original(dataset: Dataset, sample: int) -> Original:
    if dataset.originals is None:
        image: NDArray[np.uint8] = dataset.images[sample]
        return image
    try:
        return dataset.originals[sample]
    except (PictureError, OSError) as error:
        return PictureError(str(error))


def _link(original: Original, folder: Path) -> str:
    """A URL of the file, relative to ``folder``; empty if browsers do not show it."""
    if not isinstance(original, Path) or original.suffix.lower() not in BROWSERS:
        return ""
    path = original.absolute()
    try:
        return quote(os.fsencode(os.path.relpath(path, folder.absolute()).replace(os.sep, "/")))
    except ValueError:  # on another drive
        return path.as_uri()


def _picture(original: Original, link: str, side: int) -> Picture:
    """A picture that is embedded with no side longer than ``side``; with 0, only a link."""
    if not side:
        return Picture(file=link)
    try:
        if isinstance(original, PictureError):
            raise original
        if isinstance(original, np.ndarray):
            image = Image.fromarray(original[..., 0] if original.shape[2] == 1 else original)
            image.thumbnail((side, side))
        else:
            image = shrunk_picture(original, side)
    except PictureError as error:
        return Picture(fault=str(error))
    return Picture(data_uri(image), link, max(image.size) <= TINY)


def data_uri(image: Image.Image) -> str:
    """A picture as WebP, without loss if it is tiny."""
    buffer = io.BytesIO()
    if max(image.size) <= TINY:
        image.convert("RGB").save(buffer, "WEBP", lossless=True, quality=0, method=0)  # method 6: -4 %, tenfold time
    else:
        image.convert("RGB").save(buffer, "WEBP", quality=80, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
