"""Whether images are photographs, or small and grey ones such as digits, by their headers."""

import zipfile
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from lnl.datasets.pictures import GREY
from lnl.files import is_picture, walk

SIDE = 64  # pixels at most of small images
LOOKED_AT = 20  # pictures, of the first thousand


def are_small_and_grey(path: Path) -> bool:
    """Whether the images in a folder of pictures, or in an .npz, are grey and of at most 64 pixels a side."""
    with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):  # reported when the data is read
        if path.is_dir():
            names = [name for name, _ in islice(walk(path, depth=2), 1000) if is_picture(name)]
            return bool(names) and all(
                _is_small_and_grey(path / name) for name in names[:: -(-len(names) // LOOKED_AT)]
            )
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as arrays, arrays.open("images.npy") as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, _ = read(file)
                return max(shape[1:3]) <= SIDE and (len(shape) == 3 or shape[3] == 1)
    return False


def _is_small_and_grey(file: Path) -> bool:
    with Image.open(file) as picture:
        return picture.mode in GREY and max(picture.size) <= SIDE
