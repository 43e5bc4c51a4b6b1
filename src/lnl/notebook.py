"""What notebooks give: images of any kind (files, PIL images, tensors, arrays of several sizes), labels, folds."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils.validation import check_consistent_length, column_or_1d

from lnl.datasets.images import Form, as_images, natural_size
from lnl.datasets.pictures import PictureError, picture_size, read_in_form
from lnl.errors import many

KINDS = (str, os.PathLike, Image.Image, np.ndarray, torch.Tensor)
Pictures = list[Path | Image.Image]
SHOWN = 3  # images that cannot be read, in an error


def as_pictures(X: Any) -> Pictures | None:
    """The pictures in a list, an array or a column of file names, PIL images, or arrays of several sizes.

    None for all else: an array, a tensor, rows of numbers.

    Raises:
        ValueError: for a single image, for missing ones, and for a list with something that is no image.
    """
    if isinstance(X, str | bytes | os.PathLike | Image.Image):
        kind = "image" if isinstance(X, Image.Image) else "file name"
        raise ValueError(f"X must be a list of images, got one {kind}: put it in a list, [X]")
    if isinstance(X, pd.DataFrame) and X.shape[1] == 1:
        X = X.iloc[:, 0]
    column = isinstance(X, list | tuple | pd.Series) or (isinstance(X, np.ndarray) and X.ndim == 1)
    if column and not len(X):
        raise ValueError("X has no images, got an empty list")
    items = list(X) if column else []
    if not items or not isinstance(next((item for item in items if not _missing(item)), None), KINDS):
        return None
    if missing := [place for place, item in enumerate(items) if _missing(item)]:
        count = many(len(missing), "missing image", "missing images")
        raise ValueError(f"X has {count}, the first at position {missing[0]}: leave them out")
    if others := [place for place, item in enumerate(items) if not isinstance(item, KINDS)]:
        kind = type(items[others[0]]).__name__
        raise ValueError(f"X must be file names, PIL images or arrays, got {kind} (X[{others[0]}])")
    arrays = [item for item in items if isinstance(item, np.ndarray | torch.Tensor)]
    if len(arrays) == len(items) and len({tuple(array.shape) for array in arrays}) == 1:
        return None  # one array
    return [_picture(item, place) for place, item in enumerate(items)]


def as_array(X: Any) -> Any:
    """``X`` if it is an array or a table, else an array of it; a tensor ``[n, C, H, W]`` gets its channels last."""
    if isinstance(X, torch.Tensor):
        tensor = X.detach().cpu()
        array: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        return np.moveaxis(array, 1, -1) if array.ndim == 4 and array.shape[1] in (1, 3) else array
    if isinstance(X, list | tuple) and len(X) and isinstance(X[0], torch.Tensor):
        return as_array(torch.stack(list(X)))
    return X if hasattr(X, "ndim") else np.asarray(X)


def checked(array: Any) -> NDArray[np.uint8]:
    """Images ``[n, H, W(, C)]`` as uint8 ``[n, H, W, C]``; ValueError if they are none."""
    images = np.asarray(array)
    if not len(images):
        raise ValueError(f"X has no images, got {list(images.shape)}")
    if images.ndim == 3 and images.shape[2] in (1, 3) and min(images.shape[:2]) > 3:
        raise ValueError(f"X of shape {list(images.shape)} is one image: X[None] is a list of one")
    return as_images(images)


def form_of(pictures: Pictures, form: Form) -> Form:
    """``form`` with a size: that of the pictures if they have one and it is natural, else 64."""
    if form.image_size is not None:
        return form
    sizes = set()
    for picture in pictures:
        with suppress(PictureError):  # which reading them will report
            sizes.add(picture.size if isinstance(picture, Image.Image) else picture_size(picture))
        if len(sizes) > 1:
            break
    width, height = sizes.pop() if len(sizes) == 1 else (0, 1)
    return replace(form, image_size=natural_size((len(pictures), height, width)))


def read_pictures(pictures: Pictures, form: Form) -> NDArray[np.uint8]:
    """The pictures, uint8 ``[n, size, size, channels]``, as a user's own data is read.

    Raises:
        ValueError: naming those that cannot be read.
    """

    def read(picture: Path | Image.Image) -> NDArray[np.uint8] | PictureError:
        try:
            return read_in_form(picture, form)
        except PictureError as error:
            return error

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(read, pictures))
    bad = [
        f"X[{place}]{_name(pictures[place])}: {item}" for place, item in enumerate(done) if isinstance(item, Exception)
    ]
    if bad:
        more = "; ..." if len(bad) > SHOWN else ""
        raise ValueError(f"{len(bad)} of {len(done)} images cannot be read: {'; '.join(bad[:SHOWN])}{more}")
    return np.stack([item for item in done if not isinstance(item, PictureError)])


def _name(picture: Path | Image.Image) -> str:
    return "" if isinstance(picture, Image.Image) else f" ({picture})"


def _missing(item: Any) -> bool:
    return item is None or item is pd.NA or (isinstance(item, float) and np.isnan(item))


def _picture(item: Any, place: int) -> Path | Image.Image:
    if isinstance(item, Image.Image):
        return item
    if isinstance(item, str | os.PathLike):
        return Path(item).expanduser()
    try:
        pixels = as_images(as_array(item[None]))[0]
    except ValueError as error:
        raise ValueError(f"X[{place}]: {error}") from error
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def given_labels(y: Any, warn: bool = False) -> NDArray[Any]:
    """Labels ``[n]``; ValueError if some are missing. ``warn``: of a column ``[n, 1]``."""
    column = np.array([*y, None], dtype=object)[:-1] if isinstance(y, list | tuple) else np.asarray(y)
    if len(places := np.flatnonzero(pd.isna(column))):
        count = many(len(places), "missing label", "missing labels")
        first = f"y has {count} (NaN or None), the first at position {places[0]}"
        raise ValueError(f"{first}: leave these samples out of X and y")
    return column_or_1d(y, warn=warn)


def folds_of(
    X: Any, labels: NDArray[np.int64], classes: NDArray[Any], folds: int, random_state: Any
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Positions to train on and to predict, of each fold; copies of an image are in one fold.

    Raises:
        ValueError: if a class has fewer different images than there are folds.
    """
    contents = [hashlib.sha256(image.tobytes()).digest() for image in np.asarray(X)]
    _, groups = np.unique(contents, return_inverse=True)
    copies = groups.max() + 1 < len(groups)
    kind = StratifiedGroupKFold if copies else StratifiedKFold
    folding = kind(folds, shuffle=True, random_state=random_state)
    check_consistent_length(groups, labels)
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    if (counts := np.bincount(pairs[0])).min() < folds:
        least = f"the class {classes[counts.argmin()]!r} has {counts.min()} different images"
        advice = "every fold needs one. Leave the class out, or set fewer folds."
        raise ValueError(f"{least}, fewer than folds={folds}: {advice}")
    return list(folding.split(labels, labels, groups if copies else None))
